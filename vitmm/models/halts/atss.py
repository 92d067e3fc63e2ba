"""Losses of ATSS: of all levels and images at once, with an assignment that reads nothing."""

from collections.abc import Sequence

import torch
from mmdet.models.dense_heads import ATSSHead
from mmdet.models.task_modules.assigners import ATSSAssigner
from mmdet.models.task_modules.prior_generators import AnchorGenerator
from mmdet.models.task_modules.samplers import PseudoSampler
from mmdet.utils import reduce_mean
from mmengine.structures import InstanceData
from torch import nn

from vitmm.models.halts.anchors import flat, inside
from vitmm.models.halts.avoiding import overrides_none, replace
from vitmm.models.halts.centers import center_losses, knows_losses
from vitmm.models.halts.dense import (
    class_loss,
    decode,
    decodes_plainly,
    grid_priors,
    label_weights,
)
from vitmm.models.halts.lists import Sending
from vitmm.models.halts.padding import OF_OVERLAPS, Padding, groups

_FAR = 1e8  # pixels, as mmdet has it


def avoid(module: nn.Module) -> None:
    """Replace the losses of a head."""
    same = ('loss_by_feat', 'loss_by_feat_single', 'get_targets', '_get_targets_single')
    if (
        overrides_none(module, ATSSHead, *same, 'centerness_target', 'get_anchors')
        and module.train_cfg
        and module.train_cfg['allowed_border'] < 0
        and module.reg_decoded_bbox
        and decodes_plainly(module.bbox_coder)
        and knows_losses(module)
        and type(module.prior_generator) is AnchorGenerator
        and not module.prior_generator.use_box_type
        and type(module.assigner) is ATSSAssigner
        and module.assigner.alpha is None
        and type(module.sampler) is PseudoSampler
    ):
        replace(module, 'loss_by_feat', _loss)


def _loss(
    head: ATSSHead,
    cls_scores: Sequence[torch.Tensor],
    bbox_preds: Sequence[torch.Tensor],
    centernesses: Sequence[torch.Tensor],
    batch_gt_instances: Sequence[InstanceData],
    batch_img_metas: Sequence[dict],
    batch_gt_instances_ignore: Sequence[InstanceData | None] | None = None,
) -> dict[str, torch.Tensor]:
    """``ATSSHead.loss_by_feat``: levels (N, classes, H, W), (N, 4, H, W), (N, 1, H, W)."""
    sizes = [scores.shape[-2:] for scores in cls_scores]
    device = cls_scores[0].device
    levels = grid_priors(head.prior_generator, sizes, device)
    counts, priors = [len(level) for level in levels], torch.cat(levels)
    ignored = batch_gt_instances_ignore or [None] * len(batch_gt_instances)
    within = inside(head, sizes, batch_img_metas, device)
    objects = max(len(truth.bboxes) for truth in batch_gt_instances)
    targets = []
    for some in groups(len(ignored), objects, len(priors), device, OF_OVERLAPS):
        truths = batch_gt_instances[some]
        padding = Padding([len(truth.bboxes) for truth in truths], device)
        boxes = padding.lay([truth.bboxes for truth in truths])
        owner = assign(
            head.assigner,
            priors,
            counts,
            None if within is None else within[some],
            boxes,
            padding.real,
            ignored[some],
        )
        own = (owner - 1).clamp(min=0)
        labels = padding.lay([truth.labels for truth in truths]).gather(1, own)
        targets.append((owner, labels, boxes.take_along_dim(own[..., None], dim=1)))
    owner, labels, wanted = (torch.cat(parts) for parts in zip(*targets, strict=True))
    positive = owner > 0
    count = positive.sum(dim=1).clamp(min=1).sum()
    count = reduce_mean(count.float())
    positive, owner, labels, wanted = (
        each.flatten(0, 1) for each in (positive, owner, labels, wanted)
    )
    weights = label_weights(head.train_cfg, positive, owner == 0)
    labels = torch.where(positive, labels, head.num_classes)
    scores = flat(cls_scores, head.cls_out_channels)
    loss_cls = class_loss(head.loss_cls, scores, labels, weights, count)

    priors = priors.repeat(len(ignored), 1)
    found = decode(head.bbox_coder, priors, flat(bbox_preds, 4))
    centres = (priors[:, :2] + priors[:, 2:]) / 2
    distances = torch.cat([centres - wanted[:, :2], wanted[:, 2:] - centres], dim=-1)
    logits = flat(centernesses, 1)[:, 0]
    loss_bbox, loss_centerness, total = center_losses(
        head, positive, found, wanted, distances, logits, count
    )
    loss_bbox = loss_bbox / reduce_mean(total).clamp(min=1)
    return dict(loss_cls=loss_cls, loss_bbox=loss_bbox, loss_centerness=loss_centerness)


def assign(
    assigner: ATSSAssigner,
    priors: torch.Tensor,
    counts: Sequence[int],
    within: torch.Tensor | None,
    boxes: torch.Tensor,
    real: torch.Tensor,
    ignored: Sequence[InstanceData | None],
) -> torch.Tensor:
    """mmdet's assignment, of several images at once and without a mask as an index.

    Args:
        assigner: mmdet's.
        priors: all levels' anchors, corners (A, 4).
        counts: how many of them a level has.
        within: which of them take part, (N, A) of bool; None: all.
        boxes: the images' objects, corners (N, K, 4).
        real: which objects there are, (N, K) of bool.
        ignored: an image's boxes that are neither objects nor background.

    Returns:
        1 + its object for each prior, 0 for background, -1 for neither, (N, A).
    """
    owner = torch.zeros(len(boxes), len(priors), dtype=torch.long, device=priors.device)
    if within is not None:
        owner = owner.masked_fill(~within, -1)
    centres = (priors[:, :2] + priors[:, 2:]) / 2.0
    middles = (boxes[..., :2] + boxes[..., 2:]) / 2.0
    distances = (centres[:, None] - middles[:, None]).pow(2).sum(-1).sqrt()  # (N, A, K)
    each = priors.expand(len(boxes), -1, -1)
    with Sending():
        overlaps = assigner.iou_calculator(each, boxes)
        if assigner.ignore_iof_thr > 0 and any(one and len(one.bboxes) for one in ignored):
            rest = [one.bboxes if one else boxes.new_empty(0, 4) for one in ignored]
            rest = Padding([len(one) for one in rest], boxes.device).lay(rest)
            shares = assigner.iou_calculator(each, rest, mode='iof')
            left_out = shares.amax(dim=2) > assigner.ignore_iof_thr
            # Without an object mmdet looks at nothing.
            left_out = left_out & real.any(dim=1, keepdim=True)
            distances = distances.masked_fill(left_out[..., None], _FAR)
            owner = owner.masked_fill(left_out, -1)
    if within is not None:
        distances = distances.masked_fill(~within[..., None], torch.inf)
    nearest, start = [], 0
    for level in distances.split(list(counts), dim=1):
        most = min(assigner.topk, level.shape[1])
        nearest.append(level.topk(most, dim=1, largest=False)[1] + start)
        start += level.shape[1]
    nearest = torch.cat(nearest, dim=1)  # (N, candidates, K)
    candidates = overlaps.gather(1, nearest)
    if within is None:
        threshold = candidates.mean(dim=1, keepdim=True) + candidates.std(dim=1, keepdim=True)
        hit = candidates >= threshold
    else:  # a level may have fewer that take part than are wanted
        counts_in = within.gather(1, nearest.flatten(1)).view_as(nearest)
        number = counts_in.sum(dim=1, keepdim=True)
        mean = (candidates * counts_in).sum(dim=1, keepdim=True) / number
        squares = (candidates - mean).square() * counts_in
        variance = squares.sum(dim=1, keepdim=True) / (number - 1)
        hit = (candidates >= mean + variance.sqrt()) & counts_in
    at = centres[nearest]  # (N, candidates, K, 2)
    sides = torch.cat([at - boxes[:, None, :, :2], boxes[:, None, :, 2:] - at], dim=-1)
    hit = hit & (sides.amin(dim=-1) > 0.01) & real[:, None]
    # Of several objects that hit a prior, it is of the one that it overlaps most with.
    own = torch.full_like(overlaps, -_FAR)
    own = own.scatter(1, nearest, torch.where(hit, candidates, -_FAR))
    most, best = own.max(dim=2)
    return torch.where(most > -_FAR, best + 1, owner)
