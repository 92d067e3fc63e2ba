"""MMEngine's lock of loggers and visualizers, given back after an error, too.

MMEngine keeps it when building one fails, and from then on every other thread that logs waits
forever. Can go when ``ManagerMixin`` does so itself.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

from mmengine.utils import manager


def install() -> None:
    """Mend what takes the lock; harmless when repeated."""
    for name in ('get_instance', 'get_current_instance'):
        stock = vars(manager.ManagerMixin)[name].__func__
        if not hasattr(stock, '__wrapped__'):
            setattr(manager.ManagerMixin, name, classmethod(_giving_back(stock)))


def _giving_back(stock: Callable) -> Callable:
    @wraps(stock)
    def method(cls: type, *args: Any, **kwargs: Any) -> Any:
        try:
            return stock(cls, *args, **kwargs)
        except BaseException:
            with suppress(RuntimeError):  # called with wrong words, it has not taken it
                manager._release_lock()
            raise

    return method
