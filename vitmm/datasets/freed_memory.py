"""Memory that a process keeps for its next image, or its next iteration."""

import ctypes

_TRIM, _MMAP = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of mallopt(3)
KEPT = 128 * 2**20  # bytes: some images of a worker
MOST = 2**31 - 1  # bytes: what a model on a CPU computes with, as much as glibc takes
LARGEST = 32 * 2**20  # bytes of an array that may lie there; glibc takes no more


def keep_freed_memory(kept: int = KEPT) -> bool:
    """Have malloc keep what is freed in this process.

    glibc gives arrays of some megabytes back to the system at once, and asks for them again, page
    by page, for the next image: up to half the time of a detection pipeline, and a quarter of a
    ConvNeXt's iteration on a CPU. Arrays above 32 MiB still come and go.

    Args:
        kept: bytes, ``MOST`` at most.

    Returns:
        Whether it could: other C libraries than glibc have no such setting.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP, LARGEST) and mallopt(_TRIM, kept))
