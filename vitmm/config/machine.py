"""What a config may ask of the machine that it runs on: ``${machine.workers}``."""

import os
from pathlib import Path

import torch

MOST = 8  # workers a process
_QUOTA = Path('/sys/fs/cgroup/cpu.max')  # of a container: 'max 100000' or '400000 100000'


def describe() -> dict[str, int | bool]:
    """What data loaders are set by.

    Returns:
        ``workers``: the processors that this process may use (by its affinity and its container),
        shared among the processes that torchrun started here, 1 to 8. ``gpu``: whether torch sees
        one.
    """
    share = processors() // int(os.environ.get('LOCAL_WORLD_SIZE', 1))
    return {'workers': min(max(share, 1), MOST), 'gpu': torch.cuda.is_available()}


def processors() -> int:
    """The processors that this process may use."""
    try:
        number = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS
        number = os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text().split()
        return max(1, min(number, int(quota) // int(period)))
    except (OSError, ValueError):  # no container, or one without a limit
        return number
