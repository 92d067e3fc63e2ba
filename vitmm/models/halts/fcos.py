"""Losses of FCOS: of all levels and images at once, and no point is picked."""

from collections.abc import Sequence

import torch
from mmdet.models.dense_heads import FCOSHead
from mmdet.models.task_modules.coders import DistancePointBBoxCoder
from mmdet.utils import reduce_mean
from mmengine.structures import InstanceData
from torch import nn

from vitmm.models.halts.anchors import flat
from vitmm.models.halts.avoiding import overrides_none, replace
from vitmm.models.halts.centers import center_losses, knows_losses
from vitmm.models.halts.dense import class_loss
from vitmm.models.halts.padding import OF_OVERLAPS, Padding, groups


def avoid(module: nn.Module) -> None:
    """Replace the losses of a head."""
    same = ('loss_by_feat', 'get_targets', '_get_targets_single', 'centerness_target')
    if (
        overrides_none(module, FCOSHead, *same)
        and type(module.bbox_coder) is DistancePointBBoxCoder
        and not module.bbox_coder.use_box_type
        and knows_losses(module)
    ):
        replace(module, 'loss_by_feat', _loss)


def _loss(
    head: FCOSHead,
    cls_scores: Sequence[torch.Tensor],
    bbox_preds: Sequence[torch.Tensor],
    centernesses: Sequence[torch.Tensor],
    batch_gt_instances: Sequence[InstanceData],
    batch_img_metas: Sequence[dict],
    batch_gt_instances_ignore: Sequence[InstanceData | None] | None = None,
) -> dict[str, torch.Tensor]:
    """``FCOSHead.loss_by_feat``: levels (N, classes, H, W), (N, 4, H, W), (N, 1, H, W)."""
    sizes = [scores.shape[-2:] for scores in cls_scores]
    like = bbox_preds[0]
    levels = head.prior_generator.grid_priors(sizes, dtype=like.dtype, device=like.device)
    points = torch.cat(levels)
    strides, nearest, farthest = (
        torch.cat(
            [points.new_full((len(level),), v) for level, v in zip(levels, each, strict=True)]
        )
        for each in (head.strides, *zip(*head.regress_ranges, strict=True))
    )
    radius = strides * head.center_sample_radius if head.center_sampling else None
    images = len(batch_gt_instances)
    objects = max(len(truth.bboxes) for truth in batch_gt_instances)
    targets = [
        _targets(points, nearest, farthest, radius, batch_gt_instances[some], head.num_classes)
        for some in groups(images, objects, len(points), points.device, OF_OVERLAPS)
    ]
    labels, distances = (torch.cat(parts).flatten(0, 1) for parts in zip(*targets, strict=True))
    points = points.repeat(images, 1)
    if head.norm_on_bbox:
        distances = distances / strides.repeat(images)[:, None]

    positive = labels < head.num_classes
    count = reduce_mean(positive.sum().float()).clamp(min=1.0)
    scores = flat(cls_scores, head.cls_out_channels)
    ones = torch.ones_like(distances[:, 0])
    loss_cls = class_loss(head.loss_cls, scores, labels, ones, count)
    found = head.bbox_coder.decode(points, flat(bbox_preds, 4))
    wanted = head.bbox_coder.decode(points, distances)
    logits = flat(centernesses, 1)[:, 0]
    loss_bbox, loss_centerness, total = center_losses(
        head, positive, found, wanted, distances, logits, count
    )
    loss_bbox = loss_bbox / reduce_mean(total).clamp(min=1e-6)
    return dict(loss_cls=loss_cls, loss_bbox=loss_bbox, loss_centerness=loss_centerness)


def _targets(
    points: torch.Tensor,
    nearest: torch.Tensor,
    farthest: torch.Tensor,
    radius: torch.Tensor | None,
    truths: Sequence[InstanceData],
    background: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels (N, P) and distances to the object's left, top, right, bottom (N, P, 4) of points
    (P, 2).

    A point is of the smallest object that it lies in, at most ``radius`` (P,) from its centre, and
    whose farthest side is in the range of its level, ``nearest`` to ``farthest`` (P,) pixels away.
    """
    padding = Padding([len(truth.bboxes) for truth in truths], points.device)
    boxes = padding.lay([truth.bboxes for truth in truths])[:, None]  # (N, 1, K, 4)
    corners = boxes[..., :2], boxes[..., 2:]
    points = points[:, None]
    distances = torch.cat([points - corners[0], corners[1] - points], dim=-1)  # (N, P, K, 4)
    if radius is None:
        inside = distances.amin(dim=-1) > 0
    else:
        middle, radius = sum(corners) / 2, radius[:, None, None]
        low = torch.maximum(middle - radius, corners[0])
        high = torch.minimum(middle + radius, corners[1])
        inside = torch.cat([points - low, high - points], dim=-1).amin(dim=-1) > 0
    most = distances.amax(dim=-1)
    inside = inside & (most >= nearest[:, None]) & (most <= farthest[:, None])
    inside = inside & padding.real[:, None]
    areas = (corners[1] - corners[0]).prod(dim=-1).expand_as(most)
    least, best = areas.masked_fill(~inside, torch.inf).min(dim=2)
    labels = padding.lay([truth.labels for truth in truths]).gather(1, best)
    labels = torch.where(least.isinf(), background, labels)
    return labels, distances.take_along_dim(best[..., None, None], dim=2)[:, :, 0]
