"""Curves of one or several runs in one picture."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from vitmm.apis.runs import Run
from vitmm.visualization.fonts import prepare_letters
from vitmm.whole_files import write_whole

_COLUMNS = 3  # of panels
_SUFFIXES = ('.png', '.jpg', '.pdf', '.svg')
# Of lengths with few common factors: 180 looks, before one comes again.
_COLOURS = 10  # of matplotlib's cycle
_MARKERS = 'osD^vXPph'
_DASHES = ((), (5, 1.5), (5, 1.5, 1, 1.5), (1.2, 1.2))  # in widths of the line
_SHARE = 3  # widths of the line: what each has of a line that several share
_MARKED = 8  # places on a curve of many points, about
_ROWS = 18  # of a legend beside a row of panels

_Points = tuple[list[float], list[float]]


def draw_curves(runs: Sequence[Run], panels: Sequence[Sequence[str]], by_epoch: bool) -> Figure:
    """Draw keys of runs against the iteration or the epoch.

    Each curve has a colour, dashes and markers of its own. Those that lie on each other share one
    line, dash by dash, so that all are seen. The legend is beside the panels.

    Args:
        runs: each with a look of its own; of one run, each key of a panel has one.
        panels: the keys that go into one panel together.
        by_epoch: count in epochs; all runs then know their ``epoch_length``.
    """
    prepare_letters([*(run.name for run in runs), *(key for keys in panels for key in keys)])
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, keys in zip(axes, panels, strict=False):
        curves = [run.curve(key) for run in runs for key in keys]
        scales = [run.epoch_length if by_epoch else 1 for run in runs for _ in keys]
        sharing = _sharing(curves)
        for number, ((steps, values), scale) in enumerate(zip(curves, scales, strict=True)):
            panel.plot(
                [step / scale for step in steps],
                values,
                **_look(number, len(curves)) | _marks(number, len(curves), len(steps)),
            )
            if len(shared := sharing[number]) > 1:
                place, rest = shared.index(number), len(shared) - 1
                panel.lines[-1].set_linestyle((-_SHARE * place, (_SHARE, _SHARE * rest)))
        panel.set_title(keys[0] if len(keys) == 1 else 'losses', fontsize=10)
        panel.set_xlabel('epoch' if by_epoch else 'iteration')
        panel.grid(alpha=0.3)
    for panel in axes[len(panels) :]:
        panel.set_axis_off()
    figure.suptitle(runs[0].name if len(runs) == 1 else f'{len(runs)} runs', fontsize=11)
    width = 0.0
    if len(runs) > 1:  # of all panels
        names = [run.name for run in runs]
        width = _add_legend(figure, names, _ROWS * rows, loc='outside right upper')
    elif len(panels[0]) > 1:
        place = dict(loc='upper left', bbox_to_anchor=(1, 1))
        width = _add_legend(axes[0], panels[0], _ROWS, **place)
    figure.set_size_inches(5.2 * columns + width, 3.6 * rows + 0.3)
    return figure


def _sharing(curves: Sequence[_Points]) -> list[list[int]]:
    """Of each curve the numbers of those that lie on it, itself among them.

    They are equal to two thousandths of all values' range.
    """
    values = [value for _, values in curves for value in values if math.isfinite(value)]
    step = (max(values, default=0) - min(values, default=0)) / 500 or 1
    groups: dict[tuple, list[int]] = {}
    keys = []
    for number, (steps, values) in enumerate(curves):
        keys.append((*steps, *np.round(np.array(values) / step, 0).tolist()))
        groups.setdefault(keys[-1], []).append(number)
    return [groups[key] for key in keys]


def _look(number: int, curves: int) -> dict[str, Any]:
    """How the ``number``-th of so many curves is drawn."""
    return dict(
        color=f'C{number % _COLOURS}',
        linestyle=(0, _DASHES[number % len(_DASHES)]),
        linewidth=1.7 if curves > 1 else 1.5,
        marker=_MARKERS[number % len(_MARKERS)],
        markersize=5,
        markerfacecolor='none',
    )


def _marks(number: int, curves: int, points: int) -> dict[str, Any]:
    """Where its markers are: each curve has them elsewhere, where there are points enough."""
    if curves == 1:
        return dict(marker='o' if points < 30 else None)
    every = max(1, points // _MARKED, min(curves, points // 3))
    return dict(markevery=(number * every // curves, every))


def _add_legend(owner: Any, names: Sequence[str], height: int, **where: Any) -> float:
    """A legend outside the panels; returns its width in inches."""
    handles = [
        Line2D([], [], label=name, **_look(number, len(names))) for number, name in enumerate(names)
    ]
    columns = math.ceil(len(names) / height)
    legend = owner.legend(handles=handles, fontsize=8, ncols=columns, handlelength=4, **where)
    return legend.get_window_extent().width / legend.get_figure().dpi + 0.1


def save_figure(figure: Figure, out: Path) -> None:
    """Write a figure in one step, as the suffix of ``out`` says."""
    content = io.BytesIO()
    figure.savefig(content, format=out.suffix[1:], dpi=110)
    write_whole(out, content.getvalue())


def is_drawable(out: Path) -> bool:
    """Whether a figure can be written under this name."""
    return out.suffix.lower() in _SUFFIXES
