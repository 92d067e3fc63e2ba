"""Deformable RoI pooling (Dai et al. 2017): the average of each bin, moved by a learned offset.

Can go with the package (see `__init__.py`).
"""

import torch
from torch import Tensor

from vitmm.compat.mmcv_ops.common import bilinear_inside, rows, weighted_gather, widen


def deform_roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    output: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """Fill ``output`` (K, C, pooled_height, pooled_width) from ``input`` (N, C, H, W).

    Args:
        rois: (K, 5) batch index, x1, y1, x2, y2 in the units of the image.
        offset: (K, 2, pooled_height, pooled_width) shift of each bin along x and y, in RoI
            sizes; empty for none.
        sampling_ratio: samples a bin and axis; 0 takes one a pixel.
        gamma: factor on the offsets.
    """
    if output.numel() == 0:
        return
    size = (pooled_height, pooled_width)
    with torch.no_grad():
        pooled = _pool(
            widen(input), widen(rois), widen(offset), size, spatial_scale, sampling_ratio, gamma
        )
    output.copy_(pooled)


def deform_roi_pool_backward(
    grad_output: Tensor,
    input: Tensor,
    rois: Tensor,
    offset: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    gamma: float,
) -> None:
    """Fill ``grad_input`` and ``grad_offset`` from ``grad_output``, as in the forward."""
    if grad_output.numel() == 0:
        return
    size = (pooled_height, pooled_width)
    with torch.enable_grad():
        maps = widen(input).detach().requires_grad_()
        shift = widen(offset).detach().requires_grad_()
        pooled = _pool(maps, widen(rois), shift, size, spatial_scale, sampling_ratio, gamma)
        grads = torch.autograd.grad(
            pooled, [maps, shift], grad_output.to(pooled.dtype), allow_unused=True
        )
    grad_input.copy_(grads[0])
    if offset.numel():
        grad_offset.copy_(grads[1])


def _pool(maps, rois, offset, size, scale, ratio, gamma) -> Tensor:
    channels, height, width = maps.shape[1:]
    start = rois[:, [2, 1]] * scale - 0.5  # (K, 2) along y and x
    extent = (rois[:, [4, 3]] - rois[:, [2, 1]]) * scale
    bin_size = extent / extent.new_tensor(size)
    counts = torch.full_like(bin_size, ratio) if ratio > 0 else bin_size.ceil().clamp(min=0)
    grid = (ratio, ratio) if ratio > 0 else counts.amax(0).int().tolist()

    def along(axis: int) -> tuple[Tensor, Tensor]:
        """(K, P, G) coordinates on one axis before the offset, and (K, G) which are real."""
        bins = torch.arange(size[axis], dtype=maps.dtype, device=maps.device)[:, None]
        sample = torch.arange(grid[axis], dtype=maps.dtype, device=maps.device)
        count = counts[:, axis, None, None]
        part = bins + (sample + 0.5) / count.clamp(min=1)
        return start[:, axis, None, None] + part * bin_size[:, axis, None, None], sample < count[
            :, 0
        ]

    (y, real_y), (x, real_x) = along(0), along(1)
    y, x = y[:, :, None, :, None], x[:, None, :, None, :]
    if offset.numel():
        moved = gamma * offset * extent.flip(1)[:, :, None, None]
        x, y = x + moved[:, 0, :, :, None, None], y + moved[:, 1, :, :, None, None]
    y, x = torch.broadcast_tensors(y, x)  # (K, P_h, P_w, G_h, G_w)
    index, weight = bilinear_inside(y, x, height, width)
    index = index + (rois[:, 0].long() * (height * width)).view(-1, 1, 1, 1, 1, 1)
    real = real_y[:, None, None, :, None, None] & real_x[:, None, None, None, :, None]
    weight = weight * real / counts.prod(1).clamp(min=1).view(-1, 1, 1, 1, 1, 1)
    bins = len(rois) * size[0] * size[1]
    sums = weighted_gather(rows(maps), index.reshape(bins, -1), weight.reshape(bins, -1))
    return sums.view(len(rois), *size, channels).permute(0, 3, 1, 2)
