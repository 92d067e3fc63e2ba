"""RoIPool, by torchvision's kernel.

mmcv cuts a RoI at fractions of a pixel and rounds each bin outwards, torchvision rounds the RoI
first. So the bins are computed here, and each is given to the kernel as a RoI of one bin.

Can go with the package (see `__init__.py`).
"""

import torch
from torch import Tensor

from vitmm.compat.mmcv_ops.common import widen


def roi_pool_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Fill ``output`` (K, C, pooled_height, pooled_width) with the maxima of the bins.

    Args:
        input: (N, C, H, W).
        rois: (K, 5) batch index, x1, y1, x2, y2 in the units of the image, ends included.
        argmax: int32, shaped as ``output``; filled with row * W + column, -1 for empty bins.
    """
    if output.numel() == 0:
        return
    import torchvision  # noqa: F401  (registers the kernels; its import takes seconds)

    maps, boxes = widen(input), widen(rois)
    top, bottom, tall = _bins(boxes[:, 2], boxes[:, 4], spatial_scale, pooled_height, maps.shape[2])
    left, right, wide = _bins(boxes[:, 1], boxes[:, 3], spatial_scale, pooled_width, maps.shape[3])
    shape = (len(rois), pooled_height, pooled_width)
    image = boxes[:, 0, None, None].expand(shape)
    left, right = left[:, None].expand(shape), right[:, None].expand(shape)
    top, bottom = top[..., None].expand(shape), bottom[..., None].expand(shape)
    bins = torch.stack([image, left, top, right - 1, bottom - 1], dim=-1).view(-1, 5)
    value, at = torch.ops.torchvision.roi_pool(maps, bins.to(maps.dtype), 1.0, 1, 1)
    whole = (right > left) & (bottom > top) & (tall & wide)[:, None, None]

    def as_output(flat: Tensor) -> Tensor:
        return flat.view(*shape, -1).permute(0, 3, 1, 2)

    output.copy_(as_output(value).masked_fill(~whole[:, None], 0))
    argmax.copy_(as_output(at).masked_fill(~whole[:, None], -1))


def roi_pool_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax: Tensor,
    grad_input: Tensor,
    pooled_height: int,
    pooled_width: int,
    spatial_scale: float,
) -> None:
    """Fill ``grad_input`` (N, C, H, W): each maximum's gradient goes to its pixel."""
    if grad_output.numel() == 0:
        return
    import torchvision  # noqa: F401  (registers the kernels; its import takes seconds)

    grad = widen(grad_output)
    grad_input.copy_(
        torch.ops.torchvision._roi_pool_backward(
            grad,
            rois.to(grad.dtype),
            argmax,
            spatial_scale,
            pooled_height,
            pooled_width,
            *grad_input.shape,
        )
    )


def _bins(low: Tensor, high: Tensor, scale: float, number: int, limit: int):
    """(K, number) first pixel and end of each bin on one axis, and (K,) whether it has a size."""
    start, size = low * scale, (high + 1) * scale - low * scale
    step = (size / number)[:, None]
    edge = torch.arange(number, dtype=low.dtype, device=low.device)
    first = (edge * step + start[:, None]).floor().clamp(0, limit)
    end = ((edge + 1) * step + start[:, None]).ceil().clamp(0, limit)
    return first, end, size > 0
