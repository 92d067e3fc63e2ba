"""BGR to RGB without a list of channels as an index, which is sent to the GPU each time."""

from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor, ImgDataPreprocessor
from torch import nn

from vitmm.models.halts.avoiding import replace


def avoid(module: nn.Module) -> None:
    """Let a data preprocessor turn the channels around while it moves the images."""
    if not isinstance(module, BaseDataPreprocessor):
        return
    # What MMEngine's and mmdet's call it, and mmseg's; mmpretrain's needs no help.
    is_base = isinstance(module, ImgDataPreprocessor)
    flag = '_channel_conversion' if is_base else 'channel_conversion'
    if getattr(module, flag, False):
        setattr(module, flag, False)
        module.turns_channels = True  # what an export asks
        replace(module, 'cast_data', _cast_and_turn)


def _cast_and_turn(module: nn.Module, data: Any) -> Any:
    data = type(module).cast_data(module, data)
    if not (isinstance(data, dict) and 'inputs' in data):  # it calls itself for each part
        return data
    inputs = data['inputs']
    # (C, H, W) each, or one (N, C, H, W)
    stacked = isinstance(inputs, torch.Tensor)
    turned = _turn(inputs) if stacked else [_turn(image) for image in inputs]
    return {**data, 'inputs': turned}


def _turn(images: torch.Tensor) -> torch.Tensor:
    return images.flip(-3) if images.shape[-3] == 3 else images
