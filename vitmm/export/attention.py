"""Deformable attention (Zhu et al. 2021, https://arxiv.org/abs/2010.04159) as a graph."""

from typing import Any

from torch import Tensor, nn

from vitmm.export.levels import Levels, sequence
from vitmm.models.deformable import finer, points, values


def exchange(model: nn.Module) -> bool:
    """Put graphs in the place of mmcv's deformable attention and of the pixel decoder around it.

    Returns:
        Whether there was any.
    """
    from mmcv.ops import MultiScaleDeformableAttention

    if not any(isinstance(one, MultiScaleDeformableAttention) for one in model.modules()):
        return False
    from mmdet.models.layers import MSDeformAttnPixelDecoder

    kinds = {
        MultiScaleDeformableAttention: DeformableAttention,
        MSDeformAttnPixelDecoder: PixelDecoder,
    }
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) in kinds:
                setattr(parent, name, kinds[type(child)](child))
    return True


class DeformableAttention(nn.Module):
    """mmcv's MultiScaleDeformableAttention, given :class:`Levels` for shapes of levels."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = part

    def forward(
        self,
        query: Tensor,
        value: Tensor,
        reference_points: Tensor,
        spatial_shapes: Levels,
        query_pos: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        **_: Any,
    ) -> Tensor:
        """Queries (N, Q, C) and cells (N, cells, C) -> (N, Q, C).

        Args:
            query: (N, Q, C).
            value: (N, cells, C).
            reference_points: (N, Q, levels, 2) x and y, or 4, with width and height, 0 to 1.
            spatial_shapes: of the cells.
            query_pos: (N, Q, C).
            key_padding_mask: (N, cells) True on padding.
        """
        from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

        part, asked = self.part, query if query_pos is None else query + query_pos
        where, weights = points(part, asked, reference_points, spatial_shapes.extents())
        attended = multi_scale_deformable_attn_pytorch(
            values(part, value, key_padding_mask), spatial_shapes.sizes, where, weights
        )
        return part.output_proj(attended) + query


class PixelDecoder(nn.Module):
    """mmdet's MSDeformAttnPixelDecoder (Mask2Former)."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        exchange(part)
        self.part = part

    def forward(self, maps: tuple[Tensor, ...]) -> tuple[Tensor, list[Tensor]]:
        """Maps, finest first -> what masks are read from, and what queries look at.

        Args:
            maps: (N, C, h, w) each, of the neck.

        Returns:
            (N, C, h, w) of the finest map, and such maps, coarsest first.
        """
        part = self.part
        maps = tuple(one.float() for one in maps)
        fine = len(maps) - part.num_encoder_levels
        coarse = [
            conv(one) for conv, one in zip(part.input_convs, reversed(maps[fine:]), strict=True)
        ]
        levels = Levels.of(coarse, (1, 1), (1, 1))  # Mask2Former tells no padding apart
        cells, places = sequence(
            coarse, levels.masks(), part.postional_encoding, part.level_encoding.weight
        )
        near = levels.centres()[:, :, None].expand(-1, -1, len(coarse), -1)
        cells = part.encoder(
            query=cells,
            query_pos=places,
            key_padding_mask=None,
            spatial_shapes=levels,
            level_start_index=None,
            valid_ratios=None,
            reference_points=near,
        )
        return finer(part, cells, levels.sizes, maps)
