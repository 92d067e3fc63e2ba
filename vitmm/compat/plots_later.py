"""mmdet without what it imports to plot: matplotlib's pyplot, and seaborn where there is one.

Every start of a detector or a segmentor took a third of a second for them.

Can go when mmdet's tracking errors and lvis's visualizer import them where they plot.
"""

from functools import partial
from types import ModuleType
from typing import Any

from vitmm.compat.after_import import Run, at_import

# What others import from each, to be called at some time.
_PLOTS = {'mmdet.utils.mot_error_visualize': 'imshow_mot_errors', 'lvis.vis': 'LVISVis'}


def install() -> None:
    """Let these modules run when somebody plots; harmless when repeated."""
    for module, name in _PLOTS.items():
        at_import(module, partial(_later, name=name))


def _later(module: ModuleType, run: Run, name: str) -> None:
    """Put something in the place of ``name``; the module runs for any other name as well."""

    def plot(*args: Any, **kwargs: Any) -> Any:
        """Run the module, and call what it has in place of this."""
        if getattr(module, name) is plot:
            run(module)
        return getattr(module, name)(*args, **kwargs)

    def rest(other: str) -> Any:
        if other.startswith('__') or getattr(module, name) is not plot:
            raise AttributeError(f'module {module.__name__!r} has no attribute {other!r}')
        run(module)
        return getattr(module, other)

    plot.__name__ = plot.__qualname__ = name
    plot.__module__ = module.__name__
    setattr(module, name, plot)
    module.__getattr__ = rest
