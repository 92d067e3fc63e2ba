"""Random numbers that depend on the seed, the epoch, the rank and the worker alone."""

import random

import numpy as np
import torch

from vitmm.datasets.freed_memory import keep_freed_memory
from vitmm.registry import FUNCTIONS


def seed_everything(*entropy: int) -> None:
    """Seed Python, NumPy and torch from a sequence of non-negative integers."""
    state = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    random.seed(state)
    np.random.seed(state)
    torch.manual_seed(state)


@FUNCTIONS.register_module()
def seed_worker(worker_id: int) -> None:
    """Seed a loader's worker from what torch drew for it in the main process.

    MMEngine's own ``worker_init_fn`` gives a worker the same seed in every epoch, so that its
    augmentations repeat; torch's differs by epoch, and follows :class:`EpochSeedHook`.
    The worker is also told to keep the memory of its images.
    """
    keep_freed_memory()
    seed_everything(torch.initial_seed())
