"""Images of any number of bands and bits, from the bytes of their files."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np

from vitmm.datasets.errors import DataError

if TYPE_CHECKING:
    from tifffile import TiffPageSeries

TIFF = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
_BYTES = ('uint8', 'bool')
# 'unchanged' alone keeps an alpha channel, and leaves images lying that EXIF says to turn.
_FLAGS = {
    1: cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH,
    3: cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH,
}
_REDUCED = {
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
# By the number in a TIFF's Orientation: where its first row and first column lie.
_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: np.rot90(image),
}


def decode(
    content: bytes, channels: int, max_value: float | None = None, scale: int = 1
) -> np.ndarray:
    """Decode an image file, its values brought to 0 to 255.

    OpenCV decodes everything but TIFF, and of TIFF the 8-bit grey and colour images (of more bits
    those that tifffile could not read alone): of others it drops bands and bits without a word.
    With three channels, a grey image fills all three, and alpha is dropped, as by ``mmcv.imread``.

    Args:
        content: the bytes of the file.
        channels: the bands that it must have, 1 or more.
        max_value: the value that becomes 255: 4095 for a 12-bit sensor, say. None is the largest of
            the file's integers (255, 65535, ...), and 1 of floats.
        scale: 2, 4 or 8 decode a colour JPEG at so much less, which takes less time.

    Returns:
        (H, W, channels): uint8 as it is in the file, everything else float32. Three channels are
        in the order BGR, which OpenMMLab's data preprocessors turn to RGB; others in the file's.
        Pixels that a TIFF declares as without data, NaN and infinity become 0.

    Raises:
        DataError: another number of bands, a compression that needs another package, floats above
            1 without ``max_value``. Its message lacks the file's name.
        Exception: whatever a decoder raises on bytes that are no image.
    """
    image = read_tiff(content, channels) if content.startswith(TIFF) else None
    if image is None:
        flags = _FLAGS.get(channels, cv2.IMREAD_UNCHANGED)
        image = _read_other(content, _REDUCED.get(scale, flags))
    elif channels == 3 and image.shape[2] == 1:
        image = image.repeat(3, axis=2)
    elif channels == 3:
        image = image[..., ::-1]
    bands = image.shape[2]
    if bands != channels:
        raise DataError(
            f'has {bands} band{"s" if bands > 1 else ""}, and the model takes {channels}: set '
            f'model.backbone.in_chans={bands}, or give images of {channels}.'
        )
    return np.ascontiguousarray(to_255(image, max_value))


def read_tiff(content: bytes, channels: int) -> np.ndarray | None:
    """Decode all bands of a TIFF; None where OpenCV reads it whole, and one or three are wanted.

    Bands may be interleaved, planar or pages. An array (H, W, ``channels``) that was written as H
    pages is recognised as well.

    Returns:
        (H, W, bands), of the file's type and in its order.

    Raises:
        DataError: a compression that needs another package; an image of more than three axes.
    """
    import tifffile

    with tifffile.TiffFile(io.BytesIO(content)) as file:
        first = file.series[0]
        # tifffile makes a series of each page that it wrote by itself.
        pages = [s for s in file.series if s.shape == first.shape and s.dtype == first.dtype]
        if channels in (1, 3) and len(pages) == 1 and first.dtype in _BYTES and _is_plain(first):
            return None
        turned = False
        try:  # in one thread: the data loader's processes share the cores
            if first.ndim == 2:
                image, axes = np.stack([page.asarray(maxworkers=1) for page in pages]), 'SYX'
            else:
                image, axes = first.asarray(maxworkers=1), first.axes
        except Exception as error:
            if 'imagecodecs' not in str(error):
                raise
            image, axes = _read_compressed(content, first) if len(pages) == 1 else None, 'YXS'
            if image is None:
                raise DataError(
                    f'is a TIFF compressed with {first.keyframe.compression.name}: '
                    'pip install imagecodecs, which reads it.'
                ) from error
            turned = True  # OpenCV does so
        nodata = first.keyframe.nodata
        place = 1 if turned else first.keyframe.tags.valueof('Orientation', 1)
    if image.ndim != 3 or not {'Y', 'X'} <= set(axes):
        raise DataError(f'is a TIFF of {image.shape} ({axes}), and an image has three axes.')
    axis = next(i for i in range(3) if axes[i] not in 'YX')
    if image.shape[axis] != channels and image.shape[2] == channels:
        axis = 2
    image = np.moveaxis(image, axis, 2)
    if nodata:
        image = np.where(image == nodata, 0, image).astype(image.dtype)
    return _TURNS.get(place, lambda image: image)(image)


def _is_plain(series: TiffPageSeries) -> bool:
    """Whether OpenCV reads all bands of it: grey or colour, with alpha at most."""
    page = series.keyframe
    grey, interleaved = series.ndim == 2, page.planarconfig == 1 and series.ndim == 3
    colour = page.photometric > 1 and page.samplesperpixel <= 4 and interleaved
    return grey or colour


def _read_compressed(content: bytes, series: TiffPageSeries) -> np.ndarray | None:
    """What OpenCV reads, (H, W, 1 or 3) in the file's order, if that is the whole of it."""
    image = _read_other(content, cv2.IMREAD_UNCHANGED) if _is_plain(series) else None
    if image is None or image.size != series.size or image.dtype != series.dtype:
        return None
    return image[..., ::-1] if image.shape[2] <= 3 else None


def _read_other(content: bytes, flags: int) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if image is None:
        raise ValueError('OpenCV cannot decode it')
    if image.ndim == 2:
        return image[..., None]
    if image.shape[2] == 4:
        return image[..., [2, 1, 0, 3]]  # to RGBA
    return image


def to_255(image: np.ndarray, max_value: float | None = None) -> np.ndarray:
    """An image with its values brought to 0 to 255: see :func:`decode`.

    Raises:
        DataError: no real numbers; floats above 1 without ``max_value``.
    """
    kind = image.dtype.kind
    if kind not in 'buif':
        raise DataError(f'holds values of the type {image.dtype}: give real numbers.')
    limit = max_value or (np.iinfo(image.dtype).max if kind in 'ui' else 1)
    if image.dtype == np.uint8 and limit == 255:
        return image
    scaled = np.nan_to_num(image.astype(np.float32), nan=0, posinf=0, neginf=0)
    # Reflectances go a little above 1.
    if kind == 'f' and not max_value and scaled.max(initial=0) > 2:
        raise DataError(
            f'holds floats up to {scaled.max():g}, and they are taken as 0 to 1: set max_value to '
            'the value that stands for full brightness.'
        )
    return scaled / np.float32(limit / 255)
