"""MMEngine's default scope, which is the whole process's."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.registry import DefaultScope

_LOCK = threading.RLock()


@contextmanager
def in_scope(name: str | None) -> Iterator[None]:
    """Set the default scope for a block; another thread's block waits for its end.

    Two that overlapped would each restore what the other had set, for good.
    """
    with _LOCK, DefaultScope.overwrite_default_scope(name):
        yield
