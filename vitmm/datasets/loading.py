"""Reading files with an error that names the file."""

import os
from contextlib import suppress

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine import fileio
from PIL import Image

from vitmm.compat import mmcv_flip, mmcv_resize
from vitmm.datasets import waiting
from vitmm.datasets.bands import decode
from vitmm.datasets.errors import REMEDY, DataError, UnreadableError
from vitmm.datasets.image_cache import ImageCache
from vitmm.datasets.jpeg import JpegImage, read_header
from vitmm.registry import TRANSFORMS

IGNORED = 255  # the value of a mask's pixels that are of no class

mmcv_resize.install()  # what is loaded here is resized later
mmcv_flip.install()
waiting.install()  # in between it is looked at


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Load an image of any number of channels and bits: mmcv's LoadImageFromFile, and more.

    Images of three 8-bit channels come as mmcv loads them, in the order BGR. For all others see
    :func:`vitmm.datasets.bands.decode`.

    Args:
        channels: of the images, 1 or more; ``'${backbone.in_chans}'`` in a config.
        max_value: the value that becomes 255, the brightest that ``mean`` and ``std`` presume.
            None is the largest of the file's integers, and 1 for floats.
        reduce: leave colour JPEGs undecoded until they are resized, and then decode them at 1/2,
            1/4 or 1/8 where that is still no enlargement (:class:`vitmm.datasets.jpeg.JpegImage`).
            Sizes, boxes and masks stay those of the whole image. Any other transform before the
            resizing gets the whole array (:mod:`vitmm.datasets.waiting`).
        cache: a folder for decoded images (:class:`vitmm.datasets.image_cache.ImageCache`).
        cache_limit: GiB that it may take.
        backend_args: MMEngine's, for files elsewhere than on this machine.

    Raises:
        DataError: the file is missing, does not decode or has another number of channels; or
            another size than its annotation says, and boxes that lie beyond it.
    """

    def __init__(
        self,
        channels: int = 3,
        max_value: float | None = None,
        reduce: bool = False,
        cache: str | None = None,
        cache_limit: float = 16,
        backend_args: dict | None = None,
    ) -> None:
        self.channels = channels
        self.max_value = max_value
        self.reduce = reduce and channels == 3 and max_value in (None, 255)
        self.cache = ImageCache(cache, cache_limit) if cache else None
        self.backend_args = backend_args

    def transform(self, results: dict) -> dict:
        """Load ``results['img_path']`` into ``'img'``, (H, W, channels), uint8 or float32."""
        path = results['img_path']
        content = self._content(path) if self.reduce else None
        header = read_header(content) if content else None
        if header:
            image = JpegImage(path, header, lambda scale: self._read(path, scale, content))
        else:
            image = self._read(path, 1, content)
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        _check_boxes(results, path)
        return results

    def _read(self, path: str, scale: int, content: bytes | None) -> np.ndarray:
        def read() -> np.ndarray:
            whole = content if content is not None else self._content(path)
            try:
                return decode(whole, self.channels, self.max_value, scale)
            except DataError as error:
                raise DataError(f'{path} {error}') from error
            except Exception as error:  # every decoder fails in its own way
                raise UnreadableError.of(path, error) from error

        if self.cache is None:
            return read()
        return self.cache.get(path, (self.channels, self.max_value, scale), read)

    def _content(self, path: str) -> bytes:
        try:
            return fileio.get(path, backend_args=self.backend_args)
        except Exception as error:  # every store fails in its own way
            raise UnreadableError.of(path, error) from error

    def __repr__(self) -> str:
        return (
            f'LoadImage(channels={self.channels}, max_value={self.max_value}, '
            f'reduce={self.reduce}, cache={self.cache and str(self.cache.folder)!r})'
        )


def _check_boxes(results: dict, path: str) -> None:
    """Raise where an image has another size than its annotation says, and boxes lie beyond it.

    It was resized, or turned, and its boxes were not: a loss of them may be infinite.
    """
    size, told = results['img_shape'], (results.get('height'), results.get('width'))
    if tuple(size) == told or not all(isinstance(side, int) and side > 0 for side in told):
        return
    (height, width), slack = size, 1  # pixel, by which boxes end beyond whole images
    for one in results.get('instances') or ():
        right, bottom = (0, 0) if one.get('ignore_flag') else one.get('bbox', (0,) * 4)[2:]
        if right > width + slack or bottom > height + slack:
            raise DataError(
                f'{path} is {width} x {height}, but {told[1]} x {told[0]} by its annotation, and a '
                f'box ends at ({right:g}, {bottom:g}): was it resized, or turned, and its boxes '
                f'were not? {REMEDY}'
            )


@TRANSFORMS.register_module()
class ForRGB(BaseTransform):
    """Run a transform that presumes 8-bit RGB on such images; leave others as they are.

    Photometric distortions go over hue and saturation, which other images have not.

    Args:
        transform: the config of the transform.
    """

    def __init__(self, transform: dict) -> None:
        self.inner = TRANSFORMS.build(transform)

    def transform(self, results: dict) -> dict | None:
        """Pass ``results`` through the transform if ``'img'`` is (H, W, 3) and uint8."""
        image = results['img']
        if image.dtype == 'uint8' and image.shape[2:] == (3,):
            return self.inner.transform(results)
        return results


@TRANSFORMS.register_module()
class CheckedLoad(BaseTransform):
    """Run a loading transform; where it fails, raise an error that names the file.

    Args:
        transform: the config of any loading transform, of mmcv or a codebase.
        num_classes: how many classes a mask has; its values are then looked at, and its size.

    Raises:
        DataError: the file is missing or does not decode; a mask has values of no class or
            another size than its image.
    """

    def __init__(self, transform: dict, num_classes: int | None = None) -> None:
        self.inner = TRANSFORMS.build(transform)
        self.num_classes = num_classes

    def transform(self, results: dict) -> dict | None:
        """Load what ``results`` points to (``img_path`` or ``seg_map_path``)."""
        try:
            results = self.inner.transform(results)
        except Exception as error:  # every decoder fails in its own way
            # Masks are read after the image.
            key = 'img_path' if results.get('img') is None else 'seg_map_path'
            raise UnreadableError.of(results.get(key), error) from error
        if 'gt_seg_map' in results and 1 in results.get('ori_shape', ()):
            self._unsqueeze(results)
        if self.num_classes and 'gt_seg_map' in results:
            self._check(results)
        return results

    def _unsqueeze(self, results: dict) -> None:
        """Give a mask of one row or column back the side that mmseg takes from it."""
        mask, shape = results['gt_seg_map'], tuple(results['ori_shape'])
        if mask.shape == tuple(side for side in shape if side != 1):
            results['gt_seg_map'] = mask.reshape(shape)

    def _check(self, results: dict) -> None:
        mask, path = results['gt_seg_map'], results.get('seg_map_path')
        first = int(bool(results.get('reduce_zero_label')))  # the number of the first class
        if mask.shape != tuple(results['ori_shape']):  # the image may be resized already
            height, width = results['ori_shape']
            raise DataError(
                f'{path} is an array of {mask.shape}, but a mask of its image is ({height}, '
                f'{width}), one channel of class numbers; {REMEDY}'
            )
        values = mask[(mask >= self.num_classes) & (mask != IGNORED)] + first
        values = values if values.size else self._beyond_uint8(path)
        if values.size:
            raise DataError(
                f'{path} has the value {values[0]} ({values.size} pixels); classes are numbered '
                f'{first} to {self.num_classes - 1 + first}, and {IGNORED} is ignored; {REMEDY}'
            )

    def _beyond_uint8(self, path: str) -> np.ndarray:
        """The file's values that mmseg, which casts to uint8, made into others: (N,)."""
        values = np.empty(0)
        if path is None or not os.path.isfile(path):  # from elsewhere it would come twice
            return values
        # What only another decoder reads.
        with suppress(OSError, Image.DecompressionBombError), Image.open(path) as file:
            if file.mode.startswith(('I', 'F')):  # else 8 bits: only the header has been read
                values = np.asarray(file)
        return values[(values < 0) | (values > 255) | (values % 1 != 0)]
