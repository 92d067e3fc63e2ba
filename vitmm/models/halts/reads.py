"""What would make the CPU wait for a GPU, told on a CPU."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

_OPS = torch.ops.aten
INDEXING = (  # they read masks, and no other indices
    _OPS.index.Tensor,
    _OPS.index_put.default,
    _OPS.index_put_.default,
    _OPS._index_put_impl_.default,
)
_MASKS = (torch.bool, torch.uint8)
_TAGS = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)


def reads_values(function: Any) -> bool:
    """Whether an operator of torch's has to know values, or how many fit: by its tags."""
    return any(tag in _TAGS for tag in function.tags)


class CountReads(TorchDispatchMode):
    """A context that counts what would halt a GPU.

    These are values that the CPU reads from tensors (``.item()``, ``bool()``, ``nonzero()``,
    ``unique()``), masks as indices, and lists of numbers that become tensors, which are sent from
    memory that is not pinned. Operators that halt inside (the suppression of boxes) are unseen.

    Args:
        tell: is called for each, at the line that asked (``sys._getframe(2)`` in it).
    """

    def __init__(self, tell: Callable[[], None] | None = None) -> None:
        super().__init__()
        self.tell = tell
        self.count = 0

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None) -> Any:
        if _halts(function, arguments):
            self.count += 1
            if self.tell:
                self.tell()
        return function(*arguments, **(keywords or {}))


def _halts(function: Any, arguments: tuple) -> bool:
    if function in INDEXING:
        return any(index is not None and index.dtype in _MASKS for index in arguments[1])
    if function == _OPS.lift_fresh.default:
        return arguments[0].dim() > 0  # a single number goes along with the kernel
    return reads_values(function)
