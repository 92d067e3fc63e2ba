"""The meta device, quickly: tensors that are shapes, without memory and arithmetic.

Most operators are written in Python there and take up to a millisecond, which adds up to seconds
for a large model that is made and asked for its shapes.
"""

from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# What first weights are made by, in place.
_FILLING = {'add_', 'clamp_', 'erfinv_', 'fill_', 'mul_', 'normal_', 'uniform_', 'zero_'}


class Unfilled(TorchFunctionMode):
    """While a model is made: its first weights are not written where there is no memory.

    Not while it runs, for nothing tells an addition of its own from theirs.
    """

    def __torch_function__(
        self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if args and getattr(function, '__name__', None) in _FILLING:
            filled = args[0]
            if isinstance(filled, torch.Tensor) and filled.is_meta:
                return filled
        return function(*args, **(kwargs or {}))


class RememberedShapes(TorchDispatchMode):
    """Operators on the meta device work each shape out once: blocks of a model ask for the same.

    Only those that make new tensors; all else runs as ever.
    """

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[tuple, Any] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not _is_pure(function):
            return function(*args, **kwargs)
        try:
            key = (function, _described(args), _described(tuple(kwargs.items())))
            known = self.known.get(key)
        except TypeError:  # what is on another device, or cannot be looked up
            return function(*args, **kwargs)
        if known is not None:
            return _made(known)
        result = function(*args, **kwargs)
        if not _storages(result) & _storages(args):
            with suppress(TypeError):
                self.known[key] = _described(result)
        return result


class _Shape(NamedTuple):
    size: torch.Size
    stride: tuple[int, ...]
    dtype: torch.dtype


class _Other(NamedTuple):
    kind: type  # 1, 1.0 and True are the same to a dict
    value: Any


def _described(value: Any) -> Any:
    """All that an operator may look at. Raises TypeError where this is not so."""
    if isinstance(value, torch.Tensor):
        if not value.is_meta or value.is_complex():  # these may be conjugated
            raise TypeError
        return _Shape(value.shape, value.stride(), value.dtype)
    if isinstance(value, tuple | list):
        return tuple(map(_described, value))
    return _Other(type(value), value)


def _made(described: Any) -> Any:
    """What :func:`_described` was told."""
    if isinstance(described, _Shape):
        size, stride, dtype = described
        return torch.empty_strided(size, stride, dtype=dtype, device='meta')
    return described.value if isinstance(described, _Other) else tuple(map(_made, described))


@cache
def _is_pure(function: Any) -> bool:
    """Whether an operator neither changes what it gets nor gives it back, by its schema."""
    schema = function._schema
    return not schema.is_mutable and not any(value.alias_info for value in schema.returns)


def _storages(values: Any) -> set[int]:
    tensors = (leaf for leaf in tree_leaves(values) if isinstance(leaf, torch.Tensor))
    return {tensor.untyped_storage()._cdata for tensor in tensors}
