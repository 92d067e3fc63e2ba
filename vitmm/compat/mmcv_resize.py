"""mmcv's resizing, for images that are not of one, three or four 8-bit channels as well.

Its backend 'pillow' takes 8-bit colour only (and multiplies a fourth channel into the others, as
alpha), 'cv2' with 'area' four channels at most, and in no way more than 128. Such images are
resized band by band, or four bands at a time: a filter treats each by itself anyhow.

A third backend, 'torch', is Pillow's algorithm with vector instructions: about five times as fast,
and within 2 of 255. It takes any number of channels, and 'bilinear' and 'bicubic'.

A side that rounds to nothing, of an image of 1 x 2000 pixels, is 1.

An image that is not decoded yet (:class:`vitmm.datasets.jpeg.JpegImage`) is asked for as many
pixels as the new size needs.

Can go when mmcv does so.
"""

from collections.abc import Callable
from functools import wraps

import cv2
import numpy as np

_SMOOTH = ('bilinear', 'bicubic', 'lanczos')


def install() -> None:
    """Put it in the place of ``mmcv.imresize`` and ``rescale_size``; harmless when repeated."""
    import mmcv
    from mmcv.image import geometric

    if not hasattr(geometric.imresize, '__wrapped__'):
        imresize = _any_bands(geometric.imresize)
        rescale_size = _at_least_one(geometric.rescale_size)
        for module in (mmcv, mmcv.image, geometric):
            module.imresize, module.rescale_size = imresize, rescale_size


def _at_least_one(stock: Callable) -> Callable:
    """Masks that are none, or polygons, learn their size from here, not from an image."""

    @wraps(stock)
    def rescale_size(
        old_size: tuple[int, int],
        scale: float | tuple[int, int],
        return_scale: bool = False,
    ) -> tuple:
        if isinstance(scale, tuple):  # mmcv's Resize rounds, too, where it is given a factor
            scale = _sides(scale)
        size, factor = stock(old_size, scale, return_scale=True)
        return (_sides(size), factor) if return_scale else _sides(size)

    return rescale_size


def _sides(size: tuple[int, int]) -> tuple[int, int]:
    return max(1, size[0]), max(1, size[1])


def _any_bands(stock: Callable) -> Callable:
    from mmcv.image import geometric

    @wraps(stock)
    def imresize(
        img: np.ndarray,
        size: tuple[int, int],
        return_scale: bool = False,
        interpolation: str = 'bilinear',
        out: np.ndarray | None = None,
        backend: str | None = None,
    ) -> tuple[np.ndarray, float, float] | np.ndarray:
        size = _sides(size)
        backend = backend or geometric.imread_backend
        bands = img.shape[2] if img.ndim == 3 else 1
        if not isinstance(img, np.ndarray) and hasattr(img, 'enough_for'):
            resized = _from_enough(imresize, img, size, interpolation, backend)
        elif backend == 'torch':
            resized = _with_torch(img, size, interpolation)
        elif backend == 'pillow' and not (img.dtype == np.uint8 and (img.ndim == 2 or bands == 3)):
            resized = _with_pillow(img, size, interpolation)
        elif backend == 'cv2' and bands > 4:
            parts = [
                stock(img[..., i : i + 4], size, interpolation=interpolation, backend=backend)
                for i in range(0, bands, 4)
            ]
            resized = np.dstack(parts)
        else:
            return stock(img, size, return_scale, interpolation, out, backend)
        if not return_scale:
            return resized
        return resized, size[0] / img.shape[1], size[1] / img.shape[0]

    return imresize


def _with_torch(img: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    import torch

    if any(stride < 0 for stride in img.strides):
        img = np.ascontiguousarray(img)
    image = torch.from_numpy(img if img.ndim == 3 else img[..., None]).permute(2, 0, 1)[None]
    resized = torch.nn.functional.interpolate(
        image.contiguous(memory_format=torch.channels_last),  # a crop lies otherwise
        (size[1], size[0]),
        mode=interpolation,
        antialias=True,
    )
    resized = resized[0].permute(1, 2, 0).numpy()  # a view of planes
    return resized if img.ndim == 3 else resized[..., 0]


def _from_enough(
    resize: Callable, img: object, size: tuple[int, int], interpolation: str, backend: str
) -> np.ndarray:
    if interpolation not in _SMOOTH:  # they mean the very pixels of the file
        return resize(np.asarray(img), size, interpolation=interpolation, backend=backend)
    pixels, box = img.enough_for(*size)
    if box == (0, 0, pixels.shape[1], pixels.shape[0]):
        return resize(pixels, size, interpolation=interpolation, backend=backend)
    from mmcv.image.geometric import cv2_interp_codes, pillow_interp_codes
    from PIL import Image

    if backend != 'cv2':
        code = pillow_interp_codes[interpolation]
        return np.array(Image.fromarray(pixels).resize(size, code, box=box))
    # cv2.resize knows no box; this takes the same samples.
    (x, y), (w, h) = box[:2], (box[2] - box[0], box[3] - box[1])
    step = w / size[0], h / size[1]
    matrix = [[step[0], 0, x + step[0] / 2 - 0.5], [0, step[1], y + step[1] / 2 - 0.5]]
    code = cv2_interp_codes[interpolation] | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(
        pixels, np.array(matrix), size, flags=code, borderMode=cv2.BORDER_REPLICATE
    )


def _with_pillow(img: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    from mmcv.image.geometric import pillow_interp_codes
    from PIL import Image

    def resize(band: np.ndarray) -> np.ndarray:
        image = Image.fromarray(np.ascontiguousarray(band))
        return np.array(image.resize(size, pillow_interp_codes[interpolation]))

    if img.ndim == 2:
        return resize(img)
    return np.stack([resize(img[..., i]) for i in range(img.shape[2])], axis=2)
