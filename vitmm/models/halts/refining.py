"""The boxes that a cascade's stage hands to the next one, of all images at once."""

from collections.abc import Sequence

import torch
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from mmdet.models.task_modules.samplers import SamplingResult
from mmengine.structures import InstanceData
from torch import nn

from vitmm.models.halts.avoiding import overrides_none, replace
from vitmm.models.halts.dense import clip, decode


def avoid(module: nn.Module) -> None:
    """Replace how a box head refines boxes in training."""
    if (
        overrides_none(module, BBoxHead, 'refine_bboxes', 'regress_by_class')
        and not module.custom_activation
        and type(module.bbox_coder) is DeltaXYWHBBoxCoder
        and not module.bbox_coder.add_ctr_clamp
        and not module.bbox_coder.use_box_type
    ):
        replace(module, 'refine_bboxes', _refine_bboxes)


def _refine_bboxes(
    head: BBoxHead,
    sampling_results: Sequence[SamplingResult],
    bbox_results: dict,
    batch_img_metas: Sequence[dict],
) -> list[InstanceData] | None:
    """``BBoxHead.refine_bboxes``: the sampled boxes, decoded, but for true ones among them."""
    scores, offsets = bbox_results['cls_score'], bbox_results['bbox_pred']
    if not len(scores) or not all(hasattr(one, 'truths_sampled') for one in sampling_results):
        return type(head).refine_bboxes(head, sampling_results, bbox_results, batch_img_metas)
    if not head.reg_class_agnostic:
        labels = bbox_results['bbox_targets'][0]
        best = scores[:, : head.num_classes].argmax(dim=1)
        labels = torch.where(labels == head.num_classes, best, labels)
        offsets = offsets.view(len(offsets), -1, 4)
        offsets = offsets.take_along_dim(labels[:, None, None].expand(-1, 1, 4), dim=1)[:, 0]
    boxes = decode(head.bbox_coder, bbox_results['rois'][:, 1:], offsets)
    counts = [len(one.pos_priors) + len(one.neg_priors) for one in sampling_results]
    refined = []
    images = zip(boxes.split(counts), sampling_results, batch_img_metas, strict=True)
    for own, sampled, meta in images:
        true = nn.functional.pad(sampled.pos_is_gt, (0, len(sampled.neg_priors)))
        # In their order; how many there are is known since they were sampled.
        order = true.argsort(stable=True)[: len(own) - sampled.truths_sampled]
        kept = own[order]
        if head.bbox_coder.clip_border:
            clip(kept, meta['img_shape'])
        refined.append(InstanceData(bboxes=kept))
    return refined
