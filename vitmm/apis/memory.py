"""How much memory this process has taken at most: of the GPU where there is one."""

import resource
import sys
from contextlib import suppress
from pathlib import Path

import torch


def resident() -> float:
    """Bytes that the process has in main memory now; 0 where the system does not tell."""
    with suppress(OSError, StopIteration):
        return _status('VmRSS')
    return 0.0


def forget_peak() -> None:
    """Let the peak begin anew, where the system can."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return
    with suppress(OSError):  # Linux only
        Path('/proc/self/clear_refs').write_text('5')


def peak(before: float = 0.0) -> float:
    """Bytes: on a GPU all that PyTorch had allocated, on a CPU what came since ``before``.

    Args:
        before: what :func:`resident` said then. Without Linux it is not subtracted.
    """
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    with suppress(OSError, StopIteration):
        return max(0.0, _status('VmHWM') - before)  # it may have given memory back
    scale = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def _status(key: str) -> float:
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith(f'{key}:'))
