"""A batch in one piece of shared memory."""

from __future__ import annotations

import io
import os
import pickle
from typing import Any

import numpy as np
import torch
from torch.utils.data import get_worker_info

from vitmm.datasets import lent_memory

LARGE = 2**14  # bytes of an array from which on it goes through shared memory
_ALIGNED = 64  # bytes


class Parcel:
    """A batch on its way to another process, where it arrives as what it was made of.

    torch hands over each tensor as a file of shared memory of its own, which two processes agree
    upon over a socket and keep open: of an image with its boxes that is five. Of a parcel it is one
    for the whole batch, where large tensors and arrays lie one after the other; all else, small
    tensors too, is pickled. On Linux a worker uses it again (:mod:`vitmm.datasets.lent_memory`).

    Args:
        batch: anything that pickles.
    """

    def __init__(self, batch: Any) -> None:
        self.large: list[memoryview] = []

        def stays_inside(buffer: pickle.PickleBuffer) -> bool:
            raw = buffer.raw()
            if raw.nbytes >= LARGE:
                self.large.append(raw)
            return raw.nbytes < LARGE

        # Here, where an error reaches the training process; __reduce__ runs in another thread.
        pickled = io.BytesIO()
        _Pickler(pickled, protocol=5, buffer_callback=stays_inside).dump(batch)
        self.pickled = pickled.getvalue()

    def __reduce__(self) -> tuple:
        places, end = [], 0
        for raw in self.large:
            places.append((end, end + raw.nbytes))
            end += -(-raw.nbytes // _ALIGNED) * _ALIGNED
        whole, shared = _memory(end)
        for raw, (start, stop) in zip(self.large, places, strict=True):
            whole[start:stop] = np.frombuffer(raw, np.uint8)
        return _unpack, (self.pickled, shared, places)


def _memory(size: int) -> tuple[np.ndarray, torch.Tensor | lent_memory.Ticket]:
    """Shared memory, and what to tell the other process of it."""
    if size and get_worker_info() and hasattr(os, 'memfd_create'):
        try:
            whole, ticket = lent_memory.lend(size)
            return whole[lent_memory.START :], ticket
        except OSError:
            pass  # a system that forbids it
    shared = torch.empty(0, dtype=torch.uint8)
    if size:
        # What torch's own collate_fn stacks images into.
        shared.set_(torch.UntypedStorage._new_shared(size))
    return shared.numpy(), shared


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is torch.Tensor:
            try:
                return torch.from_numpy, (obj.contiguous().numpy(),)
            except (TypeError, RuntimeError):  # bfloat16, sparse, on a GPU, with a gradient
                pass  # are pickled as torch does it
        return NotImplemented


def _unpack(
    pickled: bytes, shared: torch.Tensor | lent_memory.Ticket, places: list[tuple[int, int]]
) -> Any:
    if isinstance(shared, torch.Tensor):
        whole = memoryview(shared.numpy())
    else:
        whole = memoryview(lent_memory.borrow(shared))[lent_memory.START :]
    return pickle.loads(pickled, buffers=[whole[start:stop] for start, stop in places])
