"""What a mask head shall say, cut out of the true masks where the head is."""

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from torch import nn
from torch.nn.modules.utils import _pair
from torchvision.ops import roi_align

from vitmm.models.halts.avoiding import overrides_none, replace, send


def avoid(module: nn.Module) -> None:
    """Replace the targets of a mask head."""
    if overrides_none(module, FCNMaskHead, 'get_targets'):
        replace(module, 'get_targets', _targets)


def _targets(
    head: FCNMaskHead,
    sampling_results: Sequence[SamplingResult],
    batch_gt_instances: Sequence[InstanceData],
    rcnn_train_cfg: Any,
) -> torch.Tensor:
    """``FCNMaskHead.get_targets``: (positives of all images, h, w) of 0 and 1, or between."""
    truths = [truth.masks for truth in batch_gt_instances]
    if not all(isinstance(masks, BitmapMasks) for masks in truths):
        return type(head).get_targets(head, sampling_results, batch_gt_instances, rcnn_train_cfg)
    size = _pair(rcnn_train_cfg.mask_size)
    soft = rcnn_train_cfg.get('soft_mask_target', False)
    pairs = zip(sampling_results, truths, strict=True)
    return torch.cat([_cut(result, masks, size, soft) for result, masks in pairs])


def _cut(
    result: SamplingResult, masks: BitmapMasks, size: tuple[int, int], soft: bool
) -> torch.Tensor:
    boxes = result.pos_priors
    if not len(boxes):
        return boxes.new_zeros(0, *size)
    left, top, right, bottom = boxes.unbind(-1)
    width, height = masks.width, masks.height
    # mmdet copies the whole mask for each box; here a box says which mask is its own.
    regions = torch.stack(
        [
            result.pos_assigned_gt_inds.to(boxes.dtype),
            left.clamp(0, width),
            top.clamp(0, height),
            right.clamp(0, width),
            bottom.clamp(0, height),
        ],
        dim=-1,
    )
    whole = send(torch.from_numpy(masks.masks), boxes.device)[:, None].to(boxes.dtype)
    cut = roi_align(whole, regions, size, 1.0, 0, aligned=True)[:, 0]
    return cut if soft else (cut >= 0.5).to(boxes.dtype)
