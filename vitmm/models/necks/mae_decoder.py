"""mmpretrain's decoder of masked autoencoders, by the size of the images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitmm.errors import ConfigError
from vitmm.registry import MODELS

if TYPE_CHECKING:
    from mmpretrain.models import MAEPretrainDecoder


@MODELS.register_module(name='MAEDecoder')
def mae_decoder(image_size: int, patch_size: int, **settings) -> MAEPretrainDecoder:
    """Build mmpretrain's MAEPretrainDecoder, which wants the number of patches.

    Args:
        image_size: side of the square images, pixels.
        patch_size: side of a patch: the backbone's stride.
        **settings: anything else that mmpretrain's takes.

    Raises:
        ConfigError: the images are no whole number of patches.
    """
    from mmpretrain.models import MAEPretrainDecoder  # heavy, and only this task needs it

    if image_size % patch_size:
        raise ConfigError(
            f'image_size={image_size} is no whole number of patches of {patch_size} pixels: take '
            f'{max(image_size // patch_size, 1) * patch_size}.'
        )
    return MAEPretrainDecoder((image_size // patch_size) ** 2, patch_size, **settings)
