"""The boxes that a cascade's stage hands to the next one, of all images at once."""

from collections.abc import Sequence

import torch
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.task_modules.samplers import SamplingResult
from mmengine.structures import InstanceData
from torch import nn

from vitmm.models.halts.avoiding import overrides_none, replace
from vitmm.models.halts.dense import borders, clip, decode, decodes_plainly, of_classes


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
    image, rois = bbox_results['rois'][:, 0].long(), bbox_results['rois'][:, 1:]
    boxes = decode(head.bbox_coder, rois, offsets)
    boxes = clip(head.bbox_coder, boxes, borders(batch_img_metas, boxes.device)[image])
    counts = [(len(one.pos_priors), len(one.neg_priors)) for one in sampling_results]
    flags = sampling_results[0].pos_is_gt
    none = flags.new_zeros(max(negatives for _, negatives in counts))
    true = [
        part
        for one, (_, negatives) in zip(sampling_results, counts, strict=True)
        for part in (one.pos_is_gt, none[:negatives])
    ]
    # Image by image, each in their order, true ones last; how many is known since they were drawn.
    order = (2 * image + torch.cat(true)).argsort(stable=True)
    images = zip(boxes[order].split([sum(both) for both in counts]), sampling_results, strict=True)
    return [
        InstanceData(bboxes=own[: len(own) - sampled.truths_sampled]) for own, sampled in images
    ]
