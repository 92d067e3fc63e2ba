"""Our registries: scope ``vitmm``, children of MMEngine's, filled when first asked.

Every config names our modules as ``type='vitmm.X'``, which works under any default scope
and never shadows a class of mmdet, mmseg or mmpretrain.
"""

from mmengine.registry import FUNCTIONS as MMENGINE_FUNCTIONS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_CONSTRUCTORS
from mmengine.registry import RUNNERS as MMENGINE_RUNNERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import VISUALIZERS as MMENGINE_VISUALIZERS
from mmengine.registry import Registry


def _child(parent: Registry, *locations: str) -> Registry:
    return Registry(parent.name, parent=parent, scope='vitmm', locations=list(locations))


MODELS = _child(MMENGINE_MODELS, 'vitmm.models')
HOOKS = _child(MMENGINE_HOOKS, 'vitmm.engine')
TRANSFORMS = _child(MMENGINE_TRANSFORMS, 'vitmm.datasets')
METRICS = _child(MMENGINE_METRICS, 'vitmm.evaluation')
FUNCTIONS = _child(MMENGINE_FUNCTIONS, 'vitmm.datasets', 'vitmm.engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(MMENGINE_CONSTRUCTORS, 'vitmm.engine')
RUNNERS = _child(MMENGINE_RUNNERS, 'vitmm.engine.fsdp_runner')
VISUALIZERS = _child(MMENGINE_VISUALIZERS, 'vitmm.engine.visualizer')
