"""What would make the CPU wait for a GPU, told on a CPU."""

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

_OPS = torch.ops.aten
INDEXING = (  # they read masks, and no other indices
    _OPS.index.Tensor,
    _OPS.index_put.default,
    _OPS.index_put_.default,
    _OPS._index_put_impl_.default,
)
MASKS = (torch.bool, torch.uint8)
_TAGS = (torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape)
_UNTAGGED = ('aten::equal', 'torchvision::nms')
_NOTHING = ('aten::empty', 'aten::new_empty', 'aten::_unsafe_view')  # starts of names
_COPIES = (torch.Tensor.tolist, torch.Tensor.cpu)


def reads_values(function: Any) -> bool:
    """Whether an operator has to know values, or how many fit: mostly by its tags."""
    return function.name() in _UNTAGGED or any(tag in _TAGS for tag in function.tags)


class CountReads(TorchDispatchMode):
    """A context that counts what would halt a GPU.

    These are values that the CPU reads from tensors (``.item()``, ``bool()``, ``nonzero()``,
    ``unique()``, the suppression of boxes), masks as indices, ``.tolist()`` and ``.cpu()``, and
    lists of numbers that become tensors, which are sent from memory that is not pinned.

    Args:
        tell: is called for each, somewhere below the line that asked.

    Attributes:
        count: how many there were.
        operators: how many operators computed or copied something: a kernel each, at least.
    """

    def __init__(self, tell: Callable[[], None] | None = None) -> None:
        super().__init__()
        self.tell = tell
        self.count = 0
        self.operators = 0
        self._copies = _Copies(self._note)

    def __enter__(self) -> 'CountReads':
        self._copies.__enter__()
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._copies.__exit__(*error)

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None) -> Any:
        if _halts(function, arguments):
            self._note()
        self.operators += _computes(function)
        return function(*arguments, **(keywords or {}))

    def _note(self) -> None:
        self.count += 1
        if self.tell:
            self.tell()


class _Copies(TorchFunctionMode):
    """Sees what is no operator where the tensor is on the CPU already."""

    def __init__(self, tell: Callable[[], None]) -> None:
        super().__init__()
        self.tell = tell

    def __torch_function__(self, function, types, arguments=(), keywords=None) -> Any:
        if function in _COPIES:
            self.tell()
        return function(*arguments, **(keywords or {}))


def _computes(function: Any) -> bool:
    """Whether an operator does more than to look at memory in another way, or to ask for some."""
    returned = function._schema.returns
    views = any(one.alias_info and not one.alias_info.is_write for one in returned)
    return bool(returned) and not views and not function.name().startswith(_NOTHING)


def _halts(function: Any, arguments: tuple) -> bool:
    if function in INDEXING:
        fills = len(arguments) > 2 and arguments[2].numel() == 1  # by the mask itself
        masks = any(index is not None and index.dtype in MASKS for index in arguments[1])
        return masks and not fills
    if function == _OPS.lift_fresh.default:
        return arguments[0].dim() > 0  # a single number goes along with the kernel
    return reads_values(function)
