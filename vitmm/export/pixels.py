"""mmseg's maps at the size of the images, whole or window by window."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def decode(model: nn.Module, images: Tensor) -> Tensor:
    """Maps (N, C, H, W) of prepared images (N, C, H, W)."""
    shape = tuple(images.shape[-2:])
    # One for the whole batch: heads read the first, and as many as images would fix N.
    meta = dict(img_shape=shape, pad_shape=shape, ori_shape=shape)
    return model.encode_decode(images, [meta])


def slide(
    find: Callable[[Tensor], Tensor], images: Tensor, crop: tuple[int, int], step: tuple[int, int]
) -> Tensor:
    """The mean of the maps of all windows over each pixel.

    Args:
        find: images of a window to its maps.
        images: (N, C, H, W).
        crop: (H, W) of a window in pixels.
        step: (H, W) from one to the next.
    """
    height, width = images.shape[-2:]
    total, count = 0, torch.zeros(1, 1, height, width)
    for top, bottom in _windows(height, crop[0], step[0]):
        for left, right in _windows(width, crop[1], step[1]):
            margins = (left, width - right, top, height - bottom)
            total = total + F.pad(find(images[..., top:bottom, left:right]), margins)
            count = count + F.pad(torch.ones(1, 1, bottom - top, right - left), margins)
    return total / count


def _windows(side: int, crop: int, step: int) -> Iterator[tuple[int, int]]:
    """Where windows begin and end along a side, the last moved back onto the image."""
    for number in range(max(side - crop + step - 1, 0) // step + 1):
        end = min(number * step + crop, side)
        yield max(end - crop, 0), end
