"""Non-maximum suppression: plain (torchvision's kernel), soft, and with the suppressed kept.

Can go with the package (see `__init__.py`).
"""

import numpy as np
import torch
from torch import Tensor

from vitmm.compat.mmcv_ops.common import widen


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Indices of the kept boxes, best score first.

    Args:
        boxes: (N, 4) corners x1, y1, x2, y2.
        scores: (N,).
        offset: added to widths and heights; 1 where x2 names the last pixel, else 0.
    """
    if boxes.numel() == 0:
        return torch.empty(0, dtype=torch.long, device=boxes.device)
    import torchvision  # here, because its import takes seconds

    boxes = widen(boxes)
    if offset:
        boxes = torch.cat([boxes[:, :2], boxes[:, 2:] + offset], dim=1)
    return torchvision.ops.nms(boxes, scores.to(boxes.dtype), iou_threshold)


def softnms(
    boxes: Tensor,
    scores: Tensor,
    dets: Tensor,
    iou_threshold: float,
    sigma: float,
    min_score: float,
    method: int,
    offset: int,
) -> Tensor:
    """Soft-NMS; writes (x1, y1, x2, y2, decayed score) into ``dets``, (N, 5), best first.

    Args:
        method: 0 drops overlapping boxes, 1 decays their scores linearly, 2 by a Gaussian.

    Returns:
        The K indices into ``boxes`` that the first K rows of ``dets`` belong to.
    """
    if boxes.numel() == 0:
        return torch.empty(0, dtype=torch.long)
    corners = widen(boxes).detach().numpy().copy()
    score = widen(scores).detach().numpy().astype(corners.dtype)
    area = np.prod(corners[:, 2:] - corners[:, :2] + offset, axis=1)
    order = np.arange(len(corners))
    columns = (corners, score, area, order)
    done, count = 0, len(corners)
    with np.errstate(invalid='ignore', divide='ignore'):
        while done < count:
            # A NaN (two boxes of no area overlap by 0 / 0) never beats the box in its place.
            rest = np.where(np.isnan(score[done:count]), -np.inf, score[done:count])
            best = done if np.isnan(score[done]) else done + int(rest.argmax())
            for column in columns:
                column[[done, best]] = column[[best, done]]
            overlap = _iou(
                corners[done], area[done], corners[done + 1 : count], area[done + 1 : count], offset
            )
            score[done + 1 : count] *= _decay(overlap, iou_threshold, sigma, method)
            done += 1
            # The extension fills the gap of a dropped box with the last one. Which of several
            # equal scores comes first depends on it, so the same is done here.
            keep = ~(score[done:count] < min_score)
            kept = int(keep.sum())
            gaps = done + np.flatnonzero(~keep[:kept])
            fillers = done + kept + np.flatnonzero(keep[kept:])[::-1]
            for column in columns:
                column[gaps] = column[fillers]
            count = done + kept
    result = np.concatenate([corners[:count], score[:count, None]], axis=1)
    dets[:count] = torch.from_numpy(result).to(dets.dtype)
    return torch.from_numpy(order[:count].copy())


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Groups of indices into ``dets`` (N, 5): a kept box, then those that it suppresses."""
    dets = widen(dets.detach().cpu())
    corners = dets[:, :4].numpy()
    area = np.prod(corners[:, 2:] - corners[:, :2], axis=1)
    left = dets[:, 4].sort(descending=True, stable=True)[1].numpy()
    groups = []
    with np.errstate(invalid='ignore', divide='ignore'):
        while len(left):
            best, left = left[0], left[1:]
            suppressed = _iou(corners[best], area[best], corners[left], area[left], 0)
            suppressed = suppressed >= iou_threshold
            groups.append([int(best), *left[suppressed].tolist()])
            left = left[~suppressed]
    return groups


def _iou(box, box_area, others, other_areas, offset: int) -> np.ndarray:
    """IoU of one box with (M, 4) others."""
    size = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2]) + offset
    inter = np.prod(np.maximum(size, 0), axis=1)
    return inter / (box_area + other_areas - inter)


def _decay(overlap: np.ndarray, iou_threshold: float, sigma: float, method: int) -> np.ndarray:
    if method == 2:
        return np.exp(-(overlap**2) / sigma)
    return np.where(overlap >= iou_threshold, 1 - overlap if method == 1 else 0, 1)
