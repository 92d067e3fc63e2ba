"""Focal loss (Lin et al. 2017), one class per sigmoid or one softmax over the classes.

Can go with the package (see `__init__.py`).
"""

import torch
from torch import Tensor

from vitmm.compat.mmcv_ops.common import widen


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Fill ``output`` (N, C) with the loss of each score.

    Args:
        input: (N, C) scores before the sigmoid.
        target: (N,) class, or C (the background) and more, or negative: no class at all.
        weight: (C,) weight of a sample by its class; empty for none.
    """
    score, is_target = widen(input), _is_target(input, target)
    p, q = score.sigmoid(), (-score).sigmoid()
    positive = q**gamma * torch.nn.functional.logsigmoid(score)
    negative = p**gamma * torch.nn.functional.logsigmoid(-score)
    loss = -torch.where(is_target, alpha * positive, (1 - alpha) * negative)
    output.copy_(loss * _class_weight(weight, target, score)[:, None])


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Fill ``grad_input`` (N, C) with the derivative of each loss by its own score."""
    score, is_target = widen(input), _is_target(input, target)
    p, q = score.sigmoid(), (-score).sigmoid()
    positive = q**gamma * (q - gamma * p * torch.nn.functional.logsigmoid(score))
    negative = p**gamma * (gamma * q * torch.nn.functional.logsigmoid(-score) - p)
    grad = -torch.where(is_target, alpha * positive, (1 - alpha) * negative)
    grad_input.copy_(grad * _class_weight(weight, target, score)[:, None])


def softmax_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Fill ``output`` (N,) with the loss of each sample; 0 where the target is negative.

    Args:
        input: (N, C) probabilities, after the softmax.
        target: (N,) class.
        weight: (C,) weight of a sample by its class; empty for none.
    """
    p, log_p, valid = _of_target(input, target)
    loss = -alpha * (1 - p) ** gamma * log_p * _class_weight(weight, target, p)
    output.copy_(loss * valid)


def softmax_focal_loss_backward(
    input: Tensor,
    target: Tensor,
    weight: Tensor,
    buff: Tensor,
    grad_input: Tensor,
    gamma: float,
    alpha: float,
) -> None:
    """Fill ``grad_input`` (N, C): the derivative by the scores before the softmax.

    ``buff`` (N,), the extension's scratch, receives the part that a sample's classes share.
    """
    p, log_p, valid = _of_target(input, target)
    # At p = 1 the factor with gamma - 1 would be 0 ** -something times 0 for gamma < 1.
    focus = (1 - p).clamp(min=torch.finfo(p.dtype).tiny) ** (gamma - 1)
    shared = alpha * (gamma * focus * p * log_p - (1 - p) ** gamma)
    shared = shared * _class_weight(weight, target, p) * valid
    buff.copy_(shared)
    grad_input.copy_(shared[:, None] * (_is_target(input, target).to(p.dtype) - widen(input)))


def _is_target(input: Tensor, target: Tensor) -> Tensor:
    """(N, C) whether a column is the row's class."""
    return target[:, None] == torch.arange(input.shape[1], device=input.device)


def _of_target(probability: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(N,) probability of the target, its logarithm, and whether there is a target."""
    valid = target >= 0
    p = widen(probability).gather(1, target.clamp(min=0)[:, None])[:, 0]
    return p, p.clamp(min=torch.finfo(p.dtype).tiny).log(), valid


def _class_weight(weight: Tensor, target: Tensor, like: Tensor) -> Tensor:
    """(N,) weights of the targets' classes; 1 without weights, and for what is no class."""
    if weight.numel() == 0:
        return torch.ones_like(target, dtype=like.dtype)
    known = (target >= 0) & (target < len(weight))
    chosen = weight.to(like.dtype)[target.clamp(0, len(weight) - 1)]
    return torch.where(known, chosen, torch.ones_like(chosen))
