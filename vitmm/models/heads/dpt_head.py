"""mmseg's DPT head, for the maps of any backbone, with class tokens or without."""

import math
from collections.abc import Sequence
from typing import Any

from mmcv.cnn import ConvModule
from mmseg.models.decode_heads import DPTHead as MMSegDPTHead
from torch import Tensor, nn

from vitmm.errors import ConfigError

STRIDES = (4, 8, 16, 32)  # to which the four maps are brought, in pixels
READOUTS = ('ignore', 'add', 'project')


class DPTHead(MMSegDPTHead):
    """Dense prediction on four maps, Ranftl et al., https://arxiv.org/abs/2103.13413.

    mmseg's own takes the maps of a plain ViT with patches of 16 or about, each in a pair with a
    class token. Behind such a model this head has the same parameters and computes the same.
    Behind others, each map is projected from its own width and brought to its stride from its own.

    Args:
        in_channels: of the four maps, ``'${backbone.channels}'`` in a recipe.
        in_strides: of the four maps in pixels, ``'${backbone.strides}'``.
        readout_type: what becomes of the class token: ``'ignore'``, ``'add'`` or ``'project'``; the
            last two need ``model.backbone.class_token=True``.
        post_process_channels: of the four maps once they are projected.
        **settings: anything else that mmseg's takes.

    Raises:
        ConfigError: not four maps, or an unknown readout.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        in_strides: Sequence[int],
        readout_type: str = 'ignore',
        post_process_channels: Sequence[int] = (96, 192, 384, 768),
        **settings: Any,
    ) -> None:
        if not len(in_channels) == len(in_strides) == len(post_process_channels) == 4:
            raise ConfigError(
                f'vitmm.DPTHead takes four maps: {len(in_channels)} in_channels, '
                f'{len(in_strides)} in_strides and {len(post_process_channels)} '
                'post_process_channels were given (model.backbone.out_strides or out_indices say '
                'how many maps there are).'
            )
        if readout_type not in READOUTS:
            raise ConfigError(
                f'vitmm.DPTHead: readout_type is one of {", ".join(READOUTS)}, not '
                f'{readout_type!r}.'
            )
        super().__init__(
            in_channels=list(in_channels),
            in_index=[0, 1, 2, 3],
            input_transform='multiple_select',
            embed_dims=in_channels[0],
            readout_type=readout_type,
            post_process_channels=list(post_process_channels),
            **settings,
        )
        blocks = self.reassemble_blocks
        blocks.projects = nn.ModuleList(
            ConvModule(i, o, kernel_size=1, act_cfg=None)
            for i, o in zip(in_channels, post_process_channels, strict=True)
        )
        blocks.resize_layers = nn.ModuleList(
            _resize(c, i, o)
            for c, i, o in zip(post_process_channels, in_strides, STRIDES, strict=True)
        )

    def _transform_inputs(self, inputs: Sequence[Tensor]) -> list[tuple[Tensor, Tensor | None]]:
        """Pair the maps (N, C_i, h_i, w_i) with their class tokens (N, C_i), as mmseg has them.

        Raises:
            ConfigError: there are none, and the readout takes them.
        """
        tokens = getattr(inputs, 'class_tokens', ())
        if not tokens and self.reassemble_blocks.readout_type != 'ignore':
            raise ConfigError(
                f"vitmm.DPTHead: readout_type='{self.reassemble_blocks.readout_type}' takes class "
                'tokens, and there are none: set model.backbone.class_token=True and leave out the '
                "neck, or set readout_type='ignore'."
            )
        return [*zip(inputs, tokens or [None] * len(inputs), strict=True)]


def _resize(channels: int, in_stride: int, out_stride: int) -> nn.Module:
    """As the paper does: transposed convolution up, convolution down, by whole octaves."""
    octaves = round(math.log2(in_stride / out_stride))
    if octaves > 0:
        return nn.ConvTranspose2d(channels, channels, kernel_size=2**octaves, stride=2**octaves)
    if octaves < 0:
        return nn.Conv2d(channels, channels, kernel_size=3, stride=2**-octaves, padding=1)
    return nn.Identity()
