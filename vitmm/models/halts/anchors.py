"""Losses of anchors: RetinaNet's, a region proposal network's, of all levels and images at once."""

from collections.abc import Sequence

import numpy as np
import torch
from mmdet.models.dense_heads import AnchorHead, RPNHead
from mmdet.models.losses import GHMC, GHMR
from mmdet.models.task_modules.assigners import BaseAssigner
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from mmdet.models.task_modules.prior_generators import AnchorGenerator
from mmdet.models.task_modules.samplers import PseudoSampler, RandomSampler
from mmdet.structures.bbox import get_box_tensor
from mmengine.structures import InstanceData
from torch import nn

from vitmm.models.assigners import MaxIoUAssigner, box_overlaps
from vitmm.models.halts import samples
from vitmm.models.halts.avoiding import overrides_none, replace, send_numbers
from vitmm.models.halts.dense import (
    box_loss,
    class_loss,
    encode,
    grid_corners,
    grid_priors,
    label_weights,
)
from vitmm.models.halts.padding import Padding, groups

_FAR = -1e6  # pixels: a prior there overlaps with nothing


def avoid(module: nn.Module) -> None:
    """Replace the losses of a head of anchors."""
    same = ('get_anchors', 'get_targets', '_get_targets_single', 'loss_by_feat_single')
    if (
        overrides_none(module, AnchorHead, *same)
        and type(module).loss_by_feat in (AnchorHead.loss_by_feat, RPNHead.loss_by_feat)
        and module.train_cfg
        and module.train_cfg['allowed_border'] < 0
        and not module.reg_decoded_bbox
        and not any(type(loss) in (GHMC, GHMR) for loss in (module.loss_cls, module.loss_bbox))
        and type(module.bbox_coder) is DeltaXYWHBBoxCoder
        and type(module.prior_generator) is AnchorGenerator
        and not module.prior_generator.use_box_type
        and type(module.sampler) in (PseudoSampler, RandomSampler)
        and not getattr(module.sampler, 'add_gt_as_proposals', False)
    ):
        is_rpn = type(module).loss_by_feat is RPNHead.loss_by_feat
        replace(module, 'loss_by_feat', _rpn_loss if is_rpn else _loss)


def _rpn_loss(head: RPNHead, *args, **kwargs) -> dict[str, torch.Tensor]:
    losses = _loss(head, *args, **kwargs)
    return dict(loss_rpn_cls=losses['loss_cls'], loss_rpn_bbox=losses['loss_bbox'])


def _loss(
    head: AnchorHead,
    cls_scores: Sequence[torch.Tensor],
    bbox_preds: Sequence[torch.Tensor],
    batch_gt_instances: Sequence[InstanceData],
    batch_img_metas: Sequence[dict],
    batch_gt_instances_ignore: Sequence[InstanceData | None] | None = None,
) -> dict[str, torch.Tensor]:
    """``AnchorHead.loss_by_feat``: levels (N, anchors * classes, H, W), (N, anchors * 4, H, W)."""
    sizes = [scores.shape[-2:] for scores in cls_scores]
    device = cls_scores[0].device
    priors = torch.cat(grid_priors(head.prior_generator, sizes, device))
    within = inside(head, sizes, batch_img_metas, device)
    ignored = batch_gt_instances_ignore or [None] * len(batch_gt_instances)
    objects = max(len(truth.bboxes) for truth in batch_gt_instances)
    targets = [
        _targets(
            head,
            priors,
            None if within is None else within[some],
            batch_gt_instances[some],
            ignored[some],
        )
        for some in groups(len(batch_gt_instances), objects, len(priors), device)
    ]
    labels, weights, boxes, box_weights, counts = (
        torch.cat(parts).flatten(0, 1) for parts in zip(*targets, strict=True)
    )
    avg_factor = counts.sum()
    return {
        'loss_cls': class_loss(
            head.loss_cls,
            flat(cls_scores, head.cls_out_channels),
            labels,
            weights,
            avg_factor,
        ),
        'loss_bbox': box_loss(
            head.loss_bbox,
            flat(bbox_preds, 4),
            boxes,
            box_weights,
            avg_factor,
        ),
    }


def flat(levels: Sequence[torch.Tensor], width: int) -> torch.Tensor:
    """Levels (N, anchors * width, H, W) -> (N * all anchors, width), image by image."""
    parts = [level.permute(0, 2, 3, 1).reshape(len(level), -1, width) for level in levels]
    return torch.cat(parts, dim=1).flatten(0, 1)


def inside(
    head: AnchorHead,
    sizes: Sequence[tuple[int, int]],
    metas: Sequence[dict],
    device: torch.device,
) -> torch.Tensor | None:
    """Which anchors (N, A) are not of the padding that makes images equally large; None: all."""
    shapes = np.array([meta['pad_shape'][:2] for meta in metas])
    levels = zip(sizes, head.prior_generator.strides, strict=True)  # (h, w), (x, y)
    if all((-(-shapes // stride[::-1]) >= size).all() for size, stride in levels):
        return None
    corners = grid_corners(head.prior_generator, sizes, device)
    return (corners < send_numbers(shapes, device)[:, None]).all(dim=-1)


def _targets(
    head: AnchorHead,
    priors: torch.Tensor,
    within: torch.Tensor | None,
    truths: Sequence[InstanceData],
    ignored: Sequence[InstanceData | None],
) -> tuple[torch.Tensor, ...]:
    """Labels (N, A), their weights (N, A), offsets (N, A, 4), weights of boxes (N, A), how many
    count (N, 1)."""
    device = priors.device
    lengths = [len(truth.bboxes) for truth in truths]
    padding = Padding(lengths, device)
    boxes = padding.lay([get_box_tensor(truth.bboxes) for truth in truths])
    labels = padding.lay([truth.labels for truth in truths])
    if type(head.assigner) is MaxIoUAssigner and head.assigner.takes_batches(ignored):
        overlaps = box_overlaps(boxes, priors)
        if within is not None:
            overlaps = torch.where(within[:, None], overlaps, 0.0)
        owner = head.assigner.owners(overlaps, padding.real)[0]
    else:
        owner = _one_by_one(head.assigner, priors, within, truths, ignored)
    if within is not None:
        owner = torch.where(within, owner, -1)
    if isinstance(head.sampler, RandomSampler):
        positive, negative = samples.choose(head.sampler, owner)
        count = positive.sum(1).clamp(min=1) + negative.sum(1).clamp(min=1)
    else:
        positive, negative = owner > 0, owner == 0
        count = positive.sum(1).clamp(min=1)
    weights = label_weights(head.train_cfg, positive, negative)
    own = (owner - 1).clamp(min=0)
    labels = torch.where(positive, labels.gather(1, own).long(), head.num_classes)
    boxes = boxes.take_along_dim(own[..., None], dim=1)
    offsets = torch.where(positive[..., None], encode(head.bbox_coder, priors, boxes), 0.0)
    weights, box_weights = (each.to(priors.dtype) for each in (weights, positive))
    return labels, weights, offsets, box_weights, count[:, None]


def _one_by_one(
    assigner: BaseAssigner,
    priors: torch.Tensor,
    within: torch.Tensor | None,
    truths: Sequence[InstanceData],
    ignored: Sequence[InstanceData | None],
) -> torch.Tensor:
    """What an assigner that knows no batches says of each image's priors, (N, A)."""
    owners = []
    for number, (truth, ignore) in enumerate(zip(truths, ignored, strict=True)):
        seen = priors if within is None else torch.where(within[number, :, None], priors, _FAR)
        owners.append(assigner.assign(InstanceData(priors=seen), truth, ignore).gt_inds)
    return torch.stack(owners)
