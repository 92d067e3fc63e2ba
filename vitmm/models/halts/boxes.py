"""The losses of a second stage's boxes, of all samples at once."""

import torch
from mmdet.models.losses import accuracy
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from torch import nn

from vitmm.models.halts.avoiding import overrides_none, replace
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
