"""Batch normalisation of a backbone's maps."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import nn

from vitmm.registry import MODELS


@MODELS.register_module()
class MapNorm(BaseModule):
    """Normalise each map over the batch, so that one learning rate suits any frozen backbone.

    What stands between features and linear layer in the probes of DINOv2,
    https://arxiv.org/abs/2304.07193 (appendix B.4), and of MAE and BEiT before it.

    Args:
        in_channels: channels of each map, ``'${backbone.channels}'`` in a recipe.
        init_cfg: MMEngine's.
    """

    def __init__(
        self, in_channels: Sequence[int], init_cfg: dict | list[dict] | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for channels in in_channels)

    def forward(self, maps: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        """Normalise maps (N, in_channels[i], H_i, W_i); the shapes stay."""
        return tuple(norm(m) for norm, m in zip(self.norms, maps, strict=True))
