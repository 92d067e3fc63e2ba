"""mmdet's VOC figures without processes that stay.

``eval_map`` closes its pool and lets it go, whose threads may then end it themselves and wait for
ever: four processes more after each validation.

Can go when ``eval_map`` joins its pool.
"""

from multiprocessing import get_context
from multiprocessing.pool import Pool
from types import ModuleType

from vitmm.compat.after_import import after_import


def install() -> None:
    """Correct it when mmdet is imported; harmless when repeated."""
    after_import('mmdet.evaluation.functional.mean_ap', _correct)


class _Joined(Pool):
    """A pool that has ended when it is closed."""

    def __init__(self, processes: int | None = None) -> None:
        super().__init__(processes, context=get_context())

    def close(self) -> None:
        """See multiprocessing."""
        super().close()
        self.join()


def _correct(module: ModuleType) -> None:
    module.Pool = _Joined
