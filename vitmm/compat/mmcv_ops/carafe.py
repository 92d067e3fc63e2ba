"""CARAFE upsampling (Wang et al. 2019): each output pixel weighs the patch around its source.

Can go with the package (see `__init__.py`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from vitmm.compat.mmcv_ops.common import widen


def carafe_naive_forward(
    features: Tensor,
    masks: Tensor,
    output: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Fill ``output`` (N, C, H * scale_factor, W * scale_factor).

    Args:
        features: (N, C, H, W).
        masks: (N, group_size * kernel_size ** 2, H * scale_factor, W * scale_factor): the
            weights of each output pixel, shared by the C / group_size channels of a group.
    """
    with torch.no_grad():
        _reassemble(features, masks, output, kernel_size, group_size, scale_factor)


def carafe_naive_backward(
    grad_output: Tensor,
    features: Tensor,
    masks: Tensor,
    grad_input: Tensor,
    grad_masks: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """Fill ``grad_input`` and ``grad_masks``."""
    shape = (kernel_size, group_size, scale_factor)
    # One image at a time: the patches take kernel_size ** 2 times the room of the map.
    for n in range(len(features)):
        with torch.enable_grad():
            maps = widen(features[n : n + 1]).detach().requires_grad_()
            weights = widen(masks[n : n + 1]).detach().requires_grad_()
            out = _image(maps, weights, *shape)
            grads = torch.autograd.grad(out, [maps, weights], grad_output[n : n + 1].to(out.dtype))
        grad_input[n : n + 1] = grads[0]
        grad_masks[n : n + 1] = grads[1]


def carafe_forward(
    features: Tensor,
    masks: Tensor,
    rfeatures: Tensor,
    routput: Tensor,
    rmasks: Tensor,
    output: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """As ``carafe_naive_forward``; ``rfeatures`` keeps the features for the backward."""
    rfeatures.copy_(features)
    carafe_naive_forward(features, masks, output, kernel_size, group_size, scale_factor)


def carafe_backward(
    grad_output: Tensor,
    rfeatures: Tensor,
    masks: Tensor,
    rgrad_output: Tensor,
    rgrad_input_hs: Tensor,
    rgrad_input: Tensor,
    rgrad_masks: Tensor,
    grad_input: Tensor,
    grad_masks: Tensor,
    kernel_size: int,
    group_size: int,
    scale_factor: int,
) -> None:
    """As ``carafe_naive_backward``; the other buffers are the extension's scratch."""
    carafe_naive_backward(
        grad_output,
        rfeatures,
        masks,
        grad_input,
        grad_masks,
        kernel_size,
        group_size,
        scale_factor,
    )


def _reassemble(features, masks, output, kernel_size, group_size, scale_factor) -> None:
    for n in range(len(features)):
        image = slice(n, n + 1)
        output[image] = _image(
            widen(features[image]), widen(masks[image]), kernel_size, group_size, scale_factor
        )


def _image(features, masks, kernel, groups, scale) -> Tensor:
    """(1, C, H, W) and (1, G * K * K, H * s, W * s) -> (1, C, H * s, W * s)"""
    _, channels, height, width = features.shape
    patches = F.unfold(features, kernel, padding=kernel // 2)
    patches = patches.view(groups, channels // groups, kernel * kernel, height, width)
    weights = masks.to(features.dtype)
    weights = weights.view(groups, kernel * kernel, height, scale, width, scale)
    with torch.autocast(features.device.type, enabled=False):
        out = torch.einsum('gckhw,gkhiwj->gchiwj', patches, weights)
    return out.reshape(1, channels, height * scale, width * scale)
