"""JPEGs that are decoded no larger than they are wanted."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from vitmm.datasets.errors import DataError

SCALES = (8, 4, 2)  # libjpeg's: the reduced side is ceil(side / scale)
_EXIF = 0xE1
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive


class Header(NamedTuple):
    """What a colour JPEG says of itself, turned as EXIF says.

    ``from_right`` and ``from_bottom``: whether turning put the file's first column to the right,
    its first row to the bottom.
    """

    height: int
    width: int
    from_right: bool = False
    from_bottom: bool = False


def read_header(content: bytes) -> Header | None:
    """The header of a JPEG of three 8-bit channels; None for anything else, and what is broken."""
    if not content.startswith(b'\xff\xd8\xff'):
        return None
    at, turned = 2, 1
    while content[at : at + 1] == b'\xff' and len(content) >= at + 10:
        marker, length = content[at + 1], int.from_bytes(content[at + 2 : at + 4], 'big')
        if marker == _EXIF and content[at + 4 : at + 8] == b'Exif':
            turned = _orientation(content, at + 10)
            if turned is None:
                return None
        elif marker in _FRAMES:
            bits, height, width, channels = struct.unpack_from('>BHHB', content, at + 4)
            if (bits, channels) != (8, 3) or not height or not width:
                return None
            if turned in (5, 6, 7, 8):
                width, height = height, width
            return Header(height, width, turned in (2, 3, 6, 7), turned in (3, 4, 7, 8))
        at += 2 + length
    return None


def _orientation(content: bytes, at: int) -> int | None:
    if content[at : at + 2] not in (b'II', b'MM'):  # the byte order: Pillow and OpenCV disagree
        return None
    try:
        with Image.open(io.BytesIO(content), formats=('JPEG',)) as image:
            return image.getexif().get(0x0112, 1)
    except Exception:  # what OpenCV makes of it is seen when it is decoded
        return None


class JpegImage:
    """A JPEG that waits for what is wanted of it.

    It has the shape of the whole image, and can be cropped. ``mmcv.imresize`` (see
    :mod:`vitmm.compat.mmcv_resize`) asks it for as many pixels as the new size needs, so that
    sizes, boxes and scale factors are those of the whole image. For everything else it is the
    decoded array. What wants a true array (OpenCV's functions) refuses it.

    Args:
        path: of the file, for messages.
        header: of the file.
        read: decodes the file at 1/1, 1/2, 1/4 or 1/8 of its size: scale -> (h, w, 3) uint8.
        box: the crop (left, top, right, bottom) in pixels; all of it by default.
    """

    def __init__(
        self,
        path: str,
        header: Header,
        read: Callable[[int], np.ndarray],
        box: tuple[int, int, int, int] | None = None,
    ) -> None:
        self._path = path
        self._header = header
        self._read = read
        self._box = box or (0, 0, header.width, header.height)
        self._array: np.ndarray | None = None
        left, top, right, bottom = self._box
        self.shape = (bottom - top, right - left, 3)
        self.ndim = 3
        self.dtype = np.dtype(np.uint8)

    def enough_for(self, width: int, height: int) -> tuple[np.ndarray, tuple[float, ...]]:
        """The smallest decoding of which (width, height) is no enlargement.

        Returns:
            The pixels of the file, (h, w, 3), and the box (left, top, right, bottom) among them
            that is this image, in pixels, not rounded.
        """
        most = min(self.shape[1] / width, self.shape[0] / height)
        scale = 1 if most < 2 else next(s for s in SCALES if s <= most)
        if scale == 1:
            return self.__array__(), (0, 0, self.shape[1], self.shape[0])
        pixels = self._pixels(scale)
        # Where a side is no multiple of the scale, the file's last pixel is cut short.
        x = pixels.shape[1] - self._header.width / scale if self._header.from_right else 0
        y = pixels.shape[0] - self._header.height / scale if self._header.from_bottom else 0
        left, top, right, bottom = (side / scale for side in self._box)
        return pixels, (left + x, top + y, right + x, bottom + y)

    def _pixels(self, scale: int) -> np.ndarray:
        pixels = self._read(scale)
        expected = -(-self._header.height // scale), -(-self._header.width // scale)
        if pixels.shape[:2] != expected:
            raise DataError(
                f'{self._path} decodes to {pixels.shape[:2]} at 1/{scale}, and its header speaks '
                f'of {expected}: write the file again, or set reduce=False.'
            )
        return pixels

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if self._array is None:
            left, top, right, bottom = self._box
            self._array = self._pixels(1)[top:bottom, left:right]
        array = self._array if dtype is None else self._array.astype(dtype, copy=False)
        return array.copy() if copy else array

    def __getitem__(self, key: Any) -> Any:
        """A crop ``[top:bottom, left:right]`` waits as well; all else is the array's."""
        if not (
            isinstance(key, tuple)
            and len(key) in (2, 3)
            and all(isinstance(part, slice) and part.step is None for part in key[:2])
            and key[2:] in ((), (...,), (slice(None),))
        ):
            return np.asarray(self)[key]
        rows, columns = key[:2]
        top, bottom, _ = rows.indices(self.shape[0])
        left, right, _ = columns.indices(self.shape[1])
        if bottom <= top or right <= left:
            return np.asarray(self)[key]
        x, y = self._box[:2]
        box = x + left, y + top, x + right, y + bottom
        return JpegImage(self._path, self._header, self._read, box)

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):  # protocols are looked for, and must not decode
            raise AttributeError(name)
        return getattr(np.asarray(self), name)
