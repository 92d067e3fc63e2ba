"""A GPU that is the CPU: tensors say that they lie on a GPU, have values, and compute on the CPU.

Where tensors of two devices meet it refuses, as a GPU does; where the CPU would wait for the GPU it
counts. Nothing flows backward: autograd asks the driver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map_only

from vitmm.models.halts.reads import INDEXING, MASKS, reads_values

DEVICE = torch.device('cuda', 0)
aten = torch.ops.aten
needs_no_driver = pytest.mark.skipif(
    torch.__version__ < '2.11' and not torch.cuda.is_available(),
    reason='torch 2.6 to 2.8 look for a driver under FakeTensorMode, and may abort; 2.11 does not',
)
MOVES = (aten._to_copy.default, aten.copy_.default)


@contextmanager
def autocast_as_there() -> Iterator[None]:
    """Let autocast work as if there were a GPU with bfloat16."""
    with (
        patch('torch.cuda.amp.common.amp_definitely_not_available', lambda: False),
        patch('torch.cuda.is_bf16_supported', lambda *_: True),
        torch.backends.cudnn.flags(enabled=False),
    ):
        yield


class OnGPU(torch.Tensor):
    """``held``, a tensor of the CPU, that says it lies on a GPU."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnGPU:
        self = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, held.stride(), held.storage_offset(), dtype=held.dtype, device=DEVICE
        )
        self.held = held
        return self

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        raise RuntimeError(f'{function} outside of PretendedGPU')

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def __repr__(self) -> str:
        return f'OnGPU({self.held})'


class PretendedGPU(TorchDispatchMode):
    """As long as it is entered, ``device='cuda'`` is there, bfloat16 and autocast included.

    Attributes:
        waits: what the CPU waited for, a name for each time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []
        self.pinned: dict[int, torch.Tensor] = {}

    def __enter__(self) -> PretendedGPU:
        with ExitStack() as stack:
            stack.enter_context(autocast_as_there())
            stack.enter_context(patch('torch.Tensor.pin_memory', self._pin))
            stack.enter_context(FakeTensorMode())  # under it torch looks for no driver
            self._stack = stack.pop_all()
        return super().__enter__()

    def __exit__(self, *error) -> None:
        super().__exit__(*error)
        self._stack.__exit__(*error)

    def __torch_dispatch__(self, function: Callable, types, args=(), kwargs=None) -> Any:
        kwargs = dict(kwargs or {})
        given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        there = {id(tensor.held): tensor for tensor in given if isinstance(tensor, OnGPU)}
        to_gpu = bool(there)
        if kwargs.get('device') is not None:
            to_gpu = torch.device(kwargs['device']).type == 'cuda'
            kwargs['device'] = torch.device('cpu')
        elif function in MOVES:
            to_gpu = isinstance(args[0], OnGPU)
        if there or to_gpu:
            self._look(function, args, kwargs, to_gpu)
        args, kwargs = tree_map_only(OnGPU, lambda tensor: tensor.held, (args, kwargs))
        with _disable_current_modes():
            found = function(*args, **kwargs)
        if not to_gpu:
            return found

        def wrapped(tensor: torch.Tensor) -> OnGPU:  # in place: what was given
            return there[id(tensor)] if id(tensor) in there else OnGPU(tensor)

        return tree_map_only(torch.Tensor, wrapped, found)

    @property
    def _pin(self) -> Callable:
        def pin_memory(tensor: torch.Tensor, device: Any = None) -> torch.Tensor:
            pinned = tensor.clone()
            self.pinned[pinned.untyped_storage().data_ptr()] = pinned
            return pinned

        return pin_memory

    def _waits(self, source: torch.Tensor, to_gpu: bool, non_blocking: bool) -> bool:
        """Whether a copy to the other device is waited for."""
        if to_gpu:
            pinned = source.untyped_storage().data_ptr() in self.pinned
            return not (non_blocking and pinned)
        return not non_blocking

    def _look(self, function: Callable, args: tuple, kwargs: dict, to_gpu: bool) -> None:
        """Count what is waited for; refuse what a GPU does not take."""
        name = function.name()
        if function in MOVES:
            source = args[0] if function is aten._to_copy.default else args[1]
            non_blocking = bool(kwargs.get('non_blocking') or (len(args) > 2 and args[2]))
            if isinstance(source, OnGPU) != to_gpu and self._waits(source, to_gpu, non_blocking):
                self.waits.append(f'{name} to the {"GPU" if to_gpu else "CPU"}')
            return
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if function in INDEXING:
            index = [one for one in args[1] if one is not None]
            # A single number of the CPU is filled in by the mask itself.
            value = args[2] if len(args) > 2 else None
            fills = value is not None and value.numel() == 1 and not isinstance(value, OnGPU)
            sent = any(not isinstance(one, OnGPU) for one in index)
            if sent or (any(one.dtype in MASKS for one in index) and not fills):
                self.waits.append(name)
            if not isinstance(args[0], OnGPU):
                raise RuntimeError(f'{name}: a tensor of the CPU, and indices of the GPU')
            tensors = [one for one in tensors if all(one is not other for other in index)]
        elif reads_values(function):
            self.waits.append(name)
        kinds = {isinstance(one, OnGPU) for one in tensors if one.dim() or isinstance(one, OnGPU)}
        if len(kinds) > 1:
            raise RuntimeError(f'{name}: tensors of the CPU and of the GPU meet')


def send(model: torch.nn.Module, move: Callable | None = None) -> None:
    """Put the weights on the pretended GPU, or where ``move`` puts a tensor."""
    for module in model.modules():
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is not None:
                    moved = (move or OnGPU)(tensor.detach())
                    if held is module._parameters:
                        moved = torch.nn.Parameter(moved, tensor.requires_grad)
                    held[name] = moved
        if hasattr(module, '_device'):  # of data preprocessors
            module._device = DEVICE
            module._non_blocking = True  # as vitmm.apis.launch sets it
