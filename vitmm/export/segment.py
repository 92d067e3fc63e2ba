"""Semantic segmentation as a graph."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Segment(nn.Module):
    """Prepared images -> ``labels`` (N, H, W), int64, whole or in sliding windows as trained for.

    Args:
        model: mmseg's encoder and decoder.
    """

    outputs = ('labels',)
    batches = True

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.slides = model.test_cfg.get('mode', 'whole') == 'slide'

    def forward(self, images: Tensor, size: tuple[int, int]) -> tuple[Tensor]:
        logits = self._slide(images) if self.slides else self._decode(images)
        logits = logits[..., : size[0], : size[1]].float()
        if logits.shape[1] == 1:
            return ((logits.sigmoid() > self.model.decode_head.threshold)[:, 0].long(),)
        return (logits.argmax(1),)

    def _decode(self, images: Tensor) -> Tensor:
        """Logits (N, classes, H, W)."""
        shape = tuple(images.shape[-2:])
        # One for the whole batch: heads read the first, and as many as images would fix N.
        meta = dict(img_shape=shape, pad_shape=shape, ori_shape=shape)
        return self.model.encode_decode(images, [meta])

    def _slide(self, images: Tensor) -> Tensor:
        """The mean of the logits of all windows over each pixel."""
        height, width = images.shape[-2:]
        (crop_y, crop_x), (step_y, step_x) = (
            self.model.test_cfg.crop_size,
            self.model.test_cfg.stride,
        )
        total, count = 0, torch.zeros(1, 1, height, width)
        for top, bottom in _windows(height, crop_y, step_y):
            for left, right in _windows(width, crop_x, step_x):
                margins = (left, width - right, top, height - bottom)
                found = self._decode(images[..., top:bottom, left:right])
                total = total + F.pad(found, margins)
                count = count + F.pad(torch.ones(1, 1, bottom - top, right - left), margins)
        return total / count


def _windows(side: int, crop: int, step: int) -> Iterator[tuple[int, int]]:
    """Where windows begin and end along a side, the last moved back onto the image."""
    for number in range(max(side - crop + step - 1, 0) // step + 1):
        end = min(number * step + crop, side)
        yield max(end - crop, 0), end
