"""One training run, read from its logs, however often it was resumed."""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from mmengine.hooks import CheckpointHook

from vitmm.apis.scalars import is_training, read_scalars, scores_of
from vitmm.config.stored import read_stored
from vitmm.datasets.sources import leaves
from vitmm.errors import ConfigError, VitmmError

_LOG = 'vis_data/scalars.json'


class LogError(VitmmError, ValueError):
    """Logs that are not there, or do not hold what is asked for."""


@dataclass
class Run:
    """What the logs of one run tell.

    Attributes:
        name: of its work dir.
        training: the entries of training, by iteration (``step``).
        validations: the entries of validations, each with the iteration that it was after, or
            None where that cannot be known.
        resumed: how often it went on from a checkpoint.
        by_epoch: whether its length is counted in epochs.
        length: epochs or iterations of the whole run; None where its config is not there.
        epoch_length: iterations of an epoch; None where that cannot be known.
        saved: the iteration of the last checkpoint, 0 if unknown.
        metric: the metric that picks the best checkpoint; None without validation.
        greater: whether more of it is better; None where nobody says.
        data: what it was validated on, as its config says; None without validation.
        notes: what was wrong with the logs, for people.
    """

    name: str
    training: list[dict[str, Any]] = field(default_factory=list)
    validations: list[tuple[float | None, dict[str, Any]]] = field(default_factory=list)
    resumed: int = 0
    by_epoch: bool = True
    length: int | None = None
    epoch_length: int | None = None
    saved: int = 0
    metric: str | None = None
    greater: bool | None = None
    data: str | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def done(self) -> float:
        """Iterations that are known to be done."""
        last = self.training[-1]['step'] if self.training else 0
        return max(last, self.saved, *(step or 0 for step, _ in self.validations), 0)

    @property
    def total(self) -> int | None:
        """Iterations of the whole run, or None."""
        if not self.by_epoch or self.length is None:
            return self.length
        return self.epoch_length and self.length * self.epoch_length

    @property
    def keys(self) -> list[str]:
        """What is logged: losses and learning rates, then metrics."""
        entries = [*self.training, *(entry for _, entry in self.validations)]
        return list(dict.fromkeys(key for entry in entries for key in scores_of(entry)))

    def curve(self, key: str) -> tuple[list[float], list[float]]:
        """Iterations and values of a key; COCO's -1, of sizes without objects, is left out."""
        points = [(entry['step'], entry[key]) for entry in self.training if key in entry] or [
            (step, entry[key])
            for step, entry in self.validations
            if step is not None and entry.get(key, -1) != -1
        ]
        return [step for step, _ in points], [value for _, value in points]


def read_run(path: str | Path) -> Run:
    """Read a run: the logs of all its times are joined, and of what was done twice the later wins.

    Args:
        path: a work dir, one of its time folders, or a ``scalars.json``.

    Raises:
        LogError: no such path, or one without results.
    """
    path = Path(path)
    files = _find(path)
    # Of a scalars.json in its place the work dir's name tells more.
    named = path.resolve() if path.is_dir() else path.resolve().parent
    run = Run(named.parents[1].name if named.name == 'vis_data' else named.name)
    entries: list[dict[str, Any]] = []
    for file in files:
        found, broken = read_scalars(file)
        if broken:
            lines = ', '.join(map(str, broken))
            run.notes.append(f'{file}: line {lines} is cut off, as in a killed run: skipped')
        entries = _join(run, entries, found)
    if not entries:
        raise LogError(f'{path} has no results: {files[-1]} holds no whole line yet.')
    run.training = [entry for entry in entries if is_training(entry)]
    _read_settings(run, [file.with_name('config.py') for file in files], entries)
    run.epoch_length = _epoch_length(run.training) or _told_by_text(files)
    run.validations = list(_validations(entries, run.epoch_length))
    run.saved = _saved(path, run.epoch_length)
    return run


def _find(path: Path) -> list[Path]:
    if path.is_file():
        if path.suffix != '.json':
            raise LogError(f'{path} is no log: give a work dir or a scalars.json.')
        return [path]
    if not path.is_dir():
        raise LogError(f'there is no {path}: give a work dir or a scalars.json.')
    for pattern in (_LOG, f'*/{_LOG}'):
        # Folders are named by their time.
        if files := sorted(path.glob(pattern)):
            return files
    runs = sorted({str(file.parents[2]) for file in path.glob(f'*/*/{_LOG}')})
    hint = f' It holds runs, though: {" ".join(runs[:5])} …' if runs else ''
    raise LogError(f'{path} is no run with results: it has no <time>/{_LOG}.{hint}')


def _join(run: Run, before: list[dict], later: list[dict]) -> list[dict]:
    """Entries of a run and those after its resuming, from whose first step on the old ones go."""
    first = next((entry for entry in later if is_training(entry)), None)
    if first is None or not before:
        return before + later
    kept: list[dict] = []
    for entry in before:
        if is_training(entry) and entry['step'] >= first['step']:
            break
        kept.append(entry)
    if any(is_training(entry) for entry in kept):
        run.resumed += 1
    else:
        note = f'{run.name} was begun anew: what was logged before is left out'
        run.notes = [*(one for one in run.notes if one != note), note]
        run.resumed, kept = 0, []
    return kept + later


def _validations(entries: list[dict], epoch_length: int | None):
    last = 0
    for entry in entries:
        if is_training(entry):
            last = entry['step']
        elif entry['step'] >= last:  # iterations are counted: it comes after those of training
            yield entry['step'], entry
        else:
            yield epoch_length and entry['step'] * epoch_length, entry


def _epoch_length(training: list[dict]) -> int | None:
    """Iterations of an epoch: so far apart are the first lines of two epochs."""
    first: dict[int, int] = {}
    for entry in training:
        if 'epoch' in entry:
            first.setdefault(entry['epoch'], entry['step'])
    lengths = Counter(
        (step - before) / (epoch - previous)
        for (previous, before), (epoch, step) in pairwise(sorted(first.items()))
    )
    length = max(lengths, key=lambda one: lengths[one], default=0)
    return int(length) if length >= 1 and length == int(length) else None


def _told_by_text(files: list[Path]) -> int | None:
    """Iterations of an epoch as the text log beside says: ``Epoch(train) [1][ 20/100]``."""
    for log in (log for file in files for log in file.parent.parent.glob('*.log')):
        if found := re.search(
            r'Epoch\(train\) +\[\d+\]\[ *\d+/(\d+)\]', log.read_text(errors='replace')
        ):
            return int(found[1])
    return None


def _saved(work_dir: Path, epoch_length: int | None) -> int:
    noted = work_dir / 'last_checkpoint'
    found = (
        re.search(r'(epoch|iter)_(\d+)\.pth', noted.read_text(errors='replace'))
        if noted.is_file()
        else None
    )
    if not found:
        return 0
    return int(found[2]) * (1 if found[1] == 'iter' else epoch_length or 0)


def _validation_data(config: Mapping[str, Any]) -> str | None:
    dataset = (config.get('val_dataloader') or {}).get('dataset')
    told = []
    for leaf in leaves(dataset) if dataset else ():
        prefix = leaf.get('data_prefix')
        folders = prefix.values() if isinstance(prefix, Mapping) else [prefix]
        parts = [leaf.get('data_root'), leaf.get('ann_file') or '+'.join(map(str, folders))]
        told.append('/'.join(str(part).rstrip('/') for part in parts if part))
    return ', '.join(filter(None, told)) or None


def _read_settings(run: Run, configs: list[Path], entries: list[dict]) -> None:
    """Length and main metric, as the last config says; the metric may be the first logged."""
    config: Mapping[str, Any] = {}
    for file in configs:
        try:
            config = read_stored(file.read_text()) if file.is_file() else config
        except ConfigError as error:
            run.notes.append(f'{file}: {error}')
    run.data = _validation_data(config)
    loop = config.get('train_cfg') or {}
    iterations = loop.get('max_iters')
    run.length = iterations or loop.get('max_epochs')
    run.by_epoch = not iterations and any('epoch' in entry for entry in run.training)
    saving = (config.get('default_hooks') or {}).get('checkpoint') or {}
    scores = next((scores_of(entry) for entry in entries if not is_training(entry)), {})
    wanted, rule = saving.get('save_best'), saving.get('rule')
    run.metric = wanted if wanted in scores else next(iter(scores), None)
    if isinstance(rule, str) and run.metric:
        run.greater = rule == 'greater'
    elif run.metric:
        try:  # MMEngine tells it by the metric's name
            run.greater = CheckpointHook(save_best=run.metric).rules[0] == 'greater'
        except ValueError:
            run.greater = None
