"""U-Net's way up: from coarse maps to one fine map."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import nn
from torch.nn import functional as F

from vitmm.registry import MODELS


@MODELS.register_module()
class UNetDecoder(BaseModule):
    """Upsample, put the next finer map beside it, convolve twice; down to the finest map.

    Ronneberger et al., https://arxiv.org/abs/1505.04597, with any backbone on the way down; a
    stock head (mmseg's FCNHead) classifies what comes out.

    Args:
        in_channels: channels of each map, fine to coarse.
        channels: of the output. Each coarser level has twice as many as the one before.
        norm_cfg: mmcv's, of the normalisation behind every convolution.
        init_cfg: MMEngine's.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int = 64,
        norm_cfg: dict | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        norm_cfg = norm_cfg or dict(type='BN')
        widths = [channels * 2**level for level in range(len(in_channels) - 1)]
        below = [*widths[1:], in_channels[-1]]  # what comes up to each level
        self.levels = nn.ModuleList(
            nn.Sequential(
                ConvModule(coarse + skip, width, 3, padding=1, norm_cfg=norm_cfg),
                ConvModule(width, width, 3, padding=1, norm_cfg=norm_cfg),
            )
            for coarse, skip, width in zip(below, in_channels[:-1], widths, strict=True)
        )

    def forward(self, maps: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        """Decode maps (N, in_channels[i], H_i, W_i), fine to coarse.

        Returns:
            One map (N, channels, H_0, W_0).
        """
        x = maps[-1]
        for level, skip in zip(reversed(self.levels), reversed(maps[:-1]), strict=True):
            x = F.interpolate(x, size=skip.shape[-2:], mode='bilinear', align_corners=False)
            x = level(torch.cat([x, skip], dim=1))
        return (x,)
