"""The targets and losses of a second stage's boxes, of all samples at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmdet.models.losses import accuracy
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from mmdet.models.task_modules.samplers import SamplingResult
from torch import nn

from vitmm.models.halts.avoiding import overrides_none, replace, send_numbers
from vitmm.models.halts.dense import box_loss, encode, of_classes


def avoid(module: nn.Module) -> None:
    """Replace the losses of a box head."""
    if (
        overrides_none(module, BBoxHead, 'loss')
        and not module.reg_decoded_bbox
        and not module.custom_activation
    ):
        replace(module, 'loss', _loss)
        if type(module.bbox_coder) is DeltaXYWHBBoxCoder:
            replace(module.bbox_coder, 'encode', encode)
            if overrides_none(module, BBoxHead, 'get_targets', '_get_targets_single'):
                replace(module, 'get_targets', _get_targets)


def _get_targets(
    head: BBoxHead,
    sampling_results: Sequence[SamplingResult],
    rcnn_train_cfg: Mapping[str, Any],
    concat: bool = True,
) -> tuple[torch.Tensor, ...]:
    """``BBoxHead.get_targets``: labels and their weights (K,), offsets and their weights (K, 4)."""
    drawn = [(one.pos_priors, one.neg_priors, one.pos_gt_bboxes) for one in sampling_results]
    if not concat or not all(isinstance(part, torch.Tensor) for one in drawn for part in one):
        return type(head).get_targets(head, sampling_results, rcnn_train_cfg, concat)
    priors, boxes = (torch.cat([one[i] for one in drawn]) for i in (0, 2))
    # Where in these a sample is, image by image; negatives are all in one place behind them.
    found, total, rows = 0, len(priors), []
    for positive, negative, _ in drawn:
        rows.append(np.arange(found, found + len(positive)))
        rows.append(np.full(len(negative), total))
        found += len(positive)
    rows = send_numbers(np.concatenate(rows), priors.device)
    labels = [one.pos_gt_labels for one in sampling_results]
    labels = torch.cat([*labels, labels[0].new_full((1,), head.num_classes)])[rows].long()
    offsets = nn.functional.pad(encode(head.bbox_coder, priors, boxes), (0, 0, 0, 1))[rows]
    positive = rows < total
    weight = rcnn_train_cfg.pos_weight
    label_weights = torch.where(positive, weight if weight > 0 else 1.0, 1.0)
    return labels, label_weights, offsets, positive[:, None].to(offsets.dtype).expand_as(offsets)


def _loss(
    head: BBoxHead,
    cls_score: torch.Tensor | None,
    bbox_pred: torch.Tensor | None,
    rois: torch.Tensor,
    labels: torch.Tensor,
    label_weights: torch.Tensor,
    bbox_targets: torch.Tensor,
    bbox_weights: torch.Tensor,
    reduction_override: str | None = None,
) -> dict[str, torch.Tensor]:
    """``BBoxHead.loss`` of scores (N, classes + 1) and offsets (N, classes * 4 or 4)."""
    if reduction_override:
        stock = type(head).loss
        return stock(
            head,
            cls_score,
            bbox_pred,
            rois,
            labels,
            label_weights,
            bbox_targets,
            bbox_weights,
            reduction_override,
        )
    losses = {}
    if cls_score is not None and cls_score.numel():
        avg_factor = (label_weights > 0).sum().clamp(min=1)
        losses['loss_cls'] = head.loss_cls(cls_score, labels, label_weights, avg_factor=avg_factor)
        losses['acc'] = accuracy(cls_score, labels)
    if bbox_pred is not None:
        positive = (labels >= 0) & (labels < head.num_classes)
        losses['loss_bbox'] = box_loss(
            head.loss_bbox,
            of_classes(head, bbox_pred, labels),
            bbox_targets,
            positive * bbox_weights[:, 0],
            max(len(bbox_targets), 1),
        )
    return losses
