"""MMEngine's JSON log of a run, ``<time>/vis_data/scalars.json``: one object a line."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_COUNTERS = ('step', 'iter', 'epoch', 'time', 'data_time', 'memory')  # say when, not how well


def read_scalars(file: str | Path) -> tuple[list[dict[str, Any]], list[int]]:
    """Read the log's lines.

    Returns:
        The entries in their order, and the numbers (from 1) of lines that are no whole entry: a
        run that is killed while it writes leaves half a line.
    """
    entries, broken = [], []
    for number, line in enumerate(Path(file).read_text(errors='replace').splitlines(), 1):
        try:
            entry = json.loads(line) if line.strip() else None
        except ValueError:
            entry = ''
        if isinstance(entry, dict) and isinstance(entry.get('step'), int | float):
            entries.append(entry)
        elif entry is not None:
            broken.append(number)
    return entries, broken


def is_training(entry: Mapping[str, Any]) -> bool:
    """Whether an entry is of training; a validation's has no learning rate."""
    return 'lr' in entry


def scores_of(entry: Mapping[str, Any]) -> dict[str, float]:
    """What an entry measures, by name: losses and rates, or metrics."""
    return {
        name: value
        for name, value in entry.items()
        if name not in _COUNTERS and isinstance(value, int | float)
    }


def broken(training: Sequence[Mapping[str, Any]]) -> tuple[str, list[float]] | None:
    """What is NaN or infinite in a training's entries, and at which steps; None where nothing is.

    That is a loss; or, as mmseg's losses leave out what is NaN and are 0 then, the gradients' norm
    from some entry to the last, of several. Where a loss is scaled a norm may overflow for once.
    """
    steps: dict[str, list[float]] = {}
    for entry in training:
        for name, value in scores_of(entry).items():
            if 'loss' in name and not math.isfinite(value):
                steps.setdefault(name, []).append(entry['step'])
    if steps:
        name = 'loss' if 'loss' in steps else next(iter(steps))
        return name, steps[name]
    last: list[float] = []
    for entry in reversed(training):
        if math.isfinite(entry.get('grad_norm', 0.0)):
            break
        last.insert(0, entry['step'])
    return ('grad_norm', last) if len(last) > 1 else None


def last_scores(scalars: str | Path, step: int | None = None) -> dict[str, float]:
    """The metrics of the last validation in the log, or of that at ``step``."""
    scores: dict[str, float] = {}
    for entry in read_scalars(scalars)[0]:
        if not is_training(entry) and step in (None, entry['step']):
            scores = scores_of(entry)
    return scores
