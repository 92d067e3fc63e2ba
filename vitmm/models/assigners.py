"""Which prior belongs to which object, without asking the GPU object by object."""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.task_modules.assigners import AssignResult, BboxOverlaps2D
from mmdet.models.task_modules.assigners import MaxIoUAssigner as MMDetMaxIoUAssigner
from mmdet.structures.bbox import get_box_tensor
from mmengine.structures import InstanceData

from vitmm.registry import TASK_UTILS


@TASK_UTILS.register_module()
class MaxIoUAssigner(MMDetMaxIoUAssigner):
    """mmdet's ``MaxIoUAssigner``, the same assignment without a loop over the objects.

    mmdet's reads a value for each object and each image, and a GPU waits each time. :meth:`owners`
    assigns the priors of a whole batch by as many kernels as of one image. Takes the same
    arguments; where ``gt_max_assign_all`` is off, mmdet's own code runs. Subclasses are asked image
    by image, by ``assign``.
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
        if not overlaps.numel() or not self._plain:
            return super().assign_wrt_overlaps(overlaps, gt_labels)
        gt_inds, most = self.owners(overlaps)
        labels = torch.where(gt_inds > 0, gt_labels[(gt_inds - 1).clamp(min=0)], -1)
        return AssignResult(len(overlaps), gt_inds, most, labels)

    @property
    def _plain(self) -> bool:
        """mmdet has no negatives where the threshold is neither of these types."""
        return self.gt_max_assign_all and isinstance(self.neg_iou_thr, float | tuple)

    def takes_batches(self, ignored: Sequence[InstanceData | None] = ()) -> bool:
        """Whether :meth:`owners` of plain overlaps is all that ``assign`` does for these images.

        Args:
            ignored: an image's boxes that are neither objects nor background.
        """
        ignores = self.ignore_iof_thr > 0 and any(one and len(one.bboxes) for one in ignored)
        return (
            not ignores
            and self._plain
            and self.iou_calculator is box_overlaps
            and self.gpu_assign_thr <= 0
            and self.perm_repeat_gt_cfg is None
        )

    def owners(
        self, overlaps: torch.Tensor, real: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Assign the priors of an image, or of several at once.

        Args:
            overlaps: (..., k objects, n priors) from 0 to 1.
            real: (..., k) of bool: the objects that there are; the overlaps of others must be 0.
                None: all are.

        Returns:
            For each prior 1 + its object, 0 for background, -1 for neither, and the most that an
            object overlaps with it, (..., n) each.
        """
        most, best = overlaps.max(dim=-2)
        negative = self.neg_iou_thr
        low, high = negative if isinstance(negative, tuple) else (0, negative)
        owner = torch.where((most >= low) & (most < high), 0, -1)
        owner = torch.where(most >= self.pos_iou_thr, best + 1, owner)
        if self.match_low_quality:
            highest = overlaps.amax(dim=-1, keepdim=True)
            claims = highest >= self.min_pos_iou
            if real is not None:
                claims = claims & real[..., None]
            own = (overlaps == highest) & claims
            # Of several objects that claim a prior, the last has it.
            number = torch.arange(1, own.shape[-2] + 1, dtype=torch.int32, device=own.device)
            last = (own * number[:, None]).amax(dim=-2).long()
            owner = torch.where(last > 0, last, owner)
        if real is not None:  # without an object all is background
            owner = torch.where(real.any(dim=-1, keepdim=True), owner, 0)
        return owner, most


def box_overlaps(
    boxes: torch.Tensor, others: torch.Tensor, mode: str = 'iou', **kwargs: Any
) -> torch.Tensor:
    """mmdet's ``bbox_overlaps`` of each box with each other one, a coordinate at a time.

    mmdet's makes pairs of corners, twice the memory, and sends its epsilon to the GPU each time.

    Args:
        boxes: (..., k, 4) corners, pixels.
        others: (..., n, 4) likewise.
        mode: ``'iou'``, or ``'iof'``: the intersection's share of the first box.
        **kwargs: for mmdet's, which takes whatever else there is.

    Returns:
        (..., k, n) from 0 to 1.
    """
    if kwargs or mode not in ('iou', 'iof') or not (boxes.numel() and others.numel()):
        return BboxOverlaps2D()(boxes, others, mode, **kwargs)
    left, top, right, bottom = get_box_tensor(boxes)[..., :4, None].unbind(-2)
    left_, top_, right_, bottom_ = get_box_tensor(others)[..., None, :, :4].unbind(-1)
    width = torch.minimum(right, right_).sub_(torch.maximum(left, left_)).clamp_(min=0)
    height = torch.minimum(bottom, bottom_).sub_(torch.maximum(top, top_)).clamp_(min=0)
    shared, area = width.mul_(height), (right - left) * (bottom - top)
    if mode == 'iou':
        area = (area + (right_ - left_) * (bottom_ - top_)).sub_(shared)
    return shared / area.clamp(min=1e-6)
