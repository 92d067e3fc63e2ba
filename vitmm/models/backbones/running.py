"""Which modules of a model run at the moment."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from torch import nn


@contextmanager
def names_of_running(modules: Iterable[tuple[str, nn.Module]]) -> Iterator[list[str]]:
    """Follow the calls of named modules.

    Yields:
        The names of those that run at the moment, outermost first: a list that changes.
    """
    running: list[str] = []

    def enter(name: str, *_) -> None:
        running.append(name)

    def leave(*_) -> None:
        running.pop()

    handles = []
    for name, module in modules:
        handles += [
            module.register_forward_pre_hook(partial(enter, name)),
            module.register_forward_hook(leave),
        ]
    try:
        yield running
    finally:
        for handle in handles:
            handle.remove()
