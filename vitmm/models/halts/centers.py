"""What ATSS and FCOS share: boxes whose losses are weighted by how central a prior is in them."""

from typing import Any

import torch
from torch import nn

from vitmm.models.halts.dense import OVERLAPS, box_loss
from vitmm.models.halts.lists import Sending


def knows_losses(head: nn.Module) -> bool:
    """Whether :func:`center_losses` does what the head's losses do."""
    from mmdet.models import losses

    return (
        type(head.loss_cls) is losses.FocalLoss
        and type(head.loss_bbox) in [getattr(losses, name) for name in OVERLAPS]
        and head.loss_bbox.reduction == 'mean'
        and type(head.loss_centerness) is losses.CrossEntropyLoss
        and head.loss_centerness.use_sigmoid
    )


def center_losses(
    head: Any,
    positive: torch.Tensor,
    found: torch.Tensor,
    wanted: torch.Tensor,
    distances: torch.Tensor,
    logits: torch.Tensor,
    count: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """mmdet's losses of boxes and of how central priors are, over those that are positive.

    Args:
        head: mmdet's.
        positive: which priors have an object, (N,) of bool.
        found: the boxes of all priors, corners (N, 4).
        wanted: the boxes of their objects, likewise.
        distances: from a prior to the sides of its object: left, top, right, bottom (N, 4).
        logits: how central a prior is said to be, (N,).
        count: what the loss of the logits is divided by, ().

    Returns:
        The loss of boxes, not yet divided; the loss of logits; the sum of how central they are.
    """
    left, top, right, bottom = torch.where(positive[:, None], distances, 1.0).unbind(-1)
    wide = torch.minimum(left, right) / torch.maximum(left, right)
    tall = torch.minimum(top, bottom) / torch.maximum(top, bottom)
    central = (wide * tall).sqrt() * positive
    # The others' boxes may be of any size, and 0 times infinity is no number.
    found = torch.where(positive[:, None], found, 0.0)
    wanted = torch.where(positive[:, None], wanted, 0.0)
    with Sending():
        loss_bbox = box_loss(head.loss_bbox, found, wanted, central, 1.0)
    weights = positive.to(logits.dtype)
    loss_centerness = head.loss_centerness(logits, central, weights, avg_factor=count)
    return loss_bbox, loss_centerness, central.sum()
