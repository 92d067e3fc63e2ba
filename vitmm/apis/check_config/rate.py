"""A learning rate that is not scaled to the batch."""

import re
from functools import cache
from pathlib import Path

from vitmm.apis.check_config.case import Case
from vitmm.config import load_config
from vitmm.config.origin import COMMAND_LINE

_NAMED = re.compile(r'[_-](\d+)xb\d+')  # OpenMMLab's 8xb2: eight processes, two images in each
_LR = ('optim_wrapper', 'optimizer', 'lr')
_BATCH = ('train_dataloader', 'batch_size')


def processes_of(path: Path) -> int:
    """How many processes a config file's name says that it is for; 1 if it says nothing."""
    named = _NAMED.search(path.stem)
    return int(named[1]) if named else 1


def check_rate(case: Case) -> None:
    """Compare the batch with the one that the rate is for.

    That is ``auto_scale_lr.base_batch_size``, or else the batch of the recipe whose rate is taken
    over: if the command line changes the batch alone, or a recipe that inherits from another.
    """
    scaling = case.get('auto_scale_lr') or {}
    batch, lr = case.get(*_BATCH), case.get(*_LR)
    if scaling.get('enable') or not isinstance(batch, int) or not isinstance(lr, float | int):
        return
    counts = case.get('optim_wrapper', 'accumulative_counts') or 1
    whole = batch * case.processes
    sizes = f'{batch} x {case.processes} processes' if case.processes > 1 else f'{batch}'
    base = scaling.get('base_batch_size')
    if base:
        # MMEngine's scaling leaves accumulation out of the batch; some count it in the base.
        if base not in (whole, whole * counts):
            more = f'train with {base // batch} processes (--processes), '
            more = '' if base % batch else more
            case.say(
                'rate',
                case.origins.latest(_BATCH, ('auto_scale_lr', 'base_batch_size')),
                f'the learning rate {lr:g} is for batches of {base} images, not of {sizes}',
                f'{more}set auto_scale_lr.enable=True, or set both to what you mean',
            )
        return
    before = _batch_where_rate_was_set(case)
    if before and before != batch * counts:
        case.say(
            'rate',
            _BATCH,
            f'the learning rate {lr:g} was set for batches of {before} images, not of '
            f'{batch * counts}',
            f'set optim_wrapper.optimizer.lr too (in proportion: {lr * batch * counts / before:g})',
        )


def _batch_where_rate_was_set(case: Case) -> int | None:
    place = case.origins.find(_LR)
    if place.file == COMMAND_LINE:
        return None
    if case.origins.find(_BATCH).file == COMMAND_LINE or 'optim_wrapper.accumulative_counts' in (
        case.options
    ):
        return _batch(case.path, case.origins.data)
    files = case.origins.files
    for number, file in reversed(list(enumerate(files[:-1]))):
        if '_base_' in Path(file).parts or not (before := _batch(Path(file), None)):
            continue  # a part of a recipe
        later = place.file in files[number + 1 :]
        return None if later else before
    return None


@cache
def _batch(path: Path, data: str | None) -> int | None:
    config = load_config(path, data)
    batch = (config.get('train_dataloader') or {}).get('batch_size')
    counts = (config.get('optim_wrapper') or {}).get('accumulative_counts') or 1
    return batch * counts if isinstance(batch, int) else None
