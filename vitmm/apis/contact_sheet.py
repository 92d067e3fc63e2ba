"""Many pictures on one."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

_GAP = 8  # pixels


def contact_sheet(pictures: Sequence[np.ndarray], side: int = 320) -> np.ndarray:
    """Lay pictures out in a grid on white, in their order by rows.

    Args:
        pictures: (H, W, 3) uint8, one or more, of any sizes.
        side: pixels of a cell; larger pictures are made smaller.

    Returns:
        (H, W, 3) uint8.
    """
    small = [_within(picture, side) for picture in pictures]
    height = max(picture.shape[0] for picture in small)
    width = max(picture.shape[1] for picture in small)
    # About as wide as high.
    columns = min(len(small), math.ceil(math.sqrt(len(small) * height / width)))
    rows = math.ceil(len(small) / columns)
    shape = rows * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, 3
    sheet = np.full(shape, 255, np.uint8)
    for number, picture in enumerate(small):
        row, column = divmod(number, columns)
        top, left = _GAP + row * (height + _GAP), _GAP + column * (width + _GAP)
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return sheet


def _within(picture: np.ndarray, side: int) -> np.ndarray:
    scale = side / max(picture.shape[:2])
    if scale >= 1:
        return picture
    height, width = (max(1, round(length * scale)) for length in picture.shape[:2])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
