"""Curves of one or several runs in one picture."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from vitmm.apis.runs import Run
from vitmm.engine.hooks.atomic_checkpoint import AtomicLocalBackend

_COLUMNS = 3  # of panels
_SUFFIXES = ('.png', '.jpg', '.pdf', '.svg')


def draw_curves(runs: Sequence[Run], panels: Sequence[Sequence[str]], by_epoch: bool) -> Figure:
    """Draw keys of runs against the iteration or the epoch.

    Args:
        runs: each with a colour of its own; of one run, each key of a panel has one.
        panels: the keys that go into one panel together.
        by_epoch: count in epochs; all runs then know their ``epoch_length``.
    """
    columns = min(_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(5.2 * columns, 3.6 * rows + 0.3), layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, keys in zip(axes, panels, strict=False):
        for number, run in enumerate(runs):
            for place, key in enumerate(keys):
                steps, values = run.curve(key)
                scale = run.epoch_length if by_epoch else 1
                panel.plot(
                    [step / scale for step in steps],
                    values,
                    label=key if len(runs) == 1 else run.name,
                    color=f'C{(number if len(runs) > 1 else place) % 10}',
                    linestyle='-' if place < 10 else '--',
                    marker='o' if len(steps) < 30 else None,
                    markersize=3,
                )
        panel.set_title(keys[0] if len(keys) == 1 else 'losses', fontsize=10)
        panel.set_xlabel('epoch' if by_epoch else 'iteration')
        panel.grid(alpha=0.3)
        if len(runs) > 1 or len(keys) > 1:
            panel.legend(fontsize=7, ncols=1 + len(keys) // 10)
    for panel in axes[len(panels) :]:
        panel.set_axis_off()
    figure.suptitle(runs[0].name if len(runs) == 1 else f'{len(runs)} runs', fontsize=11)
    return figure


def save_figure(figure: Figure, out: Path) -> None:
    """Write a figure in one step, as the suffix of ``out`` says."""
    content = io.BytesIO()
    figure.savefig(content, format=out.suffix[1:], dpi=110)
    AtomicLocalBackend().put(content.getvalue(), out)


def is_drawable(out: Path) -> bool:
    """Whether a figure can be written under this name."""
    return out.suffix.lower() in _SUFFIXES
