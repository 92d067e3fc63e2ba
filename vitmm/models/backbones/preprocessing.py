"""How timm brings an image to a model, and the statistics of its pixels."""

from collections.abc import Mapping, Sequence
from typing import Any

from timm.data import resolve_model_data_config
from torch import nn

from vitmm.models.backbones.twin import native_size


def to_channels(statistics: Sequence[float], in_chans: int) -> tuple[float, ...]:
    """Pixel statistics in 0 to 255; timm's three are repeated as it repeats pretrained stems."""
    scaled = [round(255 * value, 4) for value in statistics]
    return tuple(scaled[i % len(scaled)] for i in range(in_chans))


def preprocessing_of(model: nn.Module, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What timm's ``validate.py`` does to an image; a size that the model was given goes first.

    Returns:
        ``size`` (H, W) in pixels, ``interpolation``, ``crop_pct``, ``crop_mode``.
    """
    config = resolve_model_data_config(model, use_test_size=True)
    size = native_size(model, settings) if settings.get('img_size') else config['input_size'][-2:]
    kept = ('interpolation', 'crop_pct', 'crop_mode')
    return {'size': list(size), **{key: config[key] for key in kept}}
