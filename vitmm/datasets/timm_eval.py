"""Images as timm brings them to a model when it is tested."""

from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from PIL import Image
from timm.data import create_transform

from vitmm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class TimmEval(BaseTransform):
    """timm's own resizing and cropping, pixel by pixel; ``mean`` and ``std`` come later.

    A model's published accuracy holds for its own size, interpolation and crop, which
    ``'${backbone.preprocessing}'`` tells.

    Args:
        size: (height, width) in pixels that the model gets.
        interpolation: ``'bicubic'``, ``'bilinear'``, ...
        crop_pct: the share of the resized image's side that is kept, above 0 and up to 1.
        crop_mode: ``'center'`` cuts the middle out of the image; ``'squash'`` resizes both sides
            alike before it does; ``'border'`` shows the whole image on a grey ground.
    """

    def __init__(
        self,
        size: Sequence[int],
        interpolation: str = 'bicubic',
        crop_pct: float = 0.875,
        crop_mode: str = 'center',
    ) -> None:
        self.settings = dict(
            input_size=tuple(size),
            interpolation=interpolation,
            crop_pct=crop_pct,
            crop_mode=crop_mode,
        )
        self.inner = create_transform(**self.settings, normalize=False)

    def transform(self, results: dict) -> dict:
        """Replace ``results['img']``, (H, W, C), RGB in the order BGR, by one of ``size``."""
        image = np.ascontiguousarray(results['img'])
        if image.dtype == np.uint8 and image.shape[2:] == (3,):
            # Tensors are resized a little differently.
            found = self.inner(Image.fromarray(image[..., ::-1])).flip(0)
        else:
            found = self.inner(torch.from_numpy(image).permute(2, 0, 1))
        results['img'] = found.permute(1, 2, 0).numpy()
        results['img_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'TimmEval({self.settings})'
