"""What several ops share: the type to compute in, and one weighted gather.

Can go with the package (see `__init__.py`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def widen(tensor: Tensor) -> Tensor:
    """Half and bfloat16 become float32, in which the ops compute; other types stay."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def weighted_gather(table: Tensor, index: Tensor, weight: Tensor) -> Tensor:
    """Weighted sums of rows, without a copy of the rows, on the CPU and the GPU.

    Args:
        table: (R, C) rows.
        index: (B, S) the S rows that each of the B sums takes.
        weight: (B, S) their weights.

    Returns:
        (B, C); differentiable in ``table`` and ``weight``.
    """
    if index.numel() == 0 or table.numel() == 0:
        # An empty sum that still hangs on its inputs, so that autograd finds zeros.
        return table.new_zeros(len(index), table.shape[1]) + 0 * (weight.sum() + table.sum())
    return F.embedding_bag(index, table, per_sample_weights=weight, mode='sum')


def rows(maps: Tensor) -> Tensor:
    """(N, C, H, W) maps as (N * H * W, C) rows, one a pixel."""
    return maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])


def bilinear_inside(y: Tensor, x: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Bilinear taps under RoIAlign's rule: up to one pixel outside counts as on the edge.

    Args:
        y, x: (...) coordinates in pixels, 0 at the centre of the first pixel.

    Returns:
        (..., 4) indices ``row * width + column`` and (..., 4) weights, differentiable in y, x;
        the weights are 0 where the point is more than one pixel outside.
    """
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    y0, x0 = y.detach().floor(), x.detach().floor()
    dy, dx = y - y0, x - x0
    weight = torch.stack([(1 - dy) * (1 - dx), (1 - dy) * dx, dy * (1 - dx), dy * dx], dim=-1)
    top, left = y0.long(), x0.long()
    bottom, right = (top + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    index = torch.stack(
        [top * width + left, top * width + right, bottom * width + left, bottom * width + right],
        dim=-1,
    )
    return index, weight * inside[..., None]
