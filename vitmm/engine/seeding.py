"""Random numbers that depend on the seed, the epoch, the rank and the worker alone."""

import os
import random
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, get_worker_info

from vitmm.datasets.freed_memory import keep_freed_memory
from vitmm.registry import FUNCTIONS

_TOLD = '_vitmm_pass_and_seed'  # of a data set: memory that its workers share with the main process


def seed_everything(*entropy: int) -> None:
    """Seed Python, NumPy and torch from a sequence of non-negative integers."""
    state = int(np.random.SeedSequence(entropy).generate_state(1)[0])
    random.seed(state)
    np.random.seed(state)
    torch.manual_seed(state)


def tell_workers(loader: DataLoader) -> None:
    """Have workers that stay begin the next pass through the data as new ones would.

    Call it before the pass. torch draws a number for workers that begin, and none for those that
    stay: here it is drawn for them, so that both see the same numbers, in this process, too.
    """
    if not getattr(loader, 'persistent_workers', False):
        return
    told = getattr(loader.dataset, _TOLD, None)
    if told is None:
        told = torch.zeros(2, dtype=torch.int64).share_memory_()
        setattr(loader.dataset, _TOLD, told)
    if loader._iterator is not None:
        told[0] += 1
        told[1].random_(generator=loader.generator)


@FUNCTIONS.register_module()
def seed_worker(worker_id: int) -> None:
    """Seed a loader's worker from what torch drew for it in the main process.

    MMEngine's own ``worker_init_fn`` gives a worker the same seed in every epoch, so that its
    augmentations repeat; torch's differs by epoch, and follows :class:`EpochSeedHook`. The rank
    has a part in it: loops by iterations begin their pass before any hook, in all processes alike.
    The worker is also told to keep the memory of its images.
    """
    keep_freed_memory()
    _seed(torch.initial_seed())
    worker = get_worker_info()
    if worker and hasattr(worker.dataset, _TOLD):
        _seed_each_pass(worker.dataset, worker_id)


def _seed(number: int) -> None:
    rank = os.environ.get('RANK', '')  # a worker need not know the process group
    seed_everything(number, *([int(rank)] if rank.isdigit() and int(rank) else []))


def _seed_each_pass(dataset: Any, worker_id: int) -> None:
    """In a worker: seed it again before the first batch of a pass that it is told of."""
    told, plain = getattr(dataset, _TOLD), getattr(dataset, '__getitems__', None)
    seen = int(told[0])

    def fetch(indices: list[int]) -> list[Any]:
        nonlocal seen
        number, seed = told.tolist()
        if number != seen:
            seen = number
            _seed(seed + worker_id)
        return plain(indices) if plain else [dataset[index] for index in indices]

    dataset.__getitems__ = fetch  # torch's fetcher asks for it
