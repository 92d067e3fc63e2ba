"""Runs compared: a table of how far, how well and how fast, and their curves."""

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from math import isnan
from os.path import commonpath
from pathlib import Path

import numpy as np
from tqdm import tqdm

from vitmm.apis.runs import LogError, Run, read_run
from vitmm.apis.scalars import broken, scores_of
from vitmm.errors import did_you_mean
from vitmm.whole_files import write_whole


def analyze_logs(
    paths: Sequence[str | Path],
    *,
    keys: Sequence[str] | None = None,
    out: str | Path | None = None,
    csv_file: str | Path | None = None,
) -> str:
    """Compare training runs by their logs.

    Args:
        paths: work dirs, or ``scalars.json`` files, of MMEngine's runs. Of several, those that are
            no run or have no results yet are left out, with a line each on stderr.
        keys: what is drawn and goes into the CSV; ``bbox_mAP`` also names ``coco/bbox_mAP``. By
            default the CSV has all, and the picture losses, learning rate and metrics that all
            runs have.
        out: a picture of curves, ``.png``, ``.jpg``, ``.pdf`` or ``.svg``.
        csv_file: every logged value: run, iteration, epoch, key, value.

    Returns:
        A table for people, and notes below it. ``s/iter`` is the median and, in brackets, the
        quartiles of the logged means of seconds an iteration; ``data`` is the share of it that
        waits for data. ``ETA`` is what training iterations are left times that median;
        validations come on top.

    Raises:
        LogError: no such path, no run with results, a key that no run or not every run has.
        VitmmError: a file that cannot be written.
    """
    runs, paths = _read(paths)
    _tell_apart(runs, paths)
    chosen = [_find(key, runs) for key in keys or ()]
    notes = [*_other_data(runs), *_broken_losses(runs)]
    notes += [note for run in runs for note in run.notes]
    lines = [_table(runs), *(f'note: {note}' for note in notes)]
    try:
        if out is not None:
            _draw(runs, chosen, Path(out))
            lines.append(f'curves: {out}')
        if csv_file is not None:
            write_whole(csv_file, _csv(runs, chosen))
            lines.append(f'values: {csv_file}')
    except OSError as error:
        raise LogError(
            f'cannot write {error.filename or out}: {error.strerror or error}.'
        ) from error
    return '\n'.join(lines)


def _read(paths: Sequence[str | Path]) -> tuple[list[Run], list[str | Path]]:
    """The runs among paths, and their paths: ``work_dirs/*`` has other things, too."""
    if not paths:
        raise LogError('give the work dir of a run, or more of them.')
    runs, kept = [], []
    for path in tqdm(paths, desc='logs', unit='run', disable=None, delay=1):
        try:
            runs.append(read_run(path))
            kept.append(path)
        except LogError as error:
            if len(paths) == 1 or not Path(path).exists():  # a name that was mistyped
                raise
            tqdm.write(f'note: left out: {error}', file=sys.stderr)
    if not runs:
        raise LogError(f'none of these {len(paths)} paths is a run with results.')
    return runs, kept


def _tell_apart(runs: list[Run], paths: Sequence[str | Path]) -> None:
    """Runs of one name are called by what their paths differ in."""
    names = [run.name for run in runs]
    if len(set(names)) < len(names):
        whole = [Path(path).resolve() for path in paths]
        shared = commonpath(whole)
        for number, (run, path) in enumerate(zip(runs, whole, strict=True), 1):
            told = str(path.relative_to(shared)) if len(set(whole)) == len(whole) else ''
            run.name = told if told not in ('', '.') else f'{run.name} ({number})'


def _other_data(runs: list[Run]) -> Iterator[str]:
    """A warning where metrics stand side by side that are of different data."""
    names: dict[str, list[str]] = {}
    for run in runs:
        if run.data:
            names.setdefault(run.data, []).append(run.name)
    if len(names) > 1:
        told = '; '.join(f'{", ".join(some)} on {data}' for data, some in names.items())
        yield f'not validated on the same data, so their metrics do not compare: {told}'


def _broken_losses(runs: list[Run]) -> Iterator[str]:
    """Where a loss is no number any more, which its curve cannot show."""
    for run in runs:
        if found := broken(run.training):
            name, steps = found
            yield (
                f'{run.name}: {name} is NaN or infinite in {len(steps)} of {len(run.training)} '
                f'logged lines, first at iteration {steps[0]}'
            )


def _find(key: str, runs: list[Run]) -> str:
    """The whole name of a key that every run has."""
    known = list(dict.fromkeys(name for run in runs for name in run.keys))
    short = {name.rpartition('/')[2]: name for name in reversed(known)}
    name = key if key in known else short.get(key)
    if name is None:
        raise LogError(
            f"no run logs '{key}'.{did_you_mean(key, [*known, *short])} There are: "
            f'{", ".join(known)}.'
        )
    if lacking := [run.name for run in runs if name not in run.keys]:
        shared = [one for one in known if all(one in run.keys for run in runs)]
        raise LogError(
            f"'{key}' is not common to the runs: {', '.join(lacking)} has none. "
            f'All log: {", ".join(shared) or "nothing"}.'
        )
    return name


def _draw(runs: list[Run], keys: list[str], out: Path) -> None:
    from vitmm.apis.curves import draw_curves, is_drawable, save_figure  # matplotlib takes a second

    if not is_drawable(out):
        raise LogError(f'--out {out}: curves are written as .png, .jpg, .pdf or .svg.')
    by_epoch = all(run.by_epoch and run.epoch_length for run in runs)
    save_figure(draw_curves(runs, _panels(runs, keys), by_epoch), out)


def _panels(runs: list[Run], keys: list[str]) -> list[list[str]]:
    if keys:
        return [[key] for key in keys]
    losses, others = [], []
    for key in runs[0].keys:
        in_training = any(key in entry for entry in runs[0].training)
        # Of a run that has not been validated yet, no metrics can be asked for.
        askable = [run for run in runs if in_training or run.validations]
        if not all(run.curve(key)[0] for run in askable):
            continue
        if in_training and 'loss' in key:
            losses.append(key)
        elif key == 'lr' or not in_training:
            others.append(key)
    metrics = [key for key in others if not any(key.startswith(f'{one}_') for one in others)]
    if not losses and not metrics:
        logged = '; '.join(f'{run.name}: {", ".join(run.keys)}' for run in runs)
        raise LogError(f'the runs have no key in common. {logged}.')
    together = [losses] if len(runs) == 1 and losses else [[key] for key in losses]
    return [*together, *([key] for key in metrics)]


def _csv(runs: list[Run], keys: list[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['run', 'iteration', 'epoch', 'key', 'value'])
    for run in runs:
        training = [(entry['step'], entry) for entry in run.training]
        for number, (step, entry) in enumerate([*training, *run.validations]):
            told = entry.get('epoch')
            if told is None and step is not None and run.by_epoch and run.epoch_length:
                told = step // run.epoch_length
            values = scores_of(entry)
            if number < len(training):  # a validation's times are of its own batches
                values |= {key: entry[key] for key in ('time', 'data_time') if key in entry}
            for key, value in values.items():
                if not keys or key in keys:
                    writer.writerow([run.name, step, told, key, value])
    return text.getvalue()


def _table(runs: list[Run]) -> str:
    head = ('run', 'done', 'metric', 'best', 'last', 's/iter', 'data', 'ETA', 'resumed')
    rows = [head, *(_row(run) for run in runs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return '\n'.join(
        '  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _row(run: Run) -> tuple[str, ...]:
    seconds = np.array([entry['time'] for entry in run.training if 'time' in entry])
    waiting = np.array(
        [entry.get('data_time', np.nan) for entry in run.training if 'time' in entry]
    )
    pace = share = eta = '-'
    if len(seconds):
        low, middle, high = np.percentile(seconds, (25, 50, 75))
        pace = f'{middle:.3f} ({low:.3f}-{high:.3f})'
        share = f'{np.nansum(waiting) / seconds.sum():.0%}'
        if run.total:
            left = max(run.total - run.done, 0) * middle
            eta = str(timedelta(seconds=round(left))) if left else 'done'
    best, last = _best_and_last(run)
    metric = (run.metric or '-').rpartition('/')[2]
    return run.name, _progress(run), metric, best, last, pace, share, eta, str(run.resumed)


def _progress(run: Run) -> str:
    whole = '?' if run.length is None else run.length
    if not run.by_epoch:
        return f'{run.done:.0f}/{whole} iterations'
    if run.epoch_length:
        return f'{run.done / run.epoch_length:.3g}/{whole} epochs'
    last = max((entry.get('epoch', 0) for entry in run.training), default=0)
    return f'in {last}/{whole} epochs'


def _best_and_last(run: Run) -> tuple[str, str]:
    scored = [(step, entry[run.metric]) for step, entry in run.validations if run.metric in entry]
    if not scored:
        return '-', '-'
    last = f'{scored[-1][1]:.4g}'
    if run.greater is None:
        return '-', last
    numbers = [one for one in scored if not isnan(one[1])]
    if not numbers:
        return '-', last
    step, best = (max if run.greater else min)(numbers, key=lambda one: one[1])
    if step is None:
        return f'{best:.4g}', last
    at = f'epoch {step / run.epoch_length:g}' if run.by_epoch and run.epoch_length else f'{step}'
    return f'{best:.4g} ({at})', last
