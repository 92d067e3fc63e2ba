"""The peak of the bytes that tensors hold, which is the same in every run.

A process's resident memory has the gaps of malloc's heap on top, which hinge on the order of sizes
and differ from run to run.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import torch


def peak(function: Callable[[], object], device: str = 'cpu') -> int:
    """Call it; the most bytes that its tensors, operators' scratch included, held at once.

    What was held before does not count. On a CPU by torch's profiler, which tells of every
    allocation, on a GPU by its allocator.
    """
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        function()
        return torch.cuda.max_memory_allocated() - before
    os.environ.setdefault('KINETO_LOG_LEVEL', '99')  # else it reports its own start and end
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as told:
        function()
    events = [e for e in told.profiler.kineto_results.events() if e.name() == '[memory]']
    live = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        live += event.nbytes()
        most = max(most, live)
    return most
