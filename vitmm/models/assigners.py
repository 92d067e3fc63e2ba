"""Which prior belongs to which object, without asking the GPU object by object."""

from typing import Any

import torch
from mmdet.models.task_modules.assigners import AssignResult, BboxOverlaps2D
from mmdet.models.task_modules.assigners import MaxIoUAssigner as MMDetMaxIoUAssigner
from mmdet.structures.bbox import get_box_tensor

from vitmm.registry import TASK_UTILS


@TASK_UTILS.register_module()
class MaxIoUAssigner(MMDetMaxIoUAssigner):
    """mmdet's ``MaxIoUAssigner``, the same assignment without a loop over the objects.

    mmdet's reads a value for each object and each image, and a GPU waits each time. Takes the same
    arguments; where ``gt_max_assign_all`` is off, mmdet's own code runs.
    """

    def __init__(self, *args: Any, iou_calculator: dict | None = None, **kwargs: Any) -> None:
        # With its scope, so that it is found under any default scope.
        stock = dict(type='mmdet.BboxOverlaps2D')
        super().__init__(*args, iou_calculator=iou_calculator or stock, **kwargs)
        if iou_calculator is None:
            self.iou_calculator = box_overlaps

    def assign_wrt_overlaps(self, overlaps: torch.Tensor, gt_labels: torch.Tensor) -> AssignResult:
        """Assign by overlaps (k objects, n priors), labels (k,).

        Returns:
            mmdet's: for each prior 1 + its object, 0 for background, -1 for neither.
        """
        if not overlaps.numel() or not self.gt_max_assign_all:
            return super().assign_wrt_overlaps(overlaps, gt_labels)
        most, best = overlaps.max(dim=0)
        negative = self.neg_iou_thr
        low, high = negative if isinstance(negative, tuple) else (0, negative)
        gt_inds = torch.where((most >= low) & (most < high), 0, -1)
        gt_inds = torch.where(most >= self.pos_iou_thr, best + 1, gt_inds)
        if self.match_low_quality:
            highest = overlaps.amax(dim=1, keepdim=True)
            own = (overlaps == highest) & (highest >= self.min_pos_iou)
            # Of several objects that claim a prior, the last has it.
            number = torch.arange(1, len(own) + 1, dtype=torch.int32, device=own.device)
            last = (own * number[:, None]).amax(dim=0).long()
            gt_inds = torch.where(last > 0, last, gt_inds)
        labels = torch.where(gt_inds > 0, gt_labels[(gt_inds - 1).clamp(min=0)], -1)
        return AssignResult(len(overlaps), gt_inds, most, labels)


def box_overlaps(
    boxes: torch.Tensor, others: torch.Tensor, mode: str = 'iou', **kwargs: Any
) -> torch.Tensor:
    """mmdet's ``bbox_overlaps`` of each box with each other one, a coordinate at a time.

    mmdet's makes pairs of corners, twice the memory, and sends its epsilon to the GPU each time.

    Args:
        boxes: (k, 4) corners, pixels.
        others: (n, 4) likewise.
        mode: ``'iou'``, or ``'iof'``: the intersection's share of the first box.
        **kwargs: for mmdet's, which takes whatever else there is.

    Returns:
        (k, n) from 0 to 1.
    """
    if kwargs or mode not in ('iou', 'iof') or not (boxes.numel() and others.numel()):
        return BboxOverlaps2D()(boxes, others, mode, **kwargs)
    left, top, right, bottom = get_box_tensor(boxes)[:, :4, None].unbind(1)
    left_, top_, right_, bottom_ = get_box_tensor(others)[:, :4].unbind(1)
    width = torch.minimum(right, right_).sub_(torch.maximum(left, left_)).clamp_(min=0)
    height = torch.minimum(bottom, bottom_).sub_(torch.maximum(top, top_)).clamp_(min=0)
    shared, area = width.mul_(height), (right - left) * (bottom - top)
    if mode == 'iou':
        area = (area + (right_ - left_) * (bottom_ - top_)).sub_(shared)
    return shared / area.clamp(min=1e-6)
