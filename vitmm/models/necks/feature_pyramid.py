"""From the strides that a backbone has to those that a head expects."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import nn

from vitmm.errors import ConfigError
from vitmm.models.necks.resample import Resample, image_size_of
from vitmm.registry import MODELS


@MODELS.register_module()
class FeaturePyramid(BaseModule):
    """Pass a map through where the backbone has the stride, resample it where it has not.

    The i-th map of the backbone becomes the i-th output; channels are kept, so what a head needs
    to know is ``backbone.channels``. For Swin, ConvNeXt or ResNet it has no parameters. Stock
    heads and necks (FPN, UPerHead, FCNHead, ASPP, ...) work unchanged behind it.

    Args:
        in_channels: channels of each map, ``'${backbone.channels}'`` in a recipe.
        in_strides: stride of each map in pixels, ``'${backbone.strides}'``.
        out_strides: the strides wanted, in pixels, fine to coarse.
        init_cfg: MMEngine's.

    Raises:
        ConfigError: the lengths differ.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        out_strides: Sequence[int] = (4, 8, 16, 32),
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not len(in_channels) == len(in_strides) == len(out_strides):
            raise ConfigError(
                f'FeaturePyramid: {len(in_channels)} in_channels, {len(in_strides)} in_strides and '
                f'{len(out_strides)} out_strides; give one of each per map (with '
                'model.backbone.out_indices set, set out_strides to match).'
            )
        self.in_strides = tuple(in_strides)
        self.levels = nn.ModuleList(
            Resample(c, i, o) for c, i, o in zip(in_channels, in_strides, out_strides, strict=True)
        )

    def forward(self, maps: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        """Resample maps (N, C_i, ceil(H / in_strides[i]), ceil(W / in_strides[i])).

        Returns:
            One map per output stride: (N, C_i, ceil(H / out_strides[i]), ceil(W / ...)).
        """
        size = image_size_of(maps, self.in_strides)
        return tuple(level(m, size) for level, m in zip(self.levels, maps, strict=True))
