"""Memory that a process keeps for its next image."""

import ctypes

_TRIM, _MMAP = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of mallopt(3)
KEPT = 128 * 2**20  # bytes
LARGEST = 32 * 2**20  # bytes of an array that may lie there; glibc takes no more


def keep_freed_memory() -> bool:
    """Have malloc keep what is freed, up to 128 MiB, in this process.

    glibc gives arrays of some megabytes back to the system at once, and asks for them again, page
    by page, for the next image: up to half the time of a detection pipeline. Images above 32 MiB
    still come and go.

    Returns:
        Whether it could: other C libraries than glibc have no such setting.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(_MMAP, LARGEST) and mallopt(_TRIM, KEPT))
