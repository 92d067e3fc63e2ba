"""Lists of numbers that mmdet and mmseg make tensors of where they compute, sent without a wait."""

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from vitmm.models.halts.avoiding import replace, send, send_numbers

# Losses, with their weights of classes, and targets of heads; the noise of DINO's queries; sizes of
# levels.
_METHODS = ('loss_by_feat', 'pre_decoder', 'pre_transformer')


def avoid(module: nn.Module) -> None:
    """Let the methods in question of a part of theirs, that are its own still, send so."""
    if any(base.__module__.startswith(('mmdet.', 'mmseg.')) for base in type(module).__mro__):
        for name in _METHODS:
            if hasattr(type(module), name):
                replace(module, name, partial(_call, name))


def _call(name: str, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
    with Sending():
        return getattr(type(module), name)(module, *args, **kwargs)


class Sending(TorchFunctionMode):
    """``Tensor.new_tensor`` of plain numbers, and shapes as tensors, are there without a wait."""

    def __torch_function__(self, function, types, arguments=(), keywords=None) -> Any:
        settings = keywords or {}
        if function is torch.Tensor.new_tensor and len(arguments) == 2:
            return _new_tensor(*arguments, **settings)
        found = function(*arguments, **settings)
        return send(found, arguments[0].device) if function is torch._shape_as_tensor else found


def _new_tensor(like: torch.Tensor, data: Any, **settings: Any) -> torch.Tensor:
    dtype = settings.get('dtype') or like.dtype
    exact = dtype.is_floating_point or dtype == torch.int64  # smaller ones may overflow
    if settings.keys() <= {'dtype', 'device'} and exact and _plain(data):
        numbers = np.array(data)
        if numbers.dtype.kind in 'biuf':
            return send_numbers(numbers, torch.device(settings.get('device') or like.device), dtype)
    return like.new_tensor(data, **settings)


def _plain(data: Any) -> bool:
    if isinstance(data, list | tuple):
        return len(data) > 0 and all(map(_plain, data))
    return isinstance(data, int | float)
