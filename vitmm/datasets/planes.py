"""Images laid out as models take them."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from vitmm.registry import TRANSFORMS


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
    # OpenCV would copy a flipped view step by step: it is turned back, and the planes are flipped.
    up, left = (stride < 0 for stride in image.strides[:2])
    image = image[:: -1 if up else 1, :: -1 if left else 1]
    planes = image.transpose(2, 0, 1)
    if not planes.flags.c_contiguous:
        planes = np.empty(planes.shape, planes.dtype)
        cv2.split(image, list(planes))
    if up or left:
        flipped = np.empty_like(planes)
        for source, target in zip(planes, flipped, strict=True):
            cv2.flip(source, -1 if up and left else int(left), dst=target)
        return flipped
    return planes
