"""From raw images to what a model takes, inside the graph."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vitmm.errors import ConfigError
from vitmm.models.cells import cells


class Prepare(nn.Module):
    """Normalise and pad, as the model's data preprocessor does in testing.

    Args:
        preprocessor: mmpretrain's, mmdet's or mmseg's, or one of ours.
        channels: of the images.
        half: give float16; the arithmetic is in float32.

    Raises:
        ConfigError: it pads to a size of its own.
    """

    def __init__(self, preprocessor: nn.Module, channels: int, half: bool = False) -> None:
        super().__init__()
        mean, std = torch.zeros(channels, 1, 1), torch.ones(channels, 1, 1)
        if preprocessor._enable_normalize:
            mean = preprocessor.mean.detach().cpu().expand_as(mean).clone()
            std = preprocessor.std.detach().cpu().expand_as(std).clone()
        self.register_buffer('mean', mean)
        self.register_buffer('std', std)
        # The graph takes RGB; a model that was trained on what OpenCV reads wants BGR.
        turned = any(
            getattr(preprocessor, name, False)
            for name in ('channel_conversion', '_channel_conversion', 'to_rgb', 'turns_channels')
        )
        self.flip = channels == 3 and not turned
        told = getattr(preprocessor, 'test_cfg', None) or {}  # mmseg's
        if told.get('size'):
            raise ConfigError('an export pads to multiples only: data_preprocessor.test_cfg.size.')
        self.divisor = int(
            told.get('size_divisor') or getattr(preprocessor, 'pad_size_divisor', 1) or 1
        )
        self.value = float(getattr(preprocessor, 'pad_value', getattr(preprocessor, 'pad_val', 0)))
        self.half_precision = half

    def forward(self, images: Tensor) -> Tensor:
        """Raw images (N, C, H, W), 0 to 255, RGB -> normalised, H and W padded to multiples."""
        if self.flip:
            images = images.flip(1)
        images = (images - self.mean) / self.std
        height, width = images.shape[-2:]
        bottom, right = (cells(s, self.divisor) * self.divisor - s for s in (height, width))
        if bottom or right:
            images = F.pad(images, (0, right, 0, bottom), value=self.value)
        return images.half() if self.half_precision else images
