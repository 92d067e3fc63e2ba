"""The local parts of mmcv's synchronised batch norm (mmcv does the reductions in between).

Maps are (N, C, S), statistics (C,) and float32. Can go with the package (see `__init__.py`).
"""

from torch import Tensor

from vitmm.compat.mmcv_ops.common import widen


def sync_bn_forward_mean(input: Tensor, mean: Tensor) -> None:
    """Fill ``mean`` with the mean of each channel."""
    mean.copy_(widen(input).mean((0, 2)))


def sync_bn_forward_var(input: Tensor, mean: Tensor, var: Tensor) -> None:
    """Fill ``var`` with the mean squared distance from a given mean."""
    var.copy_((widen(input) - mean[:, None]).square().mean((0, 2)))


def sync_bn_forward_output(
    input: Tensor,
    mean: Tensor,
    var: Tensor,
    weight: Tensor,
    bias: Tensor,
    running_mean: Tensor,
    running_var: Tensor,
    norm: Tensor,
    std: Tensor,
    output: Tensor,
    eps: float,
    momentum: float | Tensor,
    group_size: int,
) -> None:
    """Fill ``norm``, ``std`` and ``output``, and move the running statistics."""
    std.copy_((var + eps).sqrt())
    norm.copy_((widen(input) - mean[:, None]) / std[:, None])
    scaled = norm * widen(weight)[:, None] + widen(bias)[:, None] if weight.numel() else norm
    output.copy_(scaled)
    if running_mean.numel():
        count = input.shape[0] * input.shape[2] * group_size
        unbiased = var * count / (count - 1) if count > 1 else var
        running_mean.copy_(momentum * mean + (1 - momentum) * running_mean)
        running_var.copy_(momentum * unbiased + (1 - momentum) * running_var)


def sync_bn_backward_param(
    grad_output: Tensor, norm: Tensor, grad_weight: Tensor, grad_bias: Tensor
) -> None:
    """Fill the gradients of scale and shift."""
    grad = widen(grad_output)
    grad_weight.copy_((grad * norm).sum((0, 2)))
    grad_bias.copy_(grad.sum((0, 2)))


def sync_bn_backward_data(
    grad_output: Tensor,
    weight: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    norm: Tensor,
    std: Tensor,
    grad_input: Tensor,
) -> None:
    """Fill the gradient of the input, given the reduced gradients of scale and shift."""
    count = norm.shape[0] * norm.shape[2]
    shared = (grad_weight[:, None] * norm + grad_bias[:, None]) / count
    grad_input.copy_((widen(grad_output) - shared) * (widen(weight) / std)[:, None])
