"""What the Runner calls beside the model: hooks and seeds."""

from vitmm.engine.hooks import (
    AtomicCheckpointHook,
    DrawSome,
    EpochSeedHook,
    MergeLoRAHook,
    ThawHook,
)
from vitmm.engine.optim import LayerDecayConstructor
from vitmm.engine.seeding import seed_worker
from vitmm.engine.viewing import PictureBackend

__all__ = [
    'AtomicCheckpointHook',
    'DrawSome',
    'EpochSeedHook',
    'LayerDecayConstructor',
    'MergeLoRAHook',
    'PictureBackend',
    'ThawHook',
    'seed_worker',
]
