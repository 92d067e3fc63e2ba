"""What a training's length is counted in, and what follows from it: ``${training.sampler}``."""

from collections.abc import Mapping
from typing import Any

from vitmm.config.kinds import kind_of
from vitmm.errors import ConfigError

_LOOPS = {'EpochBasedTrainLoop': True, 'IterBasedTrainLoop': False}  # whether they count epochs
_VAL_INTERVAL = 1000  # iterations, of MMEngine's IterBasedTrainLoop


def counts_epochs(train_cfg: Mapping[str, Any]) -> bool:
    """Whether a config's ``train_cfg`` counts epochs, not iterations."""
    if 'by_epoch' in train_cfg:
        return bool(train_cfg['by_epoch'])
    if (kind := kind_of(train_cfg)) in _LOOPS:
        return _LOOPS[kind]
    return 'max_iters' not in train_cfg


def describe(train_cfg: Mapping[str, Any] | None) -> dict[str, bool | int | str]:
    """What schedules, logs, checkpoints and samplers are set by, so that all count alike.

    Returns:
        ``by_epoch``: whether epochs are counted; ``length``: of the training, in these or in
        iterations, if that is told; ``save_interval``: how many from checkpoint to checkpoint, an
        epoch or the iterations between two validations; ``sampler``: the type of MMEngine's that
        shuffles images for such a loop.

    Raises:
        ConfigError: one of MMEngine's loops without a length, or with none of 1 or more, or named
            twice.
    """
    train_cfg = train_cfg if isinstance(train_cfg, Mapping) else {}
    kind, by_epoch = kind_of(train_cfg), counts_epochs(train_cfg)
    if kind and 'by_epoch' in train_cfg:
        raise ConfigError(
            f'train_cfg: type={kind} and by_epoch={by_epoch} both name the loop. '
            'train_cfg._delete_=True drops what a base sets there.'
        )
    told = {
        'by_epoch': by_epoch,
        'save_interval': 1 if by_epoch else train_cfg.get('val_interval', _VAL_INTERVAL),
        'sampler': 'DefaultSampler' if by_epoch else 'InfiniteSampler',
    }
    key = 'max_epochs' if by_epoch else 'max_iters'
    if key in train_cfg:
        told['length'] = count(train_cfg[key], f'train_cfg.{key}')
    elif kind in _LOOPS or 'by_epoch' in train_cfg:
        unit = 'epochs' if by_epoch else 'iterations'
        raise ConfigError(f'train_cfg: it counts {unit}, and needs {key}.')
    return told


def is_endless(config: Mapping[str, Any]) -> bool:
    """Whether a sampler without end meets a training that counts epochs: its first never ends."""
    sampler = (config.get('train_dataloader') or {}).get('sampler') or {}
    train_cfg = config.get('train_cfg') or {}
    return kind_of(sampler) == 'InfiniteSampler' and bool(train_cfg) and counts_epochs(train_cfg)


def count(value: Any, name: str) -> int:
    """A number of epochs, iterations, images, as a config has it.

    Raises:
        ConfigError: it is none of 1 or more.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ConfigError(f'{name} is a whole number, 1 or more, not {value!r}.')
    return value
