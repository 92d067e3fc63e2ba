"""Drawing classes on images of any number of channels."""

import numpy as np
from mmpretrain.visualization import UniversalVisualizer

from vitmm.engine.quick_pictures import QuickPictures
from vitmm.engine.viewing import to_picture


class ClsVisualizer(QuickPictures, UniversalVisualizer):
    """mmpretrain's UniversalVisualizer, whose hook hands over images as the model gets them."""

    def visualize_cls(self, image: np.ndarray, *args, **kwargs) -> np.ndarray:
        """Draw on the first three bands of (H, W, channels) uint8, or on the first as grey."""
        return super().visualize_cls(to_picture(image), *args, **kwargs)
