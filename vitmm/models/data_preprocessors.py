"""Data preprocessors for images that are not RGB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from vitmm.registry import MODELS

if TYPE_CHECKING:
    from mmdet.models import DetDataPreprocessor


@MODELS.register_module(name='DetDataPreprocessor')
def det_data_preprocessor(
    mean: Sequence[float] | None,
    std: Sequence[float] | None,
    bgr_to_rgb: bool = False,
    **settings,
) -> DetDataPreprocessor:
    """Build mmdet's DetDataPreprocessor for images of any number of channels.

    mmdet's own constructor takes statistics of one or three channels, and with ``bgr_to_rgb`` keeps
    three of the channels; mmseg's and mmpretrain's preprocessors need no such help.

    Args:
        mean: of each channel, 0 to 255; None (of both) for mmdet's own way, without normalisation.
        std: of each channel, likewise.
        bgr_to_rgb: turn three channels around; others stay as they are.
        **settings: anything else that mmdet's takes.
    """
    from mmdet.models import DetDataPreprocessor  # heavy, and only detection needs it

    rgb = mean is None or len(mean) == 3
    built = DetDataPreprocessor(
        mean=mean if rgb else mean[:1],
        std=std if rgb else std[:1],
        bgr_to_rgb=bgr_to_rgb and rgb,
        **settings,
    )
    if not rgb:
        built.mean = torch.tensor(mean).view(-1, 1, 1)
        built.std = torch.tensor(std).view(-1, 1, 1)
    return built
