"""Losses of queries: DETR's and its kin's, of all images of a layer at once, all layers matched."""

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmdet.models.dense_heads import ConditionalDETRHead, DeformableDETRHead, DETRHead, DINOHead
from mmdet.models.losses import CrossEntropyLoss, FocalLoss
from mmdet.models.task_modules.assigners import HungarianAssigner
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_xyxy_to_cxcywh
from mmdet.utils import reduce_mean
from mmengine.structures import InstanceData
from torch import nn

from vitmm.models.halts.avoiding import overrides_none, replace
from vitmm.models.halts.dense import borders, box_loss, class_loss
from vitmm.models.halts.lists import Sending
from vitmm.models.halts.matching import Pairs, match, one_after_the_other

# Their losses are those of the decoder's layers, one after the other, and after them of others.
KINDS = (DETRHead, ConditionalDETRHead, DeformableDETRHead, DINOHead)


def avoid(module: nn.Module) -> None:
    """Replace the losses of a layer: of matched queries and of noisy ones."""
    plain = type(getattr(module, 'loss_cls', None)) in (FocalLoss, CrossEntropyLoss)
    same = ('loss_by_feat_single', 'get_targets', '_get_targets_single')
    if (
        plain
        and overrides_none(module, DETRHead, *same)
        and type(getattr(module, 'assigner', None)) is HungarianAssigner
    ):
        replace(module, 'loss_by_feat_single', _matched)
        if type(module).loss_by_feat in [kind.loss_by_feat for kind in KINDS]:
            replace(module, 'loss_by_feat', _loss_by_feat)
    same = ('_loss_dn_single', 'get_dn_targets', '_get_dn_targets_single')
    if plain and overrides_none(module, DINOHead, *same):
        replace(module, '_loss_dn_single', _denoised)


def _loss_by_feat(head: DETRHead, *args: Any, **kwargs: Any) -> dict[str, torch.Tensor]:
    """``loss_by_feat`` of DETR's or its kin's head, for which all layers are matched at once."""
    stock = type(head).loss_by_feat
    given = inspect.signature(stock).bind(head, *args, **kwargs).arguments
    names = 'all_layers_cls_scores', 'all_layers_bbox_preds', 'batch_gt_instances'
    scores, boxes, truths = (given[name] for name in names)
    if given.get('dn_meta') is not None:
        scores, boxes, _, _ = head.split_outputs(scores, boxes, given['dn_meta'])
    metas = given['batch_img_metas']
    with Sending():
        head.matched = _match(head, scores, boxes, truths, borders(metas, boxes.device), metas)
        try:
            return stock(head, *args, **kwargs)
        finally:
            del head.matched


def _match(
    head: DETRHead,
    scores: torch.Tensor,
    boxes: torch.Tensor,
    truths: Sequence[InstanceData],
    scales: torch.Tensor,
    metas: Sequence[dict],
) -> list[Pairs]:
    """Of each layer, (layers, N, queries, classes) and (layers, N, queries, 4) in 0 to 1."""
    corners = bbox_cxcywh_to_xyxy(boxes.detach()) * scales[:, None]
    each = zip(*(one.transpose(0, 1).flatten(1, 2) for one in (scores, corners)), strict=True)
    found = [InstanceData(scores=own, bboxes=box) for own, box in each]
    images = list(zip(found, truths, metas, strict=True))
    return match(head.assigner, images, len(boxes))


Losses = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # of classes, boxes, overlaps


def _matched(
    head: DETRHead,
    cls_scores: torch.Tensor,
    bbox_preds: torch.Tensor,
    batch_gt_instances: Sequence[InstanceData],
    batch_img_metas: Sequence[dict],
) -> Losses:
    """``DETRHead.loss_by_feat_single``: (N, queries, classes), (N, queries, 4) in 0 to 1."""
    scales = borders(batch_img_metas, bbox_preds.device)
    # The decoder's layers come in their order, the encoder's proposals after them.
    if not (pairs := head.matched.pop(0) if getattr(head, 'matched', None) else None):
        layer = cls_scores[None], bbox_preds[None]
        (pairs,) = _match(head, *layer, batch_gt_instances, scales, batch_img_metas)
    negatives = bbox_preds.shape[:2].numel() - sum(len(queries) for queries, _ in pairs)
    return _losses(head, cls_scores, bbox_preds, batch_gt_instances, scales, pairs, negatives)


def _denoised(
    head: DINOHead,
    dn_cls_scores: torch.Tensor,
    dn_bbox_preds: torch.Tensor,
    batch_gt_instances: Sequence[InstanceData],
    batch_img_metas: Sequence[dict],
    dn_meta: dict[str, int],
) -> Losses:
    """``DINOHead._loss_dn_single``: likewise. A group has each object twice, the second far off."""
    given = dn_cls_scores, dn_bbox_preds, batch_gt_instances
    if not dn_meta['num_denoising_queries']:
        return type(head)._loss_dn_single(head, *given, batch_img_metas, dn_meta)
    groups = dn_meta['num_denoising_groups']
    starts = np.arange(groups)[:, None] * (dn_meta['num_denoising_queries'] // groups)
    pairs = []
    for truth in batch_gt_instances:
        objects = np.arange(len(truth.labels))
        pairs.append(((starts + objects).ravel(), np.tile(objects, groups)))
    scales = borders(batch_img_metas, dn_bbox_preds.device)
    negatives = sum(len(queries) for queries, _ in pairs)
    return _losses(head, *given, scales, pairs, negatives)


def _losses(
    head: DETRHead,
    scores: torch.Tensor,
    boxes: torch.Tensor,
    truths: Sequence[InstanceData],
    scales: torch.Tensor,
    pairs: Pairs,
    negatives: int,
) -> Losses:
    images, queries = boxes.shape[:2]
    where, owner, classes = one_after_the_other(pairs, queries, truths, head.num_classes)
    shares = [truth.bboxes / scale for truth, scale in zip(truths, scales, strict=True)]
    shares = bbox_xyxy_to_cxcywh(torch.cat(shares))
    wanted = shares.new_zeros(images * queries, 4).index_put((where,), shares[owner])
    weights = torch.zeros_like(wanted[:, 0]).index_fill(0, where, 1.0)

    positives = len(where)
    factor = positives + negatives * head.bg_cls_weight
    if head.sync_cls_avg_factor:
        factor = reduce_mean(scores.new_full((1,), factor)).clamp(min=1)
    else:
        factor = max(factor, 1)
    flat_scores = scores.reshape(-1, head.cls_out_channels)
    ones = torch.ones_like(weights)
    loss_cls = class_loss(head.loss_cls, flat_scores, classes, ones, factor)

    # In mmdet's shape, which it has in a process whose images have no object.
    count = reduce_mean(loss_cls.new_full((1,), positives))[0].clamp(min=1)
    found = boxes.reshape(-1, 4)
    pixels = scales.repeat_interleave(queries, dim=0)
    corners = [bbox_cxcywh_to_xyxy(one) * pixels for one in (found, wanted)]
    loss_iou = box_loss(head.loss_iou, *corners, weights, count)
    loss_bbox = box_loss(head.loss_bbox, found, wanted, weights, count)
    return loss_cls, loss_bbox, loss_iou
