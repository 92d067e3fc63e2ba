"""Our registries: scope ``vitmm``, children of MMEngine's, filled when first asked.

Every config names our modules as ``type='vitmm.X'``, which works under any default scope
and never shadows a class of mmdet, mmseg or mmpretrain.
"""

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import FUNCTIONS as MMENGINE_FUNCTIONS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS as MMENGINE_CONSTRUCTORS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import RUNNERS as MMENGINE_RUNNERS
from mmengine.registry import TASK_UTILS as MMENGINE_TASK_UTILS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import VISBACKENDS as MMENGINE_VISBACKENDS
from mmengine.registry import VISUALIZERS as MMENGINE_VISUALIZERS
from mmengine.registry import Registry


def _child(parent: Registry, *locations: str) -> Registry:
    return Registry(parent.name, parent=parent, scope='vitmm', locations=list(locations))


MODELS = _child(MMENGINE_MODELS, 'vitmm.models')
TASK_UTILS = _child(MMENGINE_TASK_UTILS, 'vitmm.models.assigners')
HOOKS = _child(MMENGINE_HOOKS, 'vitmm.engine')
LOOPS = _child(MMENGINE_LOOPS, 'vitmm.engine')
TRANSFORMS = _child(MMENGINE_TRANSFORMS, 'vitmm.datasets')
DATA_SAMPLERS = _child(MMENGINE_DATA_SAMPLERS, 'vitmm.datasets')
METRICS = _child(MMENGINE_METRICS, 'vitmm.evaluation')
FUNCTIONS = _child(MMENGINE_FUNCTIONS, 'vitmm.datasets', 'vitmm.engine')
OPTIM_WRAPPERS = _child(MMENGINE_OPTIM_WRAPPERS, 'vitmm.engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child(MMENGINE_CONSTRUCTORS, 'vitmm.engine')
RUNNERS = _child(MMENGINE_RUNNERS, 'vitmm.engine.fsdp_runner')
VISBACKENDS = _child(MMENGINE_VISBACKENDS, 'vitmm.engine.mlflow_backend')
VISUALIZERS = _child(MMENGINE_VISUALIZERS, 'vitmm.engine.visualizer')
