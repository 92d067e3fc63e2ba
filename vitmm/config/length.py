"""What a training's length is counted in, and what follows from it: ``${training.sampler}``."""

from collections.abc import Mapping
from typing import Any

from vitmm.errors import ConfigError

_VAL_INTERVAL = 1000  # iterations, of MMEngine's IterBasedTrainLoop


def counts_epochs(train_cfg: Mapping[str, Any]) -> bool:
    """Whether a config's ``train_cfg`` counts epochs, not iterations."""
    if 'by_epoch' in train_cfg:
        return bool(train_cfg['by_epoch'])
    if train_cfg.get('type'):
        return 'Iter' not in str(train_cfg['type'])
    return 'max_iters' not in train_cfg


def describe(train_cfg: Mapping[str, Any] | None) -> dict[str, bool | int | str]:
    """What schedules, logs, checkpoints and samplers are set by, so that all count alike.

    Returns:
        ``by_epoch``: whether epochs are counted; ``length``: of the training, in these or in
        iterations, unless nothing is trained; ``save_interval``: how many from checkpoint to
        checkpoint, an epoch or the iterations between two validations; ``sampler``: the type of
        MMEngine's that shuffles images for such a loop.

    Raises:
        ConfigError: a loop without a length.
    """
    train_cfg = train_cfg or {}
    by_epoch = counts_epochs(train_cfg)
    told = {
        'by_epoch': by_epoch,
        'save_interval': 1 if by_epoch else train_cfg.get('val_interval', _VAL_INTERVAL),
        'sampler': 'DefaultSampler' if by_epoch else 'InfiniteSampler',
    }
    key = 'max_epochs' if by_epoch else 'max_iters'
    if key in train_cfg:
        told['length'] = train_cfg[key]
    elif train_cfg:
        unit = 'epochs' if by_epoch else 'iterations'
        raise ConfigError(f'train_cfg: it counts {unit}, and needs {key}.')
    return told
