"""Deformable attention (Zhu et al. 2021, https://arxiv.org/abs/2010.04159) as a graph."""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from vitmm.export.levels import Levels, sequence


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
        points = (part.num_heads, part.num_levels, part.num_points)
        cells = part.value_proj(value)
        if key_padding_mask is not None:
            cells = cells.masked_fill(key_padding_mask[..., None], 0.0)
        weights = part.attention_weights(asked).unflatten(-1, (part.num_heads, -1)).softmax(-1)
        offsets = part.sampling_offsets(asked).unflatten(-1, (*points, 2))
        near = reference_points[:, :, None, :, None]  # of any head and point
        if reference_points.shape[-1] == 4:
            offsets = offsets / part.num_points * near[..., 2:] * 0.5
        else:
            offsets = offsets / spatial_shapes.extents()[:, None]
        attended = multi_scale_deformable_attn_pytorch(
            cells.unflatten(-1, (part.num_heads, -1)),
            spatial_shapes.sizes,
            near[..., :2] + offsets,
            weights.unflatten(-1, points[1:]),
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
        parts = cells.transpose(1, 2).split([h * w for h, w in levels.sizes], -1)
        out = [one.unflatten(-1, size) for one, size in zip(parts, levels.sizes, strict=True)]
        for number in reversed(range(fine)):
            lateral = part.lateral_convs[number](maps[number])
            size = lateral.shape[-2:]
            above = F.interpolate(out[-1], size, mode='bilinear', align_corners=False)
            out.append(part.output_convs[number](lateral + above))
        return part.mask_feature(out[-1]), out[: part.num_outs]
