"""MMEngine's Visualizer without what it does in vain: the same pixels in a fraction of the time."""

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from mmengine.dist import master_only
from mmengine.visualization import Visualizer
from mmengine.visualization.utils import (
    check_type,
    check_type_and_length,
    color_str2rgb,
    tensor2ndarray,
    value2list,
)

if TYPE_CHECKING:
    from vitmm.engine.picture_axes import PictureAxes

_FIGURE = ('fig_save_canvas', 'fig_save', 'ax_save', 'dpi')


class QuickPictures:
    """For visualizers of OpenMMLab's codebases, before them among the bases.

    For each picture MMEngine makes new ticks, labels and spines, which nobody sees, and has
    matplotlib resample the image to the size that it has; then it draws again what was drawn, and
    mixes the colour of a mask with the whole image. It imports matplotlib for a visualizer that
    draws nothing, too, as in most of a training; here that waits for the first picture.
    """

    ax_save: 'PictureAxes'

    def __init__(
        self, name: str = 'visualizer', image: np.ndarray | None = None, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(name, None, *args, **kwargs)
        for attribute in _FIGURE:
            self.__dict__.pop(attribute, None)  # what stands for them: see _initialize_fig
        if image is not None:
            self.set_image(image)

    def __getattr__(self, name: str) -> Any:
        if name not in _FIGURE:
            raise AttributeError(f'{type(self).__name__} has no {name}')
        self.fig_save_canvas, self.fig_save, self.ax_save = self._make_figure()
        self.dpi = self.fig_save.get_dpi()
        return getattr(self, name)

    def _initialize_fig(self, fig_cfg: dict[str, Any]) -> tuple:
        return None, _NoFigure(), None

    def _make_figure(self) -> tuple:
        from vitmm.engine.picture_axes import PictureAxes

        canvas, figure, axes = super()._initialize_fig(self.fig_save_cfg)
        axes.remove()
        axes = figure.add_subplot(axes_class=PictureAxes)
        axes.axis(False)
        return canvas, figure, axes

    @master_only
    def get_image(self) -> np.ndarray:
        """Return the picture, (H, W, 3) uint8 RGB; see MMEngine."""
        untouched = self.ax_save.untouched()
        return super().get_image() if untouched is None else untouched.copy()

    def draw_texts(self, texts: str | list[str], *args: Any, **kwargs: Any) -> Visualizer:
        """Write in letters of any script that this machine has a font for; see MMEngine."""
        from vitmm.visualization.fonts import prepare_letters

        prepare_letters([texts] if isinstance(texts, str) else texts)
        return super().draw_texts(texts, *args, **kwargs)

    def _is_posion_valid(self, position: np.ndarray) -> bool:
        """Crops and mosaics reach over edges: MMEngine would warn of each, in each picture."""
        return True

    @master_only
    def draw_binary_masks(
        self,
        binary_masks: np.ndarray | torch.Tensor,
        colors: str | tuple | list = 'g',
        alphas: float | list[float] = 0.8,
    ) -> Visualizer:
        """Draw (N, H, W) bool, or one (H, W), each in its colour, a name or R, G, B, 0 to 255; see
        MMEngine.

        Raises:
            ValueError: other numbers, or masks of another size than the image.
        """
        check_type('binary_masks', binary_masks, (np.ndarray, torch.Tensor))
        masks = np.atleast_3d(tensor2ndarray(binary_masks).T).T
        image = np.ascontiguousarray(self.get_image())
        if masks.dtype != bool or masks.shape[1:] != image.shape[:2]:
            raise ValueError(
                f'masks are bool, (N, {image.shape[0]}, {image.shape[1]}), '
                f'not {masks.dtype}, {masks.shape}.'
            )
        check_type_and_length('colors', colors, (str, tuple, list), len(masks))
        colors = value2list(colors, (str, tuple), len(masks))
        alphas = value2list(alphas, float, len(masks))
        for mask, color, alpha in zip(masks, colors, alphas, strict=False):  # some may be left
            x, y, width, height = cv2.boundingRect(mask.view(np.uint8))
            if not width:
                continue
            part = image[y : y + height, x : x + width]
            coloured = part.copy()
            coloured[mask[y : y + height, x : x + width]] = _rgb(color)
            part[:] = cv2.addWeighted(part, 1 - alpha, coloured, alpha, 0)
        whole = (0, self.width, self.height, 0)
        self.ax_save.imshow(image, extent=whole, interpolation='nearest')
        return self


class _NoFigure:
    """What MMEngine asks of the figure that is not made yet."""

    def get_dpi(self) -> None:
        return None


def _rgb(color: str | tuple) -> tuple:
    return color_str2rgb(color) if isinstance(color, str) else color
