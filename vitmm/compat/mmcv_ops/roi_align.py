"""RoIAlign: averages by torchvision's kernels, maxima by a weighted gather.

Can go with the package (see `__init__.py`).
"""

import torch
from torch import Tensor

from vitmm.compat.mmcv_ops.common import bilinear_inside, rows, weighted_gather, widen

# Samples (points times channels) that the maximum holds at once: 2**25 float32 are 128 MiB.
CHUNK = 2**25


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fill ``output`` (K, C, aligned_height, aligned_width) from ``input`` (N, C, H, W).

    Args:
        rois: (K, 5) batch index, x1, y1, x2, y2 in the units of the image.
        argmax_y, argmax_x: filled for the backward of the maximum, as ``output`` is shaped;
            row and column of the sample in its bin's grid, -1 where there is none.
        sampling_ratio: samples a bin and axis; 0 takes one a pixel.
        pool_mode: 0 is the maximum, 1 the average.
        aligned: shift by half a pixel, so that pixel centres are at whole numbers.
    """
    if output.numel() == 0:
        return
    maps, rois = widen(input), rois.to(widen(input).dtype)
    if pool_mode == 1:
        import torchvision  # noqa: F401  (registers the kernels; its import takes seconds)

        output.copy_(
            torch.ops.torchvision.roi_align(
                maps, rois, spatial_scale, aligned_height, aligned_width, sampling_ratio, aligned
            )
        )
        return
    table, (height, width) = rows(maps), maps.shape[2:]
    size = (aligned_height, aligned_width)
    bin_y, bin_x, counts = _bins(rois, spatial_scale, size, sampling_ratio, aligned)
    grid = (sampling_ratio,) * 2 if sampling_ratio > 0 else counts.amax(0).int().tolist()
    points = max(1, size[0] * size[1] * grid[0] * grid[1])
    step = max(1, CHUNK // (points * maps.shape[1]))
    for start in range(0, len(rois), step):
        part = slice(start, start + step)
        value, at = _maximum(
            table, rois[part, 0], bin_y[part], bin_x[part], counts[part], grid, height, width
        )
        output[part] = value
        argmax_y[part] = torch.where(at < 0, at, at // max(grid[1], 1))
        argmax_x[part] = torch.where(at < 0, at, at % max(grid[1], 1))


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fill ``grad_input`` (N, C, H, W) from ``grad_output``; arguments as in the forward."""
    if grad_output.numel() == 0:
        return
    grad, rois = widen(grad_output), rois.to(widen(grad_output).dtype)
    batch, channels, height, width = grad_input.shape
    if pool_mode == 1:
        import torchvision  # noqa: F401  (registers the kernels; its import takes seconds)

        grad_input.copy_(
            torch.ops.torchvision._roi_align_backward(
                grad,
                rois,
                spatial_scale,
                aligned_height,
                aligned_width,
                batch,
                channels,
                height,
                width,
                sampling_ratio,
                aligned,
            )
        )
        return
    size = (aligned_height, aligned_width)
    bin_y, bin_x, counts = _bins(rois, spatial_scale, size, sampling_ratio, aligned)
    y = _points(bin_y[:, None, :, None], argmax_y.to(grad.dtype), counts[:, 0])
    x = _points(bin_x[:, None, None, :], argmax_x.to(grad.dtype), counts[:, 1])
    index, weight = bilinear_inside(y, x, height, width)
    weight = weight * (argmax_y >= 0)[..., None] * grad[..., None]
    plane = rois[:, 0].long()[:, None] * channels + torch.arange(channels, device=rois.device)
    index = index + (plane * (height * width))[:, :, None, None, None]
    total = torch.zeros(grad_input.numel(), dtype=grad.dtype, device=grad.device)
    total.index_add_(0, index.flatten(), weight.flatten())
    grad_input.copy_(total.view_as(grad_input))


def _bins(rois: Tensor, scale: float, size: tuple[int, int], ratio: int, aligned: bool):
    """Where the bins lie.

    Returns:
        (K, P_h, 2) start and size of each bin along y, (K, P_w, 2) along x, and (K, 2) the
        number of samples a bin along y and x.
    """
    corners = rois[:, 1:] * scale - (0.5 if aligned else 0)
    start = corners[:, :2].flip(1)
    extent = corners[:, 2:].flip(1) - start
    if not aligned:
        extent = extent.clamp(min=1)
    bin_size = extent / extent.new_tensor(size)
    counts = torch.full_like(bin_size, ratio) if ratio > 0 else bin_size.ceil().clamp(min=0)

    def along(axis: int) -> Tensor:
        number = torch.arange(size[axis], dtype=rois.dtype, device=rois.device)
        begin = start[:, axis, None] + number * bin_size[:, axis, None]
        return torch.stack([begin, bin_size[:, axis, None].expand_as(begin)], dim=-1)

    return along(0), along(1), counts


def _points(bins: Tensor, number: Tensor, count: Tensor) -> Tensor:
    """Coordinates of the samples with these numbers, in bins (..., 2) with ``count`` (K,)."""
    count = count.clamp(min=1).view(-1, *[1] * (number.dim() - 1))
    return bins[..., 0] + (number + 0.5) * bins[..., 1] / count


def _maximum(table, image, bin_y, bin_x, counts, grid, height, width) -> tuple[Tensor, Tensor]:
    """Maxima (K, C, P_h, P_w) and the samples' numbers in the grid, row by row; -1 for none."""
    number_y = torch.arange(grid[0], dtype=table.dtype, device=table.device)[None, None]
    number_x = torch.arange(grid[1], dtype=table.dtype, device=table.device)[None, None]
    y = _points(bin_y[:, :, None], number_y, counts[:, 0])[:, :, None, :, None]
    x = _points(bin_x[:, :, None], number_x, counts[:, 1])[:, None, :, None, :]
    y, x = torch.broadcast_tensors(y, x)  # (K, P_h, P_w, G_h, G_w)
    index, weight = bilinear_inside(y, x, height, width)
    index = index + (image.long() * (height * width)).view(-1, 1, 1, 1, 1, 1)
    value = weighted_gather(table, index.view(-1, 4), weight.view(-1, 4))
    value = value.view(*y.shape[:3], -1, table.shape[1])  # (K, P_h, P_w, samples, C)
    # A grid as large as the largest RoI needs: in the smaller ones, the rest does not count.
    real = (number_y[0].mT < counts[:, 0, None, None]) & (number_x[0] < counts[:, 1, None, None])
    real = real.reshape(len(real), 1, 1, -1, 1)
    lowest = torch.finfo(table.dtype).min
    if value.shape[3] == 0:
        at = value.new_full((*y.shape[:3], table.shape[1]), -1)
        best = torch.zeros_like(at)
    else:
        best, at = value.masked_fill(~real, lowest).max(dim=3)
        none = best == lowest
        best, at = best.masked_fill(none, 0), at.masked_fill(none, -1)
    return best.permute(0, 3, 1, 2), at.permute(0, 3, 1, 2)
