"""What the Runner calls beside the model: hooks and seeds."""

from vitmm.engine.hooks import AtomicCheckpointHook, DrawSome, EpochSeedHook
from vitmm.engine.seeding import seed_worker

__all__ = ['AtomicCheckpointHook', 'DrawSome', 'EpochSeedHook', 'seed_worker']
