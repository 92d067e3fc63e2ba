"""A hook that measures a training; benchmarks/memory_worker.py hangs it into the recipe."""

import ctypes
import json
import statistics
import time
from itertools import pairwise
from pathlib import Path

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch.distributed.tensor import DTensor

from vitmm.apis.memory import forget_peak, peak

MIB = 2**20


@HOOKS.register_module()
class MeasureHook(Hook):
    """Peak memory of training alone, bytes that outlive an iteration, seconds an update."""

    priority = 'ABOVE_NORMAL'  # before the log; a validation follows the last iteration

    def __init__(self, out: str, parts: int) -> None:
        self.out = Path(out)
        self.parts = parts
        self.ends: list[float] = []
        self.peak = 0

    def before_train(self, runner) -> None:
        if not torch.cuda.is_available():
            # What starting has left behind is not training's: give it back.
            ctypes.CDLL('libc.so.6').malloc_trim(0)
        forget_peak()

    def after_train_iter(self, runner, *args, **kwargs) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.ends.append(time.perf_counter())
        self.peak = max(self.peak, peak())  # a line of MMEngine's log forgets it, on a GPU

    def after_train(self, runner) -> None:
        updates = self.ends[self.parts - 1 :: self.parts]
        seconds = [b - a for a, b in pairwise(updates)]
        optimizer = runner.optim_wrapper.optimizer
        parameters = [p for group in optimizer.param_groups for p in group['params']]
        tensors = [v for values in optimizer.state.values() for v in values.values() if v.ndim]
        kept = parameters + [p for p in parameters if p.requires_grad] + tensors
        row = dict(
            peak=self.peak / MIB,
            state=sum(_own(t).numel() * t.element_size() for t in kept) / MIB,
            seconds=statistics.median(seconds),
        )
        if is_main_process():
            self.out.write_text(json.dumps(row))


def _own(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor
