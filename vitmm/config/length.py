"""What a training's length is counted in."""

from collections.abc import Mapping
from typing import Any


def counts_epochs(train_cfg: Mapping[str, Any]) -> bool:
    """Whether a config's ``train_cfg`` counts epochs, not iterations."""
    if 'by_epoch' in train_cfg:
        return bool(train_cfg['by_epoch'])
    if train_cfg.get('type'):
        return 'Iter' not in str(train_cfg['type'])
    return 'max_epochs' in train_cfg
