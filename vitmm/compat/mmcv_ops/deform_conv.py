"""Deformable convolution, plain (Dai et al. 2017) and modulated (Zhu et al. 2019).

By torchvision's kernels, which sample and lay out the offsets as mmcv does.

Can go with the package (see `__init__.py`).
"""

import weakref

import torch
import torch.nn.functional as F
from torch import Tensor

from vitmm.compat.mmcv_ops.common import widen


def deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    offset: Tensor,
    output: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Fill ``output`` (N, D, H', W').

    Args:
        input: (N, C, H, W).
        weight: (D, C / group, kH, kW).
        offset: (N, deformable_group * kH * kW * 2, H', W') along y, then x, of each tap.
        columns, ones: the extension's scratch; unused.
        im2col_step: images at a time; the kernel chooses its own.
    """
    geometry = (dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    _forward(input, weight, offset, None, None, output, geometry)


def deform_conv_backward_input(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_input: Tensor,
    grad_offset: Tensor,
    weight: Tensor,
    columns: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    im2col_step: int,
) -> None:
    """Fill ``grad_input`` and ``grad_offset``.

    The kernel computes the gradient of the weight in the same pass. mmcv asks for that one next,
    with the same ``columns``: it waits there, with the ``grad_output`` that it belongs to.
    """
    geometry = (dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
    grads = _backward(grad_output, input, weight, offset, None, geometry)
    grad_input.copy_(grads[0])
    grad_offset.copy_(grads[2])
    columns.waiting = (weakref.ref(grad_output), grads[1])


def deform_conv_backward_parameters(
    input: Tensor,
    offset: Tensor,
    grad_output: Tensor,
    grad_weight: Tensor,
    columns: Tensor,
    ones: Tensor,
    kW: int,
    kH: int,
    dW: int,
    dH: int,
    padW: int,
    padH: int,
    dilationW: int,
    dilationH: int,
    group: int,
    deformable_group: int,
    scale: float,
    im2col_step: int,
) -> None:
    """Add ``scale`` times the gradient of the weight to ``grad_weight``."""
    source, grad = columns.__dict__.pop('waiting', (lambda: None, None))
    if source() is not grad_output:
        geometry = (dH, dW, padH, padW, dilationH, dilationW, group, deformable_group)
        grad = _backward(grad_output, input, grad_weight, offset, None, geometry)[1]
    grad_weight.add_(grad.to(grad_weight.dtype), alpha=scale)


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Fill ``output`` (N, D, H', W').

    Args:
        bias: (D,), or empty where ``with_bias`` is False.
        mask: (N, deformable_group * kernel_h * kernel_w, H', W') factor of each tap.
    """
    geometry = (stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group)
    offset, mask = (_as_read(tensor, *output.shape[2:]) for tensor in (offset, mask))
    _forward(input, weight, offset, mask, bias if with_bias else None, output, geometry)


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    kernel_h: int,
    kernel_w: int,
    stride_h: int,
    stride_w: int,
    pad_h: int,
    pad_w: int,
    dilation_h: int,
    dilation_w: int,
    group: int,
    deformable_group: int,
    with_bias: bool,
) -> None:
    """Fill the five gradients."""
    geometry = (stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group)
    offset, mask = (_as_read(tensor, *grad_output.shape[2:]) for tensor in (offset, mask))
    grads = _backward(grad_output, input, weight, offset, mask, geometry)
    targets = [grad_input, grad_weight, grad_offset, grad_mask]
    if with_bias:
        targets.append(grad_bias)
    for target, grad in zip(targets, grads, strict=False):  # the last may not be asked for
        # What the forward did not read of a larger map (see `_as_read`) has no gradient.
        unread = target[:1].numel() - grad[:1].numel()
        if unread:
            grad = F.pad(grad.flatten(1), (0, unread)).view(target.shape)
        target.copy_(grad)


def _as_read(maps: Tensor, height: int, width: int) -> Tensor:
    """Offsets or masks as mmcv's modulated kernel reads them, (N, planes, height, width).

    It never looks at the size of these maps: of larger ones it reads the first values of each
    image, in the order of memory, as though they had the output's size. mmdet's DyHead gives it
    the maps of another level, and published weights have been trained with what comes of that.
    """
    if maps.shape[2:] == (height, width):
        return maps
    planes = maps.shape[1]
    flat = maps.flatten(1)
    if flat.shape[1] < planes * height * width:
        raise ValueError(
            f'offset and mask are {tuple(maps.shape[2:])}, smaller than the output {height, width}'
        )
    return flat[:, : planes * height * width].view(-1, planes, height, width)


def _forward(input, weight, offset, mask, bias, output, geometry) -> None:
    import torchvision  # noqa: F401  (registers the kernels; its import takes seconds)

    maps = widen(input)
    output.copy_(
        torch.ops.torchvision.deform_conv2d(
            maps,
            weight.to(maps.dtype),
            offset.to(maps.dtype),
            maps.new_zeros(len(maps), 1) if mask is None else mask.to(maps.dtype),
            maps.new_zeros(len(weight)) if bias is None else bias.to(maps.dtype),
            *geometry,
            mask is not None,
        )
    )


def _backward(grad_output, input, weight, offset, mask, geometry) -> tuple[Tensor, ...]:
    """Gradients of input, weight, offset, mask and bias."""
    maps = widen(input)
    import torchvision  # noqa: F401  (registers the kernels; its import takes seconds)

    return torch.ops.torchvision._deform_conv2d_backward(
        grad_output.to(maps.dtype).contiguous(),
        maps,
        weight.to(maps.dtype),
        offset.to(maps.dtype),
        maps.new_zeros(len(maps), 1) if mask is None else mask.to(maps.dtype),
        maps.new_zeros(len(weight)),
        *geometry,
        mask is not None,
    )
