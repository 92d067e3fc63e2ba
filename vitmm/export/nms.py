"""Non-maximum suppression that leaves shapes as they are."""

from typing import Any

import torch
from torch import Tensor

from vitmm.errors import ConfigError


def check_nms(settings: Any) -> None:
    """Refuse what ONNX has no operator for.

    Raises:
        ConfigError: soft NMS and others, or coordinates that count pixels.
    """
    kind = settings.get('type', 'nms')
    if kind != 'nms' or settings.get('offset', 0):
        raise ConfigError(
            f'the model cannot be exported: test_cfg asks for {kind}'
            f'{" with an offset" if kind == "nms" else ""}, and ONNX has plain NMS only. '
            'Try --cfg-options model.test_cfg...nms.type=nms.'
        )


def best(
    boxes: Tensor, scores: Tensor, groups: Tensor, candidates: Tensor, settings: Any, count: int
) -> tuple[Tensor, Tensor]:
    """The boxes that no better one of their group overlaps, best first.

    Args:
        boxes: (n, 4) x1 y1 x2 y2 in pixels.
        scores: (n,), none below 0.
        groups: (n,) class or level; boxes of two groups do not meet.
        candidates: (n,) which of them take part.
        settings: ``iou_threshold`` and, to make one group of all, ``class_agnostic``.
        count: how many at most.

    Returns:
        Indices (K,), K = min(count, n), and their scores; -1 where no box is left.
    """
    # Boxes are moved apart by group, as mmcv does, and one NMS does for all.
    if settings.get('class_agnostic', False):
        apart = boxes
    else:
        apart = boxes + (groups.to(boxes) * (boxes.max() + 1))[:, None]
    # torch.export takes lengths that depend on data as 2 or more, and its graph stops at less: two
    # boxes without area, which meet nothing, always take part and are always left.
    apart = torch.cat([apart, boxes.new_zeros(2, 4)])
    ranks = torch.cat([scores, scores.new_zeros(2)])
    index = torch.cat([candidates, candidates.new_ones(2)]).nonzero()[:, 0]
    kept = index[
        torch.ops.torchvision.nms(apart[index], ranks[index], float(settings['iou_threshold']))
    ]
    # How many are left is not known beforehand; marks on all, and the best of them, are.
    marks = torch.zeros_like(ranks).index_put((kept,), ranks.new_ones(()))[: scores.shape[0]]
    found, order = torch.where(marks > 0, scores, -1.0).topk(at_most(count, scores.shape[0]))
    return order, found


def at_most(count: int, size: int) -> int:
    """The smaller one; nothing below 1 sets no limit."""
    return torch.sym_min(count, size) if count > 0 else size
