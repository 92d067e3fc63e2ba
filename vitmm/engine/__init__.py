"""What the Runner calls beside the model: loops, hooks, the optimiser's wrapper, seeds."""

from vitmm.engine.hooks import (
    AtomicCheckpointHook,
    ChannelsLastHook,
    CompileHook,
    DrawSome,
    EpochSeedHook,
    FewerHaltsHook,
    FullPrecisionHook,
    MergeLoRAHook,
    ProgressHook,
    RuntimeInfoHook,
    ThawHook,
)
from vitmm.engine.loops import TestLoop, ValLoop
from vitmm.engine.optim import LayerDecayConstructor, OptimWrapper
from vitmm.engine.seeding import seed_worker
from vitmm.engine.viewing import PictureBackend

__all__ = [
    'AtomicCheckpointHook',
    'ChannelsLastHook',
    'CompileHook',
    'DrawSome',
    'EpochSeedHook',
    'FewerHaltsHook',
    'FullPrecisionHook',
    'LayerDecayConstructor',
    'MergeLoRAHook',
    'OptimWrapper',
    'PictureBackend',
    'ProgressHook',
    'RuntimeInfoHook',
    'TestLoop',
    'ThawHook',
    'ValLoop',
    'seed_worker',
]
