"""The two rearrangements of PSANet (Zhao et al. 2018) between mask and map coordinates.

Can go with the package (see `__init__.py`).
"""

import torch
from torch import Tensor


def psamask_forward(
    input: Tensor,
    output: Tensor,
    psa_type: int,
    num_: int,
    h_feature: int,
    w_feature: int,
    h_mask: int,
    w_mask: int,
    half_h_mask: int,
    half_w_mask: int,
) -> None:
    """Spread each pixel's own mask, centred on it, over the whole map.

    Args:
        input: (N, h_mask * w_mask, h_feature, w_feature).
        output: (N, h_feature * w_feature, h_feature, w_feature), filled. With ``psa_type`` 0
            (collect) the second axis is where a mask looks and the last two are whose mask it
            is; with 1 (distribute) the other way round. 0 where a mask does not reach.
    """
    size, mask, half = (h_feature, w_feature), (h_mask, w_mask), (half_h_mask, half_w_mask)
    index, inside = _offsets(size, mask, half, input.device)
    pixels = h_feature * w_feature
    source = input.reshape(num_, h_mask * w_mask, pixels)
    spread = source.gather(1, index.expand(num_, pixels, pixels)) * inside
    output.copy_((spread if psa_type == 0 else spread.mT).reshape(output.shape))


def psamask_backward(
    grad_output: Tensor,
    grad_input: Tensor,
    psa_type: int,
    num_: int,
    h_feature: int,
    w_feature: int,
    h_mask: int,
    w_mask: int,
    half_h_mask: int,
    half_w_mask: int,
) -> None:
    """Fill ``grad_input``; arguments as in the forward."""
    size, mask, half = (h_feature, w_feature), (h_mask, w_mask), (half_h_mask, half_w_mask)
    index, inside = _offsets(size, mask, half, grad_output.device)
    pixels = h_feature * w_feature
    grad = grad_output.reshape(num_, pixels, pixels)
    grad = (grad if psa_type == 0 else grad.mT) * inside
    total = grad.new_zeros(num_, h_mask * w_mask, pixels)
    total.scatter_add_(1, index.expand_as(grad), grad)
    grad_input.copy_(total.reshape(grad_input.shape))


def _offsets(size, mask, half, device) -> tuple[Tensor, Tensor]:
    """(pixels, pixels) for a target (first) and an owner: where in the owner's mask it lies."""

    def along(axis: int) -> Tensor:
        at = torch.arange(size[axis], device=device)
        return at[:, None] - at + half[axis]  # (target, owner)

    y = along(0)[:, None, :, None]
    x = along(1)[None, :, None, :]
    inside = (y >= 0) & (y < mask[0]) & (x >= 0) & (x < mask[1])
    pixels = size[0] * size[1]
    index = torch.where(inside, y * mask[1] + x, 0)
    return index.reshape(pixels, pixels), inside.reshape(pixels, pixels)
