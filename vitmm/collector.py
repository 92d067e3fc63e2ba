"""Python's collector of reference cycles, kept out of a command's start and end."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom, BufferedWriter, TextIOWrapper

_starting = False


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
        gc.unfreeze()  # a Runner, its model and its hooks are a cycle


def set_aside() -> None:
    """While a run starts: what is there by now is not looked through."""
    if _starting:
        gc.freeze()


def started() -> None:
    """The start is over: collect, but look only through what comes from now on.

    Loader workers then do not copy, page by page, what they share with this process.
    """
    global _starting
    if _starting:
        gc.freeze()
        gc.enable()
        _starting = False


def leave() -> None:
    """At the end of a process: its objects go with it, without a look through them (1.5 s).

    Files that are still open are written out; so they would be where the collector finds them.
    """
    gc.unfreeze()
    for file in gc.get_objects():
        if type(file) in (TextIOWrapper, BufferedWriter, BufferedRandom):
            with suppress(OSError, ValueError):  # closed, or only read
                file.flush()
    gc.freeze()
