"""ViTDet's simple feature pyramid."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from timm.layers import LayerNorm2d
from torch import nn
from torch.nn import functional as F

from vitmm.models.necks.resample import Resample, image_size_of
from vitmm.registry import MODELS


@MODELS.register_module()
class SimpleFPN(BaseModule):
    """A pyramid from the last map of a plain backbone alone.

    Li et al., Exploring Plain Vision Transformer Backbones for Object Detection,
    https://arxiv.org/abs/2203.16527, section 3: each level is resampled from the last map, then
    1x1 convolution, LayerNorm, 3x3 convolution, LayerNorm. No top-down path.

    Args:
        in_channels: channels of the last map, ``'${backbone.channels[-1]}'`` in a recipe.
        in_stride: its stride in pixels, ``'${backbone.strides[-1]}'``.
        out_channels: channels of every output.
        out_strides: strides of the levels that are made from the map, in pixels, fine to coarse.
        num_outs: levels in all; further ones are every second cell of the last (ViTDet: one).
        init_cfg: MMEngine's.
    """

    def __init__(
        self,
        in_channels: int,
        in_stride: int = 16,
        out_channels: int = 256,
        out_strides: Sequence[int] = (4, 8, 16, 32),
        num_outs: int = 5,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.in_stride = in_stride
        self.num_extra = max(num_outs - len(out_strides), 0)
        self.resample = nn.ModuleList(
            Resample(in_channels, in_stride, stride, halve=True) for stride in out_strides
        )
        self.lateral = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(level.out_channels, out_channels, 1, bias=False),
                LayerNorm2d(out_channels),
                nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
                LayerNorm2d(out_channels),
            )
            for level in self.resample
        )

    def forward(self, maps: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        """Make the pyramid of the last map, (N, in_channels, ceil(H / s), ceil(W / s)).

        Returns:
            ``num_outs`` maps (N, out_channels, ceil(H / s), ceil(W / s)), fine to coarse.
        """
        last = maps[-1]
        size = getattr(maps, 'image_size', None) or image_size_of((last,), (self.in_stride,))
        outs = [
            lateral(level(last, size))
            for level, lateral in zip(self.resample, self.lateral, strict=True)
        ]
        for _ in range(self.num_extra):
            outs.append(F.max_pool2d(outs[-1], kernel_size=1, stride=2))
        return tuple(outs)
