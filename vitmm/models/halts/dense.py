"""What boxes and their losses share: nothing is picked, what does not count weighs nothing."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

EPS = torch.finfo(torch.float32).eps
OVERLAPS = ('IoULoss', 'GIoULoss', 'DIoULoss', 'CIoULoss')  # mmdet's, of corners


def encode(coder: Any, priors: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """mmdet's ``DeltaXYWHBBoxCoder.encode``, whose constants need not be sent to the GPU.

    Args:
        coder: mmdet's.
        priors: (N, 4) corners, pixels.
        boxes: (N, 4) likewise.

    Returns:
        (N, 4): offsets of the centres in sizes of the priors, and logarithms of the ratios of the
        sizes (https://arxiv.org/abs/1311.2524, appendix C), less ``means``, by ``stds``.
    """
    (px, py, pw, ph), (x, y, w, h) = _centres(priors), _centres(boxes)
    deltas = (x - px) / pw, (y - py) / ph, (w / pw).log(), (h / ph).log()
    parts = zip(deltas, coder.means, coder.stds, strict=True)
    return torch.stack([(delta - mean) / std for delta, mean, std in parts], dim=-1)


def decode(coder: Any, priors: torch.Tensor, deltas: torch.Tensor) -> torch.Tensor:
    """mmdet's ``DeltaXYWHBBoxCoder.decode``, likewise, before boxes are clipped at the border.

    Args:
        coder: mmdet's.
        priors: (..., 4) corners, pixels.
        deltas: (..., 4): what :func:`encode` gives.

    Returns:
        (..., 4) corners, pixels.
    """
    parts = zip(deltas.unbind(-1), coder.stds, coder.means, strict=True)
    deltas = torch.stack([delta * std + mean for delta, std, mean in parts], dim=-1)
    most = abs(math.log(16 / 1000))  # the ratio of sizes that mmdet clips at
    size = priors[..., 2:] - priors[..., :2]
    centre = (priors[..., :2] + priors[..., 2:]) * 0.5 + size * deltas[..., :2]
    half = size * deltas[..., 2:].clamp(-most, most).exp() * 0.5
    return torch.cat([centre - half, centre + half], dim=-1)


def decodes_plainly(coder: Any) -> bool:
    """Whether :func:`decode` and :func:`clip` do what mmdet's coder does."""
    from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder

    known = type(coder) is DeltaXYWHBBoxCoder
    return known and not coder.add_ctr_clamp and not coder.use_box_type


def clip(coder: Any, boxes: torch.Tensor, image: Sequence[int]) -> None:
    """Cut boxes (N, 4) off at the border of an image of (height, width), in place, if it does."""
    if coder.clip_border:
        height, width = image[:2]
        boxes[:, 0::2].clamp_(0, width)
        boxes[:, 1::2].clamp_(0, height)


def of_classes(head: Any, offsets: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Of a box head's offsets (N, classes * 4 or 4) those of the labels (N,): (N, 4)."""
    offsets = offsets.view(len(offsets), -1, 4)
    if not head.reg_class_agnostic:
        own = labels.clamp(0, head.num_classes - 1)
        offsets = offsets.take_along_dim(own[:, None, None].expand(-1, 1, 4), dim=1)
    return offsets[:, 0]


def grid_priors(
    generator: Any, sizes: Sequence[tuple[int, int]], device: torch.device
) -> list[torch.Tensor]:
    """The anchors of each level, (A, 4), of mmdet's generator for maps of these (height, width).

    Those of the last sizes are kept: an iteration's losses and proposals want the same, and often
    the next one's do.
    """
    key = tuple(map(tuple, sizes)), device
    if getattr(generator, 'last_grid', (None,))[0] != key:
        # They wait on the CPU, to be sent to the GPU in each iteration.
        generator.base_anchors = [base.to(device) for base in generator.base_anchors]
        generator.last_grid = key, generator.grid_priors(sizes, device=device)
    return generator.last_grid[1]


def _centres(boxes: torch.Tensor) -> tuple[torch.Tensor, ...]:
    left, top, right, bottom = boxes.float().unbind(-1)
    return (left + right) * 0.5, (top + bottom) * 0.5, right - left, bottom - top


def class_loss(
    loss: nn.Module,
    scores: torch.Tensor,
    labels: torch.Tensor,
    weights: torch.Tensor,
    avg_factor: torch.Tensor,
) -> Any:
    """mmdet's loss of scores (N, C) and labels (N,) under weights (N,)."""
    from mmdet.models.losses import CrossEntropyLoss, FocalLoss

    sigmoid = getattr(loss, 'use_sigmoid', False) and not getattr(loss, 'activated', False)
    # mmdet makes them one-hot itself, by reading which there are, and which to ignore; for a GPU it
    # has a focal loss of plain labels.
    if sigmoid and (
        (type(loss) is CrossEntropyLoss and loss.ignore_index is None)
        or (type(loss) is FocalLoss and not scores.is_cuda)
    ):
        classes = torch.arange(scores.shape[1], device=labels.device)
        labels = (labels[:, None] == classes).to(scores.dtype)
        weights = weights[:, None].expand_as(scores)
    return loss(scores, labels, weights, avg_factor=avg_factor)


def box_loss(
    loss: nn.Module,
    found: torch.Tensor,
    wanted: torch.Tensor,
    weights: torch.Tensor,
    avg_factor: torch.Tensor | float,
) -> torch.Tensor:
    """mmdet's loss of offsets or corners (N, 4) under weights (N,)."""
    from mmdet.models import losses

    asking = ('L1Loss', 'SmoothL1Loss', *OVERLAPS)
    if type(loss) in [getattr(losses, name) for name in asking] and loss.reduction == 'mean':
        # With weights they ask first whether there is any.
        each = loss(found, wanted, reduction_override='none')
        if each.dim() > 1:  # of each number, not of each box
            weights = weights[:, None]
        return (each * weights).sum() / (avg_factor + EPS)
    return loss(found, wanted, weights[:, None].expand_as(found), avg_factor=avg_factor)
