"""mmpretrain without all of mmdet, which it imports for one class that mmdet's registry gets.

That is ``ResLayerExtraNorm``, for detectors, and a second of every start of a classification.

Can go when mmpretrain looks for mmdet where such a detector is built.
"""

import sys
from importlib import reload
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

from vitmm.compat.after_import import after_import

_MODULE = 'mmpretrain.models.utils.res_layer_extra_norm'
_DETECTORS = 'mmdet.models'


def install() -> None:
    """Let mmpretrain's class come when mmdet's models come; harmless when repeated."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    after_import(_DETECTORS, _register)


class _Finder:
    """Finds the module, where everybody else does; while it runs there is no mmdet."""

    def find_spec(self, name: str, path=None, target=None) -> ModuleSpec | None:
        if name != _MODULE or _DETECTORS in sys.modules:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None:
            run = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                sys.modules[_DETECTORS] = None  # as Python marks what cannot be imported
                try:
                    run(module)
                finally:
                    del sys.modules[_DETECTORS]

            spec.loader.exec_module = exec_module
        return spec


def _register(_: ModuleType) -> None:
    module = sys.modules.get(_MODULE)
    if module is not None and module.ResLayerExtraNorm is None:
        sys.modules['mmpretrain.models.utils'].ResLayerExtraNorm = reload(module).ResLayerExtraNorm
