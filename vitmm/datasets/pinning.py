"""Boxes, labels and maps in memory from which a GPU copies without a wait, as the images are."""

from typing import Any

import torch
from mmengine.structures import BaseDataElement


def install() -> None:
    """Give MMEngine's data elements the method that torch's loader looks for; harmless repeated."""
    BaseDataElement.pin_memory = _pin_element


def _pin_element(element: BaseDataElement) -> BaseDataElement:
    pinned = element.new()
    for key, value in element.items():
        pinned.set_data({key: _pin(value)})
    return pinned


def _pin(value: Any) -> Any:
    if hasattr(value, 'pin_memory'):
        return value.pin_memory()
    if isinstance(getattr(value, 'tensor', None), torch.Tensor):  # mmdet's boxes
        return type(value)(value.tensor.pin_memory(), clone=False)
    return value
