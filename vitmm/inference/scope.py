"""MMEngine's default scope, which is the whole process's, for threads."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from mmengine.registry import DefaultScope

_FREE = threading.Condition()
_HELD: list[str | None] = []  # a name for each block that runs: all the same
_SET = ExitStack()  # to set back what was before the first of them
_OWN = threading.local()


@contextmanager
def in_scope(name: str | None) -> Iterator[None]:
    """Set the default scope for a block; another thread's block with another one waits for its end.

    Two that overlapped would each restore what the other had set, for good.
    """
    if getattr(_OWN, 'inside', False):
        with DefaultScope.overwrite_default_scope(name):
            yield
        return
    with _FREE:
        _FREE.wait_for(lambda: not _HELD or _HELD[0] == name)
        if not _HELD:
            _SET.enter_context(DefaultScope.overwrite_default_scope(name))
        _HELD.append(name)
    _OWN.inside = True
    try:
        yield
    finally:
        _OWN.inside = False
        with _FREE:
            _HELD.pop()
            if not _HELD:
                _SET.close()
                _FREE.notify_all()
