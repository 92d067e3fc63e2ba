"""Masks as COCO's compressed run lengths."""

from collections.abc import Collection
from typing import Any

import cv2
import numpy as np
import torch
from pycocotools import mask as coco_masks

_PIXELS = 2**26  # at once, of a byte each
_ROWS = 8  # looked through at once: what is asked of each row alone takes longer


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
    each = max(1, _PIXELS // area)
    found = [find(part) for part in masks.split(each)]
    ends = np.concatenate([one + i * each * (area + 1) for i, one in enumerate(found)])
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
    lengths = np.diff(places)
    parts = zip(np.append(0, last[:-1] + 1).tolist(), last.tolist(), strict=True)
    codes = [dict(size=[height, width], counts=lengths[begin:end]) for begin, end in parts]
    codes = coco_masks.frPyObjects(codes, height, width)
    return [dict(size=code['size'], counts=code['counts'].decode()) for code in codes]


def _of_crops(masks: torch.Tensor) -> np.ndarray:
    """Where runs begin and end, column by column, sorted; ``H W + 1`` further for each mask.

    A mask is mostly empty around its object. Of all masks the objects' columns are laid one after
    the other, each with a place of 0 behind it, and one before all.
    """
    masks = np.ascontiguousarray(masks.numpy())
    count, height, width = masks.shape
    tops, bottoms = _rows(masks)
    rows = map(slice, tops.tolist(), bottoms.tolist())
    bands = [mask[part] for mask, part in zip(masks, rows, strict=True)]
    filled = np.zeros((count, width), bool)
    for band, columns in zip(bands, filled, strict=True):
        np.logical_or.reduce(band, axis=0, out=columns)
    lefts, rights = _spans(filled)
    sizes = bottoms - tops + 1
    starts = np.concatenate([[0], np.cumsum((rights - lefts) * sizes)])
    columns = np.zeros(starts[-1] + 1, np.uint8)
    across = map(slice, lefts.tolist(), rights.tolist())
    laid = map(slice, (starts[:-1] + 1).tolist(), (starts[1:] + 1).tolist())
    for band, part, place, size in zip(bands, across, laid, sizes.tolist(), strict=True):
        if part.start < part.stop:
            crop = cv2.transpose(band[:, part].view(np.uint8))
            columns[place].reshape(-1, size)[:, :-1] = crop
    ends = np.flatnonzero(columns[1:] != columns[:-1])
    which = np.repeat(np.arange(count), np.diff(np.searchsorted(ends, starts)))
    ends -= starts[which]
    places = ends // sizes[which]  # the column
    places *= (height - sizes)[which]
    places += ends
    places += (np.arange(count) * (height * width + 1) + lefts * height + tops)[which]
    return places


def _rows(masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows around the objects of masks (N, H, W) of bool, as ``_spans``: all, and a few empty."""
    count, height, width = masks.shape
    blocks, rest = divmod(height, _ROWS)
    whole = blocks * _ROWS
    blocks = masks[:, :whole].reshape(count, blocks, _ROWS * width)
    rest = masks[:, whole:].reshape(count, 1, rest * width)
    filled = [_any(part) for part in (blocks, rest) if part.size]
    firsts, lasts = _spans(np.concatenate(filled, axis=1))
    return firsts * _ROWS, np.minimum(lasts * _ROWS, height)


def _any(places: np.ndarray) -> np.ndarray:
    """``places.any(axis=2)`` of (N, B, L) of bool, in two thirds of its time."""
    first = places.argmax(axis=2)
    return np.take_along_axis(places, first[..., None], axis=2)[..., 0]


def _spans(filled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """In each row of (N, L) the first that is filled, and the one behind the last; 0, 0 if none."""
    firsts = filled.argmax(axis=1)
    lasts = filled.shape[1] - filled[:, ::-1].argmax(axis=1)
    return firsts, np.where(filled.any(axis=1), lasts, 0)


def _of_whole_masks(masks: torch.Tensor) -> np.ndarray:
    """The same where the masks are; it is read once."""
    _, height, width = masks.shape
    above, below = masks[:, :-1], masks[:, 1:]
    ends = torch.cat([masks[:, :1], above != below, masks[:, -1:]], dim=1)
    ends = ends.transpose(1, 2).nonzero()  # in the order of columns
    which, column, row = ends.unbind(1)
    return (which * (height * width + 1) + column * height + row).cpu().numpy()
