"""Reading masks and depth maps, to tell what they hold and what is wrong with them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from vitmm.datasets.loading import IGNORED


class MaskLook(NamedTuple):
    """What a mask holds: pixels of each class, and all values, None where it cannot be read."""

    classes: Counter[str]
    values: set[int] | None
    faults: list[str]


def look_at_mask(
    path: str, size: tuple[int, int] | None, classes: Sequence[str], zero: bool
) -> MaskLook:
    """Read a mask, and count.

    Args:
        path: of the mask.
        size: (width, height) of its image, None where that is not known.
        classes: their names, in the order of the labels.
        zero: whether classes are counted from 1, and 0 is ignored.
    """
    mask, faults = _read_map('mask', path, size)
    counts: Counter[str] = Counter()
    if mask is None:
        return MaskLook(counts, None, faults)
    ignored = (0, IGNORED) if zero else (IGNORED,)
    values, pixels = (found.tolist() for found in np.unique(mask, return_counts=True))
    for value, count in zip(values, pixels, strict=True):
        label = value - zero
        if label in range(len(classes)):
            counts[classes[int(label)]] += count
        elif value not in ignored:
            faults.append(
                f'its mask {path} has the value {value} ({count} pixels); there are '
                f'{int(zero)} to {len(classes) - 1 + zero}, and {IGNORED}'
            )
    if all(value in ignored for value in values):
        shown = ' or '.join(map(str, values))
        faults.append(f'its mask {path} has no pixel of a class: all are {shown}, which is ignored')
    return MaskLook(counts, set(values), faults)


class DepthLook(NamedTuple):
    """What a depth map holds: its nearest and farthest metre, None where it has none; its type."""

    span: tuple[float, float] | None
    kind: str
    faults: list[str]


def look_at_depth(path: str, size: tuple[int, int] | None, unit: float) -> DepthLook:
    """Read a depth map.

    Args:
        path: of the map.
        size: (width, height) of its image, None where that is not known.
        unit: metres of one step of its values.
    """
    depth, faults = _read_map('depth map', path, size)
    if depth is None:
        return DepthLook(None, '', faults)
    measured = depth[depth > 0]
    if not measured.size:
        faults.append(f'its depth map {path} has no measured pixel: all are 0')
        return DepthLook(None, depth.dtype.name, faults)
    span = float(measured.min()) * unit, float(measured.max()) * unit
    return DepthLook(span, depth.dtype.name, faults)


def depth_unit(options: Mapping) -> float:
    """Metres of one step of the depth maps, as a data set's config has it."""
    for step in options.get('pipeline') or ():
        kind = step.get('type') if isinstance(step, Mapping) else None
        if kind == 'vitmm.LoadDepth':
            return step.get('unit', 1e-3)
        if str(kind).endswith('LoadDepthAnnotation'):
            return step.get('depth_rescale_factor', 1)
    return 1e-3


def _read_map(
    what: str, path: str, size: tuple[int, int] | None
) -> tuple[np.ndarray | None, list[str]]:
    """An image of one channel, (H, W), if it is one; and what is wrong with it."""
    if not os.path.isfile(path):
        return None, [f'its {what} {path} is missing']
    try:
        with Image.open(path) as image:
            found = np.asarray(image)
    except Exception as error:  # every decoder fails in its own way
        return None, [f'its {what} {path} does not decode ({error})']
    if found.ndim != 2:
        return None, [f'its {what} {path} has {found.shape[2]} channels, not one']
    if size and found.shape[::-1] != size:
        shown = shown_size(found.shape[::-1])
        return found, [f'its {what} {path} has {shown} pixels, not {shown_size(size)}']
    return found, []


def shown_size(size: Sequence[int]) -> str:
    """(width, height) for a message."""
    return f'{size[0]} x {size[1]}'
