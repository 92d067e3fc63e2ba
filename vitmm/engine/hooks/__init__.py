"""One hook a file."""

from vitmm.engine.hooks.atomic_checkpoint import AtomicCheckpointHook
from vitmm.engine.hooks.draw_some import DrawSome
from vitmm.engine.hooks.epoch_seed import EpochSeedHook

__all__ = ['AtomicCheckpointHook', 'DrawSome', 'EpochSeedHook']
