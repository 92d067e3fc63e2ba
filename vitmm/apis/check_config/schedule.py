"""Schedules that end before or after the training, and what counts in the wrong unit."""

from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any

from vitmm.apis.check_config.case import Case
from vitmm.apis.check_config.images import count_images
from vitmm.config.kinds import kind_of
from vitmm.config.length import counts_epochs, is_endless
from vitmm.config.places import Key

_WARM_UP = ('Linear', 'Constant')
_STEPS = ('MultiStep', 'Step', 'Exponential')
_GRADUAL = ('CosineAnnealing', 'Poly')


def check_schedule(case: Case) -> None:
    """Compare every schedule, interval and hook with the length of the training."""
    cfg = case.get('train_cfg') or {}
    if is_endless(case.said):
        case.say(
            'schedule',
            ('train_dataloader', 'sampler', 'type'),
            'InfiniteSampler has no end, and the training counts epochs, so its first never ends',
            "set type='DefaultSampler', or train by iterations",
        )
    by_epoch = counts_epochs(cfg)
    length = cfg.get('max_epochs' if by_epoch else 'max_iters')
    if not isinstance(length, int):
        return
    unit = 'epochs' if by_epoch else 'iterations'
    limits = {unit: length}
    if by_epoch and (batches := _batches(case)):
        limits['iterations'] = length * batches
    schedulers = list(_schedulers(case.get('param_scheduler')))
    everyone = [one for _, one in schedulers]
    for key, one in schedulers:
        own = 'epochs' if one.get('by_epoch', True) else 'iterations'
        if own == 'epochs' and not by_epoch:
            case.say(
                'schedule',
                (*key, 'by_epoch') if 'by_epoch' in one else key,
                f'{one["type"]} counts epochs in a training that counts iterations, so it never '
                'takes a step',
                'set by_epoch=False, and its begin and end in iterations',
            )
        elif own in limits:
            _check_end(case, key, one, everyone, limits[own])
    _check_intervals(case, length, unit)


def _schedulers(value: Any, key: Key = ('param_scheduler',)) -> Iterator[tuple[Key, Any]]:
    """Each with its key; several optimisers have a dict of lists."""
    if isinstance(value, Mapping) and 'type' not in value:
        for name, inner in value.items():
            yield from _schedulers(inner, (*key, name))
    elif isinstance(value, Mapping):
        yield key, value
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            yield from _schedulers(inner, (*key, place))


def _check_end(case: Case, key: Key, one: Mapping[str, Any], others: list, length: int) -> None:
    """``length`` is that of the training, in the unit of the schedule ``one``."""
    kind = kind_of(one)
    begin, end, period = one.get('begin', 0), one.get('end', length), one.get('T_max')
    if not (isinstance(begin, int) and isinstance(end, int)):
        return
    unit = 'epochs' if one.get('by_epoch', True) else 'iterations'
    training = f'the training of {length} {unit}'
    if kind.startswith('MultiStep'):
        late = [m for m in one.get('milestones', ()) if m >= length]
        if late:
            what = f'{kind} has milestones ({", ".join(map(str, late))}) behind the end of '
            case.say('schedule', (*key, 'milestones'), what + training, 'put them before it')
    if begin >= length:
        what = f'{kind} begins at {begin}, behind the end of {training}'
        case.say('schedule', (*key, 'begin'), what, 'train longer, or let it begin sooner')
        return
    if period and 'end' in one and begin + period not in (end, end - 1):
        what = f'{kind} has T_max={period}, but lasts from {begin} to {end}'
        case.say('schedule', (*key, 'T_max'), what, f'set T_max to {end - begin}')
        return
    ends = begin + period if period and 'end' not in one else end
    place = (*key, 'T_max' if period and 'end' not in one else 'end')
    followed = any(other is not one and other.get('begin', 0) >= ends for other in others)
    if ends > length and kind.startswith((*_WARM_UP, *_GRADUAL)):
        what = f'{kind} ends at {ends}, after {training}'
        case.say('schedule', place, what, f'let it end at {length}, or before')
    elif ends < length and not followed and kind.startswith((*_STEPS, *_GRADUAL)):
        what = f'{kind} ends at {ends}, before {training}'
        case.say('schedule', place, what, f'let it end at {length}')


def _check_intervals(case: Case, length: int, unit: str) -> None:
    interval = case.get('train_cfg', 'val_interval')
    if case.get('val_dataloader') and isinstance(interval, int) and interval > length:
        case.say(
            'schedule',
            ('train_cfg', 'val_interval'),
            f'validation every {interval} {unit} never comes in {length} {unit}',
            f'set val_interval to {length} or less',
        )
    if unit == 'iterations':
        for key in (('default_hooks', 'checkpoint'), ('log_processor',)):
            settings = case.get(*key)
            if settings and settings.get('by_epoch', True):
                case.say(
                    'schedule',
                    (*key, 'by_epoch') if 'by_epoch' in settings else key,
                    f'{".".join(map(str, key))} counts epochs in a training that counts iterations',
                    'set by_epoch=False',
                )
    for name in ('default_hooks', 'custom_hooks'):
        hooks = case.get(name) or {}
        for at, hook in hooks.items() if isinstance(hooks, Mapping) else enumerate(hooks):
            after = (hook or {}).get('after')
            same = (hook or {}).get('by_epoch', True) is (unit == 'epochs')
            if isinstance(after, int) and same and after >= length:
                what = f'{hook["type"]} waits for {after} {unit} in a training of {length}'
                case.say('schedule', (name, at, 'after'), what, f'set after to less than {length}')


def _batches(case: Case) -> int | None:
    """How many an epoch has; None where the data is not on this machine."""
    loader = case.get('train_dataloader') or {}
    images = count_images(loader.get('dataset'), case.scope)
    if not images or not isinstance(loader.get('batch_size'), int):
        return None
    own = ceil(images / case.processes)  # of a process, as samplers round
    sampler = loader.get('batch_sampler') or {}
    if not loader.get('drop_last') and not sampler.get('drop_last'):
        return ceil(own / loader['batch_size'])
    batches = own // loader['batch_size']
    if not batches:
        inner = ('batch_size',), ('drop_last',), ('batch_sampler', 'drop_last')
        places = (('train_dataloader', *key) for key in inner)
        case.say(
            'schedule',
            case.origins.latest(*places),
            f'drop_last leaves no batch: {images} images for {case.processes} times '
            f'{loader["batch_size"]}',
            'take smaller batches, or leave it out',
        )
    return batches or None
