"""Losses of Mask2Former's queries: of all images of a layer at once."""

from collections.abc import Sequence

import torch
from mmcv.ops import point_sample
from mmdet.models.dense_heads import Mask2FormerHead, MaskFormerHead
from mmdet.models.task_modules.assigners import HungarianAssigner
from mmdet.models.task_modules.samplers import MaskPseudoSampler
from mmdet.models.utils import get_uncertain_point_coords_with_randomness
from mmdet.utils import reduce_mean
from mmengine.structures import InstanceData
from torch import nn

from vitmm.models.halts.avoiding import overrides_none, replace
from vitmm.models.halts.matching import match, one_after_the_other


def avoid(module: nn.Module) -> None:
    """Replace the losses of a layer."""
    if (
        overrides_none(module, Mask2FormerHead, '_loss_by_feat_single', '_get_targets_single')
        and overrides_none(module, MaskFormerHead, 'get_targets')
        and type(getattr(module, 'assigner', None)) is HungarianAssigner
        and type(module.sampler) is MaskPseudoSampler
    ):
        replace(module, '_loss_by_feat_single', _loss)


def _loss(
    head: Mask2FormerHead,
    cls_scores: torch.Tensor,
    mask_preds: torch.Tensor,
    batch_gt_instances: Sequence[InstanceData],
    batch_img_metas: Sequence[dict],
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """``Mask2FormerHead._loss_by_feat_single``: (N, queries, classes + 1), (N, queries, h, w)."""
    queries = cls_scores.shape[1]
    candidates = []
    for image, (truth, meta) in enumerate(zip(batch_gt_instances, batch_img_metas, strict=True)):
        # Costs are those of points drawn at random (section 3.3 of https://arxiv.org/abs/2112.01527).
        points = torch.rand((1, head.num_points, 2), device=cls_scores.device)
        found = InstanceData(scores=cls_scores[image], masks=_at(points, mask_preds[image]))
        wanted = InstanceData(labels=truth.labels, masks=_at(points, truth.masks.float()))
        candidates.append((found, wanted, meta))
    (pairs,) = match(head.assigner, candidates)
    given = pairs, queries, batch_gt_instances, head.num_classes
    where, owner, classes = one_after_the_other(*given)

    class_weights = cls_scores.new_tensor(head.class_weight)
    loss_cls = head.loss_cls(
        cls_scores.flatten(0, 1),
        classes,
        torch.ones_like(classes),
        avg_factor=class_weights[classes].sum(),
    )

    positives = sum(max(len(own), 1) for own, _ in pairs)  # as mmdet counts them
    factor = reduce_mean(cls_scores.new_full((1,), positives)).clamp(min=1)
    found = mask_preds.flatten(0, 1)[where]
    if not len(where):
        return loss_cls, found.sum(), found.sum()
    found = found[:, None]
    wanted = torch.cat([truth.masks for truth in batch_gt_instances])[owner][:, None].float()
    with torch.no_grad():
        points = get_uncertain_point_coords_with_randomness(
            found, None, head.num_points, head.oversample_ratio, head.importance_sample_ratio
        )
        wanted = point_sample(wanted, points)[:, 0]
    found = point_sample(found, points)[:, 0]
    loss_dice = head.loss_dice(found, wanted, avg_factor=factor)
    factor = factor * head.num_points
    loss_mask = head.loss_mask(found.flatten(), wanted.flatten(), avg_factor=factor)
    return loss_cls, loss_mask, loss_dice


def _at(points: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Of masks (M, h, w) what is at the points (1, P, 2): (M, P)."""
    return point_sample(masks[:, None], points.expand(len(masks), -1, -1))[:, 0]
