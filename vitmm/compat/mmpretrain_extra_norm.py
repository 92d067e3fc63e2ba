"""mmpretrain without all of mmdet, which it imports for one class that mmdet's registry gets.

That is ``ResLayerExtraNorm``, for detectors, and more than half a second of every start of a
classification.

Can go when mmpretrain looks for mmdet where such a detector is built.
"""

import sys
from importlib import reload
from types import ModuleType

from vitmm.compat.after_import import Run, after_import, at_import

_MODULE = 'mmpretrain.models.utils.res_layer_extra_norm'
_DETECTORS = 'mmdet.models'


def install() -> None:
    """Let mmpretrain's class come when mmdet's models come; harmless when repeated."""
    at_import(_MODULE, _without_detectors)
    after_import(_DETECTORS, _register)


def _without_detectors(module: ModuleType, run: Run) -> None:
    if _DETECTORS in sys.modules:
        run(module)
        return
    sys.modules[_DETECTORS] = None  # as Python marks what cannot be imported
    try:
        run(module)
    finally:
        del sys.modules[_DETECTORS]


def _register(_: ModuleType) -> None:
    module = sys.modules.get(_MODULE)
    if module is not None and module.ResLayerExtraNorm is None:
        sys.modules['mmpretrain.models.utils'].ResLayerExtraNorm = reload(module).ResLayerExtraNorm
