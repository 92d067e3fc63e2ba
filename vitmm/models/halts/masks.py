"""What a mask head shall say, cut out of the true masks where the head is."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from torch import nn
from torch.nn.modules.utils import _pair
from torchvision.ops import roi_align

from vitmm.models.halts.avoiding import overrides_none, replace, send, send_numbers


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
    boxes = torch.cat([result.pos_priors for result in sampling_results])
    if not len(boxes):
        return boxes.new_zeros(0, *size)
    own = torch.cat([result.pos_assigned_gt_inds for result in sampling_results])
    shapes = [[masks.width, masks.height] * 2 for masks in truths]
    counts = [len(result.pos_priors) for result in sampling_results]
    borders = send_numbers(np.repeat(np.array(shapes, np.float32), counts, axis=0), boxes.device)
    # mmdet copies the whole mask for each box; here a box says which mask is its own.
    regions = [own.to(boxes.dtype)[:, None], torch.minimum(boxes.clamp(min=0), borders)]
    regions = torch.cat(regions, dim=1).split(counts)
    cut = torch.cat(
        [_cut(masks, some, size) for masks, some in zip(truths, regions, strict=True) if len(some)]
    )
    soft = rcnn_train_cfg.get('soft_mask_target', False)
    return cut if soft else (cut >= 0.5).to(boxes.dtype)


def _cut(masks: BitmapMasks, regions: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Regions (K, 5), the first number a mask's, cut out of masks: (K, h, w) from 0 to 1."""
    whole = send(torch.from_numpy(masks.masks), regions.device)[:, None].to(regions.dtype)
    return roi_align(whole, regions, size, 1.0, 0, aligned=True)[:, 0]
