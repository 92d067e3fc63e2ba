"""Python's collector of reference cycles, kept away from what imports bring."""

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_starting = False
_ends: set[Callable[[], None]] = set()


@contextmanager
def starting() -> Iterator[None]:
    """Pause the collector until :func:`started`, or until the block ends.

    torch, timm and OpenMMLab bring half a million objects that stay. The collector would look
    through all that are there again and again, and MMEngine asks it to for each data set: a third
    of the time to the first iteration.
    """
    global _starting
    if not gc.isenabled():
        yield
        return
    gc.disable()
    _starting = True
    try:
        yield
    finally:
        started()


def set_aside() -> None:
    """While a run starts: what is there by now, modules and all in them, is never looked through.

    Not what has to go before the process does: a Runner and its model are a cycle.
    """
    if _starting:
        gc.freeze()


def when_started(end: Callable[[], None]) -> bool:
    """Call ``end`` when the start is over; False if there is none, or no more."""
    if _starting:
        _ends.add(end)
    return _starting


def started() -> None:
    """The start is over: collect."""
    global _starting
    if _starting:
        while _ends:
            _ends.pop()()
        gc.enable()
        _starting = False


@contextmanager
def paused() -> Iterator[None]:
    """Pause the collector for a block that makes many objects and no cycles."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


if hasattr(os, 'register_at_fork'):  # workers may begin before, and live as long as the run
    os.register_at_fork(after_in_child=started)
