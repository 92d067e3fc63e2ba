"""Lists of numbers that mmdet makes tensors of where it computes, sent there without a wait."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import nn

from vitmm.models.halts.avoiding import replace, send

# Losses and targets of heads; the noise of DINO's queries; sizes of levels.
_METHODS = ('loss_by_feat', 'pre_decoder', 'pre_transformer')


def avoid(module: nn.Module) -> None:
    """Let the methods in question of a part of mmdet, that are its own still, send so."""
    if any(base.__module__.startswith('mmdet.') for base in type(module).__mro__):
        for name in _METHODS:
            if hasattr(type(module), name):
                replace(module, name, partial(_call, name))


def _call(name: str, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
    with sending():
        return getattr(type(module), name)(module, *args, **kwargs)


@contextmanager
def sending() -> Iterator[None]:
    """``Tensor.new_tensor`` of plain numbers, and shapes as tensors, are there without a wait."""
    with (
        patch.object(torch.Tensor, 'new_tensor', _new_tensor(torch.Tensor.new_tensor)),
        patch.object(torch, '_shape_as_tensor', _shape_as_tensor(torch._shape_as_tensor)),
    ):
        yield


def _new_tensor(stock: Callable) -> Callable:
    def new_tensor(like: torch.Tensor, data: Any, **settings: Any) -> torch.Tensor:
        if settings.keys() - {'dtype', 'device'} or not _plain(data):
            return stock(like, data, **settings)
        numbers = torch.from_dlpack(np.array(data)).to(settings.get('dtype', like.dtype))
        return send(numbers, torch.device(settings.get('device', like.device)))

    return new_tensor


def _shape_as_tensor(stock: Callable) -> Callable:
    return lambda tensor: send(stock(tensor), tensor.device)


def _plain(data: Any) -> bool:
    if isinstance(data, list | tuple):
        return len(data) > 0 and all(map(_plain, data))
    return isinstance(data, int | float)
