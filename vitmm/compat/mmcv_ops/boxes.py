"""Overlaps of axis-aligned boxes. Can go with the package (see `__init__.py`)."""

import torch
from torch import Tensor

from vitmm.compat.mmcv_ops.common import widen


def bbox_overlaps(
    bboxes1: Tensor, bboxes2: Tensor, ious: Tensor, mode: int, aligned: bool, offset: int
) -> None:
    """Fill ``ious``: (M, N) for all pairs of (M, 4) and (N, 4) boxes, or (M,) for aligned ones.

    Args:
        mode: 0 divides by the union, 1 by the area of the first box.
        offset: added to widths and heights.
    """
    first, second = widen(bboxes1), widen(bboxes2)
    if not aligned:
        first, second = first[:, None], second[None]
    area1 = (first[..., 2:] - first[..., :2] + offset).prod(-1)
    area2 = (second[..., 2:] - second[..., :2] + offset).prod(-1)
    corner = torch.maximum(first[..., :2], second[..., :2])
    size = torch.minimum(first[..., 2:], second[..., 2:]) - corner + offset
    inter = size.clamp(min=0).prod(-1)
    base = area1 + area2 - inter if mode == 0 else area1.expand_as(inter)
    ious.copy_(inter / base.clamp(min=offset))
