"""An assignment that waits until it is looked at, so that a batch's may be made at once."""

from typing import Any

import torch
from mmdet.models.task_modules.assigners import AssignResult
from mmengine.structures import InstanceData

from vitmm.models.assigners import MaxIoUAssigner


def assign_later(
    assigner: MaxIoUAssigner,
    pred_instances: InstanceData,
    gt_instances: InstanceData,
    gt_instances_ignore: InstanceData | None = None,
    **kwargs: Any,
) -> AssignResult:
    """``MaxIoUAssigner.assign``, when it is looked at; samples of a batch need not look."""
    both = pred_instances, gt_instances
    plain = are_tensors(*both) and assigner.takes_batches([gt_instances_ignore])
    if not plain or kwargs:
        return type(assigner).assign(assigner, *both, gt_instances_ignore, **kwargs)
    return LaterAssigned(assigner, *both)


def assign_now(
    assigner: MaxIoUAssigner, priors: torch.Tensor, boxes: torch.Tensor, labels: torch.Tensor
) -> AssignResult:
    """``MaxIoUAssigner.assign`` of what :func:`tensors` gives."""
    truth = InstanceData(bboxes=boxes, labels=labels)
    return type(assigner).assign(assigner, InstanceData(priors=priors), truth)


def tensors(pred_instances: InstanceData, gt_instances: InstanceData) -> tuple[Any, Any, Any]:
    """What is assigned: priors (P, 4), boxes (K, 4) and labels (K,) of objects."""
    return pred_instances.priors, gt_instances.bboxes, gt_instances.labels


def are_tensors(pred_instances: InstanceData, gt_instances: InstanceData) -> bool:
    """Whether priors and boxes are tensors, and not mmdet's classes of boxes."""
    boxes = pred_instances.priors, gt_instances.bboxes
    return all(isinstance(one, torch.Tensor) for one in boxes)


class LaterAssigned(AssignResult):
    """A result that is made when it is looked at."""

    def __init__(
        self, assigner: MaxIoUAssigner, pred_instances: InstanceData, gt_instances: InstanceData
    ) -> None:
        self.assigner = assigner
        # The tensors themselves: what has them may get others until it is looked at.
        self.given = tensors(pred_instances, gt_instances)
        self.with_truth = False
        self.untouched = {*vars(self), 'untouched'}

    def waits_for(self, pred_instances: InstanceData, gt_instances: InstanceData) -> bool:
        """Whether nobody has looked, or changed it, and it is of these."""
        pairs = zip(self.given, tensors(pred_instances, gt_instances), strict=True)
        return vars(self).keys() == self.untouched and all(own is other for own, other in pairs)

    def add_gt_(self, gt_labels: torch.Tensor) -> None:
        """The true boxes are priors, too, before the others."""
        if vars(self).keys() == self.untouched:
            self.with_truth = True
        else:
            super().add_gt_(gt_labels)

    def __getattr__(self, name: str) -> Any:  # only of what is not there
        if (
            name.startswith('__')
            or 'untouched' not in vars(self)
            or '_extra_properties' in vars(self)
        ):
            raise AttributeError(name)
        made = assign_now(self.assigner, *self.given)
        if self.with_truth:
            made.add_gt_(self.given[-1])
        vars(self).update({**vars(made), **vars(self)})  # what was set stays
        return getattr(self, name)
