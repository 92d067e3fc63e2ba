"""Showing images that no viewer shows: many bands, more than 8 bits."""

from pathlib import Path

import cv2
import numpy as np
from mmengine import fileio
from mmengine.fileio import LocalBackend, register_backend

from vitmm.datasets.bands import TIFF, read_tiff


def to_picture(image: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) uint8 of any (H, W, bands): the first three bands, or the first as grey.

    Other types than uint8 are stretched so that the darkest hundredth becomes 0, the brightest 255.
    """
    shown = image[..., :3] if image.shape[2] >= 3 else image[..., :1].repeat(3, axis=2)
    if shown.dtype == np.uint8:
        return shown
    shown = np.nan_to_num(shown.astype(np.float32), nan=0, posinf=0, neginf=0)
    low, high = np.percentile(shown, (1, 99))
    return (255 * np.clip((shown - low) / max(high - low, 1e-6), 0, 1)).astype(np.uint8)


@register_backend('vitmm_picture')
class PictureBackend(LocalBackend):
    """Read image files as the visualization hooks of mmdet and mmseg can decode them.

    They read the file of each image again, by OpenCV. A TIFF that it cannot show becomes a PNG of
    :func:`to_picture`; any other file is given as it is.

    Args:
        channels: of the images.
    """

    def __init__(self, channels: int = 3) -> None:
        self.channels = channels

    def get(self, filepath: str | Path) -> bytes:
        """Return the bytes of ``filepath``, on disk or wherever MMEngine's prefixes point."""
        content = fileio.get(filepath)
        bands = read_tiff(content, self.channels) if content.startswith(TIFF) else None
        if bands is None:
            return content
        return cv2.imencode('.png', to_picture(bands)[..., ::-1])[1].tobytes()
