"""What is wrong with a mask in a COCO file."""

from __future__ import annotations

import re
from math import isfinite

import numpy as np

_PACKED = re.compile('[0-o]*[0-O]')  # six bits a character, and the last is not to be continued


def mask_fault(segmentation: object, size: tuple[int, int] | None, whole: bool = True) -> str:
    """What is wrong with an annotation's ``segmentation``, '' if nothing is.

    Polygons are lists of at least three points, run lengths those of the whole image: of others
    mmdet and pycocotools make masks of nothing, of something else, or stop without a name.

    Args:
        segmentation: as it is in the file.
        size: (width, height) of the image, None where the file does not give it.
        whole: unpack run lengths that are packed into a text; else only its characters count.
    """
    if not segmentation:
        return 'has no segmentation'
    if isinstance(segmentation, list):
        return _polygons_fault(segmentation)
    if isinstance(segmentation, dict):
        return _runs_fault(segmentation.get('counts'), segmentation.get('size'), size, whole)
    return f'has the segmentation {str(segmentation)[:40]!r}, neither polygons nor run lengths'


def _polygons_fault(polygons: list) -> str:
    for polygon in polygons:
        if not isinstance(polygon, list):
            return (
                f'has the segmentation {_short(polygons)}, and a list of polygons is wanted: '
                '[[x, y, x, y, x, y], …]'
            )
        try:
            known = isfinite(sum(polygon))
        except (TypeError, OverflowError):
            known = False
        if not known:
            return f'has a polygon of other things than numbers: {_short(polygon)}'
    # mmdet passes over some beside a whole one; pycocotools looks at the first for what all are.
    first = polygons[0]
    if len(first) < 6 or len(first) % 2:
        return (
            f'has a polygon of {len(first)} numbers, {_short(first)}: it takes two for each of '
            'three or more points'
        )
    return ''


def _runs_fault(counts: object, told: object, size: tuple[int, int] | None, whole: bool) -> str:
    try:
        height, width = told
        pixels = width * height
    except (TypeError, ValueError):
        return f'has run lengths of the size {told}, not [height, width]'
    if size and (width, height) != size:
        return (
            f'has run lengths of {width} x {height} pixels, and its image has {size[0]} x {size[1]}'
        )
    if not whole and isinstance(counts, str) and _PACKED.fullmatch(counts):
        return ''
    try:
        runs = np.array(counts, np.int64) if isinstance(counts, list) else unpack(counts)
    except (TypeError, ValueError, OverflowError):
        return f'has run lengths that cannot be read: {_short(counts)}'
    if runs.sum() != pixels or runs.min(initial=0) < 0:
        return f'has run lengths of {runs.sum()} pixels, and its size is {width} x {height}'
    return ''


def unpack(counts: str) -> np.ndarray:
    """The run lengths, (N,) int64, that COCO's API packs into a text.

    Raises:
        ValueError: it is no such text.
    """
    if not isinstance(counts, str) or not _PACKED.fullmatch(counts):
        raise ValueError(counts)
    codes = np.frombuffer(counts.encode(), np.uint8).astype(np.int64) - 48
    last = np.flatnonzero(codes < 32)  # of each number
    first = np.concatenate([[0], last[:-1] + 1])
    digits = last - first
    if digits.max() > 6:
        raise ValueError(counts)
    place = np.arange(len(codes)) - np.repeat(first, digits + 1)
    runs = np.add.reduceat((codes & 31) << 5 * place, first)
    runs[(codes[last] & 16) > 0] -= 1 << 5 * (digits[(codes[last] & 16) > 0] + 1)
    # From the fourth on they are differences to the last but one.
    runs[1::2] = runs[1::2].cumsum()
    runs[2::2] = runs[2::2].cumsum()
    return runs


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 40 else f'{text[:40]}…'
