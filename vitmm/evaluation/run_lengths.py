"""Masks as COCO's compressed run lengths."""

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from pycocotools import mask as coco_masks

_PIXELS = 2**26  # at once on a GPU, of a byte each


def encode_masks(masks: torch.Tensor | Collection[np.ndarray]) -> list[dict[str, Any]]:
    """What ``pycocotools.mask.encode`` makes of each mask of 0 and 1.

    From a GPU only the places where runs begin and end are copied, not the masks. On a CPU only
    what surrounds an object is looked through.

    Args:
        masks: (N, H, W), H and W at least 1, of bool, or numbers of which 0 is outside (fractions
            are cut off); or N arrays, as ``BitmapMasks`` has them.

    Returns:
        For each mask its ``size``, H and W, and its ``counts``, run lengths column by column in
        COCO's compressed format (https://github.com/cocodataset/cocoapi), as JSON takes it.
    """
    if not len(masks):
        return []
    if not isinstance(masks, torch.Tensor):
        masks = torch.from_numpy(np.stack([np.asarray(mask) for mask in masks]))
    count, height, width = masks.shape
    area = height * width
    if masks.dtype != torch.bool:
        masks = masks.byte().bool()
    find = _of_crops if masks.device.type == 'cpu' else _of_whole_masks
    ends = find(masks)
    # Where a run ends at a column's foot, and one begins at the head of the next, is none.
    single = np.ones(len(ends) + 1, bool)
    single[1:-1] = ends[1:] != ends[:-1]
    which, place = np.divmod(ends[single[1:] & single[:-1]], area + 1)
    which, place = which[place < area], place[place < area]
    # Of each mask 0, its places, and its area; between these are the run lengths.
    numbers = np.arange(count)
    last = np.searchsorted(which, numbers, 'right') + 2 * numbers + 1
    places = np.zeros(len(place) + 2 * count, np.int64)
    places[np.arange(len(place)) + 2 * which + 1] = place
    places[last] = area
    lengths = np.split(np.diff(places), last[:-1])
    lengths[1:] = [each[1:] for each in lengths[1:]]
    codes = [dict(size=[height, width], counts=each) for each in lengths]
    codes = coco_masks.frPyObjects(codes, height, width)
    return [dict(size=code['size'], counts=code['counts'].decode()) for code in codes]


def _of_crops(masks: torch.Tensor) -> np.ndarray:
    """Where runs begin and end, column by column, sorted; ``H W + 1`` further for each mask.

    A mask is mostly empty around its object.
    """
    masks = masks.numpy()
    _, height, width = masks.shape
    spans = [_spans(masks.any(axis=axis)) for axis in (1, 2)]
    found = []
    for number, (mask, (left, right), (top, bottom)) in enumerate(zip(masks, *spans, strict=True)):
        if left < right:
            ends = _ends(mask[top:bottom, left:right], np.concatenate)
            row, column = np.divmod(np.flatnonzero(ends), right - left)
            column *= height
            column += row
            column += number * (height * width + 1) + left * height + top
            found.append(column)
    return np.sort(np.concatenate(found)) if found else np.zeros(0, np.int64)


def _spans(found: np.ndarray) -> list[list[int]]:
    """The first, and the one behind the last, that is found in each row; twice 0 if none is."""
    last = found.shape[1] - found[:, ::-1].argmax(axis=1)
    spans = np.stack([found.argmax(axis=1), last], axis=1)
    return (spans * found.any(axis=1, keepdims=True)).tolist()


def _of_whole_masks(masks: torch.Tensor) -> np.ndarray:
    """The same where the masks are; it is read once for many of them."""
    _, height, width = masks.shape
    parts = masks.split(max(1, _PIXELS // (height * width)))
    found = []
    for number, part in enumerate(parts):
        ends = _ends(part, torch.cat).transpose(1, 2).nonzero()  # in the order of columns
        which, column, row = ends.unbind(1)
        which = which + number * len(parts[0])
        found.append(which * (height * width + 1) + column * height + row)
    return torch.cat(found).cpu().numpy()


def _ends(masks: Any, join: Any) -> Any:
    """Where columns of masks (..., H, W) begin and end to be inside, (..., H + 1, W) of bool."""
    above, below = masks[..., :-1, :], masks[..., 1:, :]
    return join([masks[..., :1, :], above != below, masks[..., -1:, :]], -2)
