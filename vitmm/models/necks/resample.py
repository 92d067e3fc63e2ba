"""One map from its stride to another, with learned upsampling and pooling down."""

import math

import torch
from timm.layers import LayerNorm2d
from torch import nn
from torch.nn import functional as F

from vitmm.models.cells import cells


class Resample(nn.Module):
    """Bring a map from ``in_stride`` to ``out_stride``, at exactly ceil(H / s) x ceil(W / s).

    Up: a transposed convolution (kernel and stride 2) per octave, with LayerNorm and GELU between
    two of them; down: max pooling; as BEiT and ViTDet (https://arxiv.org/abs/2203.16527, sec. 3)
    resample. Where the strides are no power of two apart (patches of 14), what is left is resized
    bilinearly, cell centres kept in place. An equal stride passes through without parameters.

    Args:
        in_channels: channels of the map.
        in_stride: its stride in pixels.
        out_stride: the stride wanted, in pixels.
        halve: halve the channels at every transposed convolution, as ViTDet does; otherwise they
            are kept.
    """

    def __init__(
        self, in_channels: int, in_stride: int, out_stride: int, halve: bool = False
    ) -> None:
        super().__init__()
        self.out_stride = out_stride
        octaves = round(math.log2(in_stride / out_stride))
        layers: list[nn.Module] = []
        channels = in_channels
        for step in range(octaves):
            if step:
                layers += [LayerNorm2d(channels), nn.GELU()]
            width = channels // 2 if halve else channels
            layers.append(nn.ConvTranspose2d(channels, width, kernel_size=2, stride=2))
            channels = width
        if octaves < 0:
            layers.append(nn.MaxPool2d(2**-octaves, ceil_mode=True))
        self.layers = nn.Sequential(*layers)
        self.out_channels = channels
        self.scale = in_stride / 2.0**octaves / out_stride

    def forward(self, x: torch.Tensor, image_size: tuple[int, int]) -> torch.Tensor:
        """Resample a map (N, C, h, w) of images of ``image_size`` (H, W) pixels.

        Returns:
            (N, out_channels, ceil(H / out_stride), ceil(W / out_stride)).
        """
        x = self.layers(x)
        if self.scale != 1:
            # One replicated cell, so that rounding never leaves the border short.
            x = F.pad(x, (0, 2, 0, 2), mode='replicate')
            x = F.interpolate(
                x,
                scale_factor=self.scale,
                mode='bilinear',
                align_corners=False,
                recompute_scale_factor=False,
            )
        height, width = (cells(side, self.out_stride) for side in image_size)
        return x[..., :height, :width]


def image_size_of(maps: tuple[torch.Tensor, ...], strides: tuple[int, ...]) -> tuple[int, int]:
    """The (H, W) in pixels that the maps came from: remembered, or that of their whole cells."""
    known = getattr(maps, 'image_size', None)
    if known is not None:
        return known
    height, width = maps[0].shape[-2:]
    return height * strides[0], width * strides[0]
