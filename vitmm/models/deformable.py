"""What mmcv's deformable attention and mmdet's pixel decoder compute, where sizes are numbers.

Equation 3 of https://arxiv.org/abs/2010.04159. Training and exports share it.
"""

from collections.abc import Sequence

import torch
from torch import nn

Size = tuple[int, int]


def values(
    attention: nn.Module, cells: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """What can be attended to: cells (N, cells, C) -> (N, cells, heads, C / heads).

    Args:
        attention: mmcv's.
        cells: of all levels, one after the other.
        mask: (N, cells) True on padding.
    """
    cells = attention.value_proj(cells)
    if mask is not None:
        cells = cells.masked_fill(mask[..., None], 0.0)
    return cells.unflatten(-1, (attention.num_heads, -1))


def points(
    attention: nn.Module, query: torch.Tensor, near: torch.Tensor, extents: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Where the queries look, and how much it counts.

    Args:
        attention: mmcv's.
        query: (N, Q, C).
        near: points (N, Q, levels, 2), or boxes (N, Q, levels, 4), centre and size, 0 to 1.
        extents: width and height of the levels, cells (levels, 2).

    Returns:
        x and y (N, Q, heads, levels, points, 2), 0 to 1, and weights (N, Q, heads, levels, points).
    """
    each = attention.num_heads, attention.num_levels, attention.num_points
    weights = attention.attention_weights(query).unflatten(-1, (each[0], -1)).softmax(-1)
    offsets = attention.sampling_offsets(query).unflatten(-1, (*each, 2))
    near = near[:, :, None, :, None]  # of any head and point
    if near.shape[-1] == 2:
        offsets = offsets / extents[:, None]
    else:  # halves of the box, shared out among the points
        offsets = offsets / attention.num_points * near[..., 2:] * 0.5
    return near[..., :2] + offsets, weights.unflatten(-1, each[1:])


def finer(
    decoder: nn.Module, cells: torch.Tensor, sizes: Sequence[Size], maps: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The rest of a pixel decoder, after its attention.

    Args:
        decoder: mmdet's.
        cells: (N, cells, C) of the coarse levels, coarsest first.
        sizes: of these, (h, w).
        maps: (N, C, h, w) of the neck, finest first.

    Returns:
        (N, C, h, w) of the finest map, which masks are read from, and what queries look at,
        coarsest first.
    """
    parts = cells.transpose(1, 2).split([h * w for h, w in sizes], -1)
    out = [one.unflatten(-1, size) for one, size in zip(parts, sizes, strict=True)]
    for number in reversed(range(len(maps) - len(sizes))):
        lateral = decoder.lateral_convs[number](maps[number])
        size = lateral.shape[-2:]
        above = nn.functional.interpolate(out[-1], size, mode='bilinear', align_corners=False)
        out.append(decoder.output_convs[number](lateral + above))
    return decoder.mask_feature(out[-1]), out[: decoder.num_outs]
