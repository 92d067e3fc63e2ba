"""Figures of an analysis."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from vitmm.apis.predictions.coco_errors import SIZES, ErrorCurves
from vitmm.apis.predictions.confusion import Confusion
from vitmm.visualization.fonts import prepare_letters

_WITH_TEXT = 20  # classes whose cells have room for numbers
_NAMED = 130  # classes whose names have room beside a picture of the largest size
_BARS = 40  # classes by bars
# COCO's colours, a little quieter: found strictly, found, and five kinds of errors.
_COLOURS = {
    'C75': '#ffffff', 'C50': '#d9dee3', 'Loc': '#6f9bd1', 'Sim': '#d1605e', 'Oth': '#7ac36a',
    'BG': '#9a79b8', 'FN': '#f5a94b',
}  # fmt: skip
_WORDS = {
    'C75': 'C75: found, IoU 0.75', 'C50': 'C50: found, IoU 0.5', 'Loc': 'Loc: loose, IoU 0.1',
    'Sim': 'Sim: similar class', 'Oth': 'Oth: other class', 'BG': 'BG: background',
    'FN': 'FN: missed',
}  # fmt: skip


def draw_confusion(confusion: Confusion) -> Figure:
    """Draw a matrix whose rows are normalised: right ones in blue, wrong ones in red.

    Cells of few classes hold percentages; of many classes colours must do, and of very many not
    every name is written.
    """
    prepare_letters(confusion.names)
    shares, number = confusion.shares, len(confusion.names)
    text = number <= _WITH_TEXT
    side = min(24, max(4.6, (0.62 if text else 0.17) * number + 2.2))
    figure = Figure(figsize=(side + (0 if text else 1), side), layout='constrained')
    axes = figure.add_subplot()
    right = np.eye(number, dtype=bool)
    known = ~np.isnan(shares)
    known[-1, -1] &= not confusion.background  # nothing, taken for nothing
    axes.imshow(np.ma.masked_where(~known, np.zeros_like(shares)), 'Greys', vmin=0, vmax=1)
    # Square roots, so that a rare confusion can be seen at all.
    norm = PowerNorm(0.5, 0, 1)
    for chosen, colours, words in ((right, 'Blues', 'right'), (~right, 'Reds', 'wrong')):
        image = axes.imshow(np.ma.masked_where(~chosen | ~(shares > 0), shares), colours, norm)
        if not text:
            bar = figure.colorbar(image, ax=axes, shrink=0.4, pad=0.01, aspect=40)
            bar.set_ticks([0, 0.01, 0.05, 0.1, 0.25, 0.5, 1])
            bar.set_label(f'{words}, share of the row', fontsize=9)
    axes.set_facecolor('#e4e4e4')  # classes that do not occur
    if text:
        for (row, column), share in np.ndenumerate(shares):
            if share > 0:
                words = f'{share:.0%}' if share >= 0.005 else '<1%'
                dark = share > 0.35
                axes.text(
                    column, row, words, ha='center', va='center', fontsize=9,
                    color='white' if dark else 'black',
                )  # fmt: skip
    step = -(-number // _NAMED)
    places = range(0, number, step)
    size = 10 if text else 7
    for ticks, turned, said in (
        (axes.set_xticks, 90 if number > 6 else 0, 'missed'),
        (axes.set_yticks, 0, 'false'),
    ):
        names = [_short(name) for name in confusion.names]
        if confusion.background:
            names[-1] += f'\n({said})'
        ticks(places, [names[place] for place in places], rotation=turned, fontsize=size)
    axes.set_xlabel('predicted')
    axes.set_ylabel('truth')
    if confusion.background:
        for line in (axes.axhline, axes.axvline):
            line(number - 1.5, color='#666666', linewidth=1)
    totals = f'{int(confusion.counts.sum()):,} {confusion.unit}'
    if confusion.background:
        false = int(confusion.counts[-1].sum())
        totals = f'{int(confusion.counts[:-1].sum()):,} objects, {false:,} false detections'
    axes.set_title(f'{totals}, normalised by row', fontsize=10)
    return figure


def draw_errors(curves: ErrorCurves, words: str) -> Figure:
    """Draw the mean curves of all classes, and the areas by size and by class."""
    prepare_letters(curves.classes)
    areas = {name: values for name, values in curves.areas().items() if None not in values}
    classes = {name: areas.pop(name) for name in curves.classes if name in areas}
    sizes = {name.removeprefix('all, '): values for name, values in areas.items()}
    count = len(classes)
    if count > _BARS:  # those that lose most
        kept = sorted(classes, key=lambda name: classes[name][1])[:_BARS]
        classes = {name: classes[name] for name in kept}
    height = max(4.4, 0.24 * (len(classes) + len(sizes)) + 1.4)
    figure = Figure(figsize=(11, height), layout='constrained')
    left, right = figure.subplots(1, 2)
    _fill(left, curves)
    left.set_title(f'{words}, mean of {count} class{"es" if count != 1 else ""}', fontsize=10)
    _bars(right, curves.names, sizes, classes)
    right.set_title('areas under the curves', fontsize=10)
    return figure


def _fill(axes: Axes, curves: ErrorCurves) -> None:
    below, keys = np.zeros(len(curves.recall)), []
    for name, row in zip(curves.names, curves.mean(), strict=True):
        label = f'{row.mean():.3f}  {_WORDS[name]}'
        keys.append(Patch(facecolor=_COLOURS[name], edgecolor='black', linewidth=0.4, label=label))
        axes.fill_between(curves.recall, below, row, color=_COLOURS[name], linewidth=0)
        axes.plot(curves.recall, row, color='black', linewidth=0.5)
        below = row
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel='recall', ylabel='precision')
    axes.legend(handles=keys, fontsize=8, loc='lower left', framealpha=0.9, edgecolor='#cccccc')


def _bars(
    axes: Axes,
    names: Sequence[str],
    sizes: dict[str, list[float]],
    classes: dict[str, list[float]],
) -> None:
    rows = [*sizes.items(), *classes.items()]
    # A gap between sizes and classes.
    places = [n + (0.6 if n >= len(sizes) else 0) for n in range(len(rows))]
    values = np.array([row for _, row in rows]).reshape(len(rows), len(names))
    steps = np.diff(values, axis=1, prepend=0).clip(min=0)
    before = np.zeros(len(rows))
    for number, name in enumerate(names):
        axes.barh(
            places, steps[:, number], left=before, color=_COLOURS[name], edgecolor='black',
            linewidth=0.4, height=0.75,
        )  # fmt: skip
        before = before + steps[:, number]
    labels = [f'{SIZES[0]} sizes' if name == 'all' else _short(name) for name, _ in rows]
    axes.set_yticks(places, labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.spines[['top', 'right']].set_visible(False)


def _short(name: str) -> str:
    return name if len(name) <= 24 else f'{name[:23]}…'
