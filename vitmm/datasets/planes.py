"""Images laid out as models take them."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from vitmm.registry import TRANSFORMS

BAND = 2**18  # bytes of an image that are flipped at a time
# What OpenCV takes, whichever it is.
_OPENCV = ('uint8', 'int8', 'uint16', 'int16', 'int32', 'float32', 'float64')


@TRANSFORMS.register_module()
class Planes(BaseTransform):
    """Put the pixels of ``'img'`` into memory channel by channel; values and shape stay.

    The packing of mmdet, mmseg and mmpretrain does this without vector instructions, which takes
    ten times as long; an image that lies so already it passes through. Goes right before it.
    """

    def transform(self, results: dict) -> dict:
        """Lay out ``results['img']``, (H, W, channels), flipped or not."""
        image = np.asarray(results['img'])
        if image.ndim == 3 and image.shape[2] > 1:
            results['img'] = _planes(image).transpose(1, 2, 0)
        return results

    def __repr__(self) -> str:
        return 'Planes()'


def _planes(image: np.ndarray) -> np.ndarray:
    """(H, W, channels) -> (channels, H, W)."""
    if image.dtype.name not in _OPENCV:  # as the int64 of mmdet's CopyPaste
        return np.ascontiguousarray(image.transpose(2, 0, 1))
    # OpenCV would copy a flipped view step by step: it is turned back, and OpenCV flips.
    up, left = (stride < 0 for stride in image.strides[:2])
    back = slice(None, None, -1 if up else 1), slice(None, None, -1 if left else 1)
    code = -1 if up and left else int(left)
    planes = image[back].transpose(2, 0, 1)
    laid, flipped = planes.flags.c_contiguous, up or left
    if laid and not flipped:
        return planes
    target = np.empty(planes.shape, planes.dtype)
    if laid:
        for source, plane in zip(planes, target, strict=True):
            cv2.flip(source, code, dst=plane)
        return target
    # What is flipped is still in the processor's cache when it is split.
    rows = max(1, BAND // max(1, image[:1].nbytes)) if flipped else len(image)
    for top in range(0, len(image), rows):
        band = image[top : top + rows][back]
        cv2.split(cv2.flip(band, code) if flipped else band, list(target[:, top : top + rows]))
    return target
