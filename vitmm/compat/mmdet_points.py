"""RepPoints on a GPU: mmdet 3.3 numbers its points on the CPU and picks of them by the GPU's masks.

torch 2.11 refuses that. Can go when mmdet's ``PointAssigner`` numbers them where they are.
"""

from functools import wraps
from types import ModuleType

from vitmm.compat.after_import import after_import


def install() -> None:
    """Let points be assigned on the CPU when mmdet is imported; harmless when repeated."""
    after_import('mmdet.models.task_modules.assigners.point_assigner', _correct)


def _correct(module: ModuleType) -> None:
    stock = module.PointAssigner.assign

    @wraps(stock)
    def assign(self, pred_instances, gt_instances, gt_instances_ignore=None, **kwargs):
        found = stock(self, pred_instances.cpu(), gt_instances.cpu(), gt_instances_ignore, **kwargs)
        device = pred_instances.priors.device
        found.gt_inds, found.labels = found.gt_inds.to(device), found.labels.to(device)
        return found

    module.PointAssigner.assign = assign
