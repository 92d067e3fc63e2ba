"""Masks as COCO's compressed run lengths."""

from collections.abc import Collection
from typing import Any

import cv2
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
    found = []
    for number, (mask, rows) in enumerate(zip(masks, _in_rows(masks), strict=True)):
        top, bottom = _span(rows)
        if top == bottom:
            continue
        band = mask[top:bottom]
        left, right = _span(band.any(axis=0))
        # The columns one after the other, each with a place of 0 behind it, and one before all.
        size = bottom - top + 1
        columns = np.zeros((right - left) * size + 1, np.uint8)
        crop = cv2.transpose(band[:, left:right].view(np.uint8))
        columns[1:].reshape(-1, size)[:, :-1] = crop
        ends = np.flatnonzero(columns[1:] != columns[:-1])
        places = ends // size  # the column
        places *= height - size
        places += ends
        places += number * (height * width + 1) + left * height + top
        found.append(places)
    return np.concatenate(found) if found else np.zeros(0, np.int64)


def _in_rows(masks: np.ndarray) -> np.ndarray:
    """Whether each row of masks (N, H, W) of bool has anything, (N, H)."""
    if masks.shape[2] % 8 or not masks.flags.c_contiguous:
        return masks.any(axis=2)
    return np.bitwise_or.reduce(masks.view(np.uint64), axis=2).astype(bool)  # eight at once


def _span(found: np.ndarray) -> tuple[int, int]:
    """The first that is found, and the one behind the last; twice 0 if none is."""
    first = int(found.argmax())
    return (first, len(found) - int(found[::-1].argmax())) if found[first] else (0, 0)


def _of_whole_masks(masks: torch.Tensor) -> np.ndarray:
    """The same where the masks are; it is read once for many of them."""
    _, height, width = masks.shape
    parts = masks.split(max(1, _PIXELS // (height * width)))
    found = []
    for number, part in enumerate(parts):
        above, below = part[:, :-1], part[:, 1:]
        ends = torch.cat([part[:, :1], above != below, part[:, -1:]], dim=1)
        ends = ends.transpose(1, 2).nonzero()  # in the order of columns
        which, column, row = ends.unbind(1)
        which = which + number * len(parts[0])
        found.append(which * (height * width + 1) + column * height + row)
    return torch.cat(found).cpu().numpy()
