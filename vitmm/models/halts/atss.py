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
from vitmm.models.halts.dense import class_loss, decode, decodes_plainly, grid_priors
from vitmm.models.halts.lists import Sending

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
    owners, labels, boxes = [], [], []
    within = inside(head, sizes, batch_img_metas, device)
    within = [None] * len(ignored) if within is None else within
    for truth, ignore, some in zip(batch_gt_instances, ignored, within, strict=True):
        owner = assign(head.assigner, priors, counts, some, truth, ignore)
        own = (owner - 1).clamp(min=0)
        empty = not len(truth.bboxes)
        labels.append(torch.zeros_like(own) if empty else truth.labels[own])
        boxes.append(torch.zeros_like(priors) if empty else truth.bboxes[own])
        owners.append(owner)
    positives = [owner > 0 for owner in owners]
    positive, owner, wanted = torch.cat(positives), torch.cat(owners), torch.cat(boxes)

    count = torch.stack([one.sum().clamp(min=1) for one in positives]).sum()
    count = reduce_mean(count.float())
    pos_weight = head.train_cfg['pos_weight']
    weights = positive * (pos_weight if pos_weight > 0 else 1.0) + (owner == 0)
    labels = torch.where(positive, torch.cat(labels), head.num_classes)
    scores = flat(cls_scores, head.cls_out_channels)
    loss_cls = class_loss(head.loss_cls, scores, labels, weights, count)

    priors = priors.repeat(len(owners), 1)
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
    truth: InstanceData,
    ignore: InstanceData | None = None,
) -> torch.Tensor:
    """mmdet's assignment, without a mask as an index.

    Args:
        assigner: mmdet's.
        priors: all levels' anchors, corners (A, 4).
        counts: how many of them a level has.
        within: which of them take part, (A,) of bool; None: all.
        truth: boxes (K, 4) and labels (K,).
        ignore: boxes that are neither objects nor background.

    Returns:
        1 + its object for each prior, 0 for background, -1 for neither, (A,).
    """
    owner = torch.zeros(len(priors), dtype=torch.long, device=priors.device)
    if within is not None:
        owner = owner.masked_fill(~within, -1)
    boxes = truth.bboxes
    if not len(boxes):
        return owner
    centres = (priors[:, :2] + priors[:, 2:]) / 2.0
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2.0
    distances = (centres[:, None] - middles).pow(2).sum(-1).sqrt()
    with Sending():
        overlaps = assigner.iou_calculator(priors, boxes)
        if assigner.ignore_iof_thr > 0 and ignore is not None and len(ignore.bboxes):
            shares = assigner.iou_calculator(priors, ignore.bboxes, mode='iof')
            left_out = shares.amax(dim=1) > assigner.ignore_iof_thr
            distances = distances.masked_fill(left_out[:, None], _FAR)
            owner = owner.masked_fill(left_out, -1)
    if within is not None:
        distances = distances.masked_fill(~within[:, None], torch.inf)
    nearest, start = [], 0
    for level in distances.split(list(counts)):
        nearest.append(level.topk(min(assigner.topk, len(level)), dim=0, largest=False)[1] + start)
        start += len(level)
    nearest = torch.cat(nearest)  # (candidates, K)
    candidates = overlaps.gather(0, nearest)
    if within is None:
        threshold = candidates.mean(0) + candidates.std(0)
        hit = candidates >= threshold
    else:  # a level may have fewer that take part than are wanted
        counts_in = within[nearest]
        number = counts_in.sum(0)
        mean = (candidates * counts_in).sum(0) / number
        variance = ((candidates - mean).square() * counts_in).sum(0) / (number - 1)
        hit = (candidates >= mean + variance.sqrt()) & counts_in
    at = centres[nearest]  # (candidates, K, 2)
    sides = torch.cat([at - boxes[:, :2], boxes[:, 2:] - at], dim=-1)
    hit = hit & (sides.amin(dim=-1) > 0.01)
    # Of several objects that hit a prior, it is of the one that it overlaps most with.
    own = torch.full_like(overlaps, -_FAR)
    own = own.scatter(0, nearest, torch.where(hit, candidates, -_FAR))
    most, best = own.max(dim=1)
    return torch.where(most > -_FAR, best + 1, owner)
