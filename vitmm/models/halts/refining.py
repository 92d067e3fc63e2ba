"""The boxes that a cascade's stage hands to the next one, of all images at once."""

from collections.abc import Sequence

import torch
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.task_modules.samplers import SamplingResult
from mmengine.structures import InstanceData
from torch import nn

from vitmm.models.halts.avoiding import overrides_none, replace
from vitmm.models.halts.dense import clip, decode, decodes_plainly, of_classes


def avoid(module: nn.Module) -> None:
    """Replace how a box head refines boxes in training."""
    if (
        overrides_none(module, BBoxHead, 'refine_bboxes', 'regress_by_class')
        and not module.custom_activation
        and decodes_plainly(module.bbox_coder)
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
    labels = bbox_results['bbox_targets'][0]
    if not head.reg_class_agnostic:
        best = scores[:, : head.num_classes].argmax(dim=1)
        labels = torch.where(labels == head.num_classes, best, labels)
    offsets = of_classes(head, offsets, labels)
    boxes = decode(head.bbox_coder, bbox_results['rois'][:, 1:], offsets)
    counts = [len(one.pos_priors) + len(one.neg_priors) for one in sampling_results]
    refined = []
    images = zip(boxes.split(counts), sampling_results, batch_img_metas, strict=True)
    for own, sampled, meta in images:
        true = nn.functional.pad(sampled.pos_is_gt, (0, len(sampled.neg_priors)))
        # In their order; how many there are is known since they were sampled.
        order = true.argsort(stable=True)[: len(own) - sampled.truths_sampled]
        kept = own[order]
        clip(head.bbox_coder, kept, meta['img_shape'])
        refined.append(InstanceData(bboxes=kept))
    return refined
