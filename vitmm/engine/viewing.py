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

    They read the file of each image again, by OpenCV. A TIFF or a 16-bit PNG that it cannot show
    becomes a PNG of :func:`to_picture`; any other file is given as it is.

    Args:
        channels: of the images.
    """

    def __init__(self, channels: int = 3) -> None:
        self.channels = channels

    def get(self, filepath: str | Path) -> bytes:
        """Return the bytes of ``filepath``, on disk or wherever MMEngine's prefixes point."""
        content = fileio.get(filepath)
        if content.startswith(TIFF):
            bands = read_tiff(content, self.channels)
        else:
            bands = _read_deep_png(content)
        if bands is None:
            return content
        return cv2.imencode('.png', to_picture(bands)[..., ::-1])[1].tobytes()


def _read_deep_png(content: bytes) -> np.ndarray | None:
    """A PNG of 16 bits, (H, W, 1 or 3) in RGB: OpenCV drops the lower 8, and 12 may be all."""
    if content[:8] != b'\x89PNG\r\n\x1a\n' or content[24:25] != b'\x10':
        return None
    image = cv2.imdecode(
        np.frombuffer(content, np.uint8), cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
    )
    if image is None:
        return None
    return image[..., None] if image.ndim == 2 else image[..., ::-1]
