"""Ctrl-C that waits until what must be whole is whole."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back until the block has ended; a second one interrupts it at once.

    torch writes the end of a file in a destructor. Where an interrupted ``torch.save`` has closed
    its buffer before, that ends the process with SIGABRT.

    Raises:
        KeyboardInterrupt: behind the block, if Ctrl-C came meanwhile (whatever the handler does).
            An error of the block goes first: it says why there is no file.
    """
    handler = signal.getsignal(signal.SIGINT)
    # Other threads are never interrupted; a process may ignore Ctrl-C, or end of it.
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    held = []

    def hold(*signalled: Any) -> None:
        held.append(signalled)
        if len(held) == 2:
            handler(*held[0])
        if len(held) > 1:
            handler(*signalled)

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is hold:
            signal.signal(signal.SIGINT, handler)
    if len(held) == 1:
        handler(*held[0])
