"""Labels of images, sent to the GPU as the images are: from memory that need not be waited for."""

from typing import Any

import torch
from mmpretrain.models import ClsDataPreprocessor
from mmpretrain.structures import DataSample
from torch import nn

from vitmm.models.halts.avoiding import overrides_none, replace, send


def avoid(module: nn.Module) -> None:
    """Replace what classification does with a batch."""
    if overrides_none(module, ClsDataPreprocessor, 'forward'):
        replace(module, 'forward', _forward)


def _forward(module: ClsDataPreprocessor, data: Any, training: bool = False) -> Any:
    """``ClsDataPreprocessor.forward``, which finds labels and scores on its device."""
    samples = data.get('data_samples')
    if samples and isinstance(samples[0], DataSample):
        for key in ('gt_label', 'gt_score'):
            if key in samples[0]:
                _move(samples, key, module.device)
    return type(module).forward(module, data, training)


def _move(samples: list[DataSample], key: str, device: torch.device) -> None:
    given = [getattr(sample, key) for sample in samples]
    if given[0].device.type != device.type:
        moved = send(torch.cat(given), device).split([len(one) for one in given])
        for sample, one in zip(samples, moved, strict=True):
            sample.set_field(one, key)
