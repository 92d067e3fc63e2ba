"""What the Runner calls beside the model: hooks and seeds."""

from vitmm.engine.hooks import AtomicCheckpointHook, EpochSeedHook
from vitmm.engine.seeding import seed_worker

__all__ = ['AtomicCheckpointHook', 'EpochSeedHook', 'seed_worker']
