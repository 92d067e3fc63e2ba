"""Which prior belongs to which object, without asking the GPU object by object."""

from typing import Any

import torch
from mmdet.models.task_modules.assigners import AssignResult
from mmdet.models.task_modules.assigners import MaxIoUAssigner as MMDetMaxIoUAssigner

from vitmm.registry import TASK_UTILS


@TASK_UTILS.register_module()
class MaxIoUAssigner(MMDetMaxIoUAssigner):
    """mmdet's ``MaxIoUAssigner``, the same assignment without a loop over the objects.

    mmdet's reads a value for each object and each image, and a GPU waits each time. Takes the same
    arguments; where ``gt_max_assign_all`` is off, mmdet's own code runs.
    """

    def __init__(self, *args: Any, iou_calculator: dict | None = None, **kwargs: Any) -> None:
        # With its scope, so that it is found under any default scope.
        iou_calculator = iou_calculator or dict(type='mmdet.BboxOverlaps2D')
        super().__init__(*args, iou_calculator=iou_calculator, **kwargs)

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
