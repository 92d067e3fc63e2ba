"""Adaptive pooling for images of any size."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.modules.utils import _pair
from torch.overrides import TorchFunctionMode


class AnySizePooling(TorchFunctionMode):
    """While it is on, ``adaptive_avg_pool2d`` is a product of matrices.

    torch's exporter to ONNX would fix the widths of its windows to those of the example.
    """

    def __torch_function__(
        self, func: Callable, types: Any, args: Sequence[Any] = (), kwargs: Mapping | None = None
    ) -> Any:
        func = adaptive_average if func is F.adaptive_avg_pool2d else func
        return func(*args, **(kwargs or {}))


def adaptive_average(input: Tensor, output_size: int | tuple[int | None, int | None]) -> Tensor:
    """Maps (..., H, W) -> (..., h, w), as ``adaptive_avg_pool2d`` makes them of any H and W."""
    sides = [new or old for new, old in zip(_pair(output_size), input.shape[-2:], strict=True)]
    if sides == [1, 1]:
        return input.mean((-2, -1), keepdim=True)
    rows, columns = (_shares(old, new) for old, new in zip(input.shape[-2:], sides, strict=True))
    return (rows @ input.float() @ columns.mT).to(input.dtype)


def _shares(side: int, count: int) -> Tensor:
    """What each of ``side`` cells adds to each of ``count`` windows, (count, side)."""
    window, cell = torch.arange(count)[:, None], torch.arange(side)
    start, end = window * side // count, ((window + 1) * side + count - 1) // count
    return ((cell >= start) & (cell < end)).float() / (end - start)
