"""Which parts of a model are made to compute without halts."""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn


def avoid_halts(model: nn.Module) -> None:
    """Let a model train without making the CPU wait for the GPU where it need not, in place.

    Where code reads a value from a tensor, picks by a mask, or makes a tensor of a list of numbers
    on the GPU, the CPU waits until the GPU has done all that it was given, and the GPU then for the
    CPU. mmdet's heads do so dozens of times in an iteration, mmseg's some. Here the methods of
    the objects in question compute the same from whole tensors. A part of another class, or one
    that overrides what is replaced, stays as it is; classes, weights and configs stay the same.

    Args:
        model: any model of mmdet, mmseg or mmpretrain.
    """
    from vitmm.models.halts import channels

    for module in model.modules():
        channels.avoid(module)
    if 'mmseg.models' in sys.modules:
        from vitmm.models.halts import accuracy

        accuracy.install()
    if 'mmpretrain.models' in sys.modules:
        from vitmm.models.halts import labels

        for module in model.modules():
            labels.avoid(module)
    if 'mmdet.models' in sys.modules:
        from vitmm.models.halts import (
            anchors,
            atss,
            boxes,
            copies,
            fcos,
            levels,
            mask_boxes,
            mask_queries,
            masks,
            noise,
            pixel_decoders,
            proposals,
            pyramids,
            queries,
            refining,
            samples,
        )

        mask_boxes.install()
        heads = anchors, atss, fcos, proposals, boxes, copies, levels, masks, refining, samples
        transformers = mask_queries, noise, pixel_decoders, pyramids, queries
        for module in model.modules():
            for part in (*heads, *transformers):
                part.avoid(module)
    if not sys.modules.keys().isdisjoint(('mmdet.models', 'mmseg.models')):
        from vitmm.models.halts import lists

        for module in model.modules():
            lists.avoid(module)  # in what is their own still: the last


def replace(thing: Any, name: str, function: Callable) -> None:
    """Let ``thing.name(...)`` call ``function(thing, ...)``; harmless when repeated."""
    if name not in vars(thing):
        # Not a closure: a copy of the thing (EMA) must call its own.
        setattr(thing, name, partial(function, thing))


def read(numbers: torch.Tensor) -> list[int]:
    """The numbers (N,), for which the GPU is waited for: all that is read is read here."""
    return numbers.tolist()


def send(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The tensor on the device, without a wait."""
    if device.type == 'cuda' and tensor.device.type == 'cpu':
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def send_numbers(
    numbers: np.ndarray, device: torch.device, dtype: torch.dtype | None = None
) -> torch.Tensor:
    """The numbers as a tensor on the device, likewise; None: of their own type."""
    # from_numpy would look like a list that becomes a tensor, to those who count them.
    return send(torch.from_dlpack(numbers).to(dtype), device)


def overrides_none(thing: Any, base: type, *names: str) -> bool:
    """Whether ``thing`` is a ``base`` and has the ``base``'s own methods of these names."""
    return isinstance(thing, base) and all(
        getattr(type(thing), name) is getattr(base, name) for name in names
    )
