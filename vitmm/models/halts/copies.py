"""The truth of an iteration is copied for the proposals' network; the masks need not be."""

import torch
from mmdet.models.detectors import TwoStageDetector
from mmdet.structures import DetDataSample
from torch import nn

from vitmm.models.halts.avoiding import overrides_none, replace


def avoid(module: nn.Module) -> None:
    """Replace the loss of a detector of two stages."""
    if overrides_none(module, TwoStageDetector, 'loss'):
        replace(module, 'loss', _loss)


def _loss(
    detector: TwoStageDetector, batch_inputs: torch.Tensor, batch_data_samples: list[DetDataSample]
) -> dict:
    """``TwoStageDetector.loss``, whose first stage shares the masks that it does not look at.

    Eight masks of 1024 x 1024 in each of four images take 14 ms to copy.
    """
    masks = [
        sample.gt_instances.masks for sample in batch_data_samples if 'masks' in sample.gt_instances
    ]
    for one in masks:
        one.__deepcopy__ = lambda memo, one=one: one
    try:
        return type(detector).loss(detector, batch_inputs, batch_data_samples)
    finally:
        for one in masks:
            vars(one).pop('__deepcopy__', None)  # it refers to itself
