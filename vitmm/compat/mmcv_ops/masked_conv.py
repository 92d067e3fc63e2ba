"""The gather and the scatter around a convolution that is computed at chosen pixels only.

Can go with the package (see `__init__.py`).
"""

import torch
from torch import Tensor


def masked_im2col_forward(
    im: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    col: Tensor,
    kernel_h: int,
    kernel_w: int,
    pad_h: int,
    pad_w: int,
) -> None:
    """Fill ``col`` (C * kernel_h * kernel_w, M): the patches around M pixels, zero outside.

    Args:
        im: (1, C, H, W).
        mask_h_idx, mask_w_idx: (M,) where the patches are, in the output's pixels.
    """
    channels, height, width = im.shape[1:]
    device = im.device
    y = mask_h_idx + torch.arange(kernel_h, device=device)[:, None, None] - pad_h
    x = mask_w_idx + torch.arange(kernel_w, device=device)[:, None] - pad_w
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)  # (kernel_h, kernel_w, M)
    patches = im[0][:, y.clamp(0, height - 1), x.clamp(0, width - 1)] * inside
    col.copy_(patches.reshape(channels * kernel_h * kernel_w, -1))


def masked_col2im_forward(
    col: Tensor,
    mask_h_idx: Tensor,
    mask_w_idx: Tensor,
    im: Tensor,
    height: int,
    width: int,
    channels: int,
) -> None:
    """Write ``col`` (C, M) into ``im`` (1, C, height, width) at the M pixels."""
    im[0][:, mask_h_idx, mask_w_idx] = col.to(im.dtype)
