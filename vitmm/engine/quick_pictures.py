"""MMEngine's Visualizer without what it does in vain: the same pixels in a fraction of the time."""

from typing import Any

import cv2
import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.transforms import Bbox
from mmengine.dist import master_only
from mmengine.visualization import Visualizer
from mmengine.visualization.utils import (
    check_type,
    check_type_and_length,
    color_str2rgb,
    tensor2ndarray,
    value2list,
)

from vitmm.visualization.fonts import prepare_letters


class QuickPictures:
    """For visualizers of OpenMMLab's codebases, before them among the bases.

    For each picture MMEngine makes new ticks, labels and spines, which nobody sees, and has
    matplotlib resample the image to the size that it has; then it draws again what was drawn, and
    mixes the colour of a mask with the whole image.
    """

    ax_save: 'PictureAxes'

    def _initialize_fig(self, fig_cfg: dict[str, Any]) -> tuple:
        canvas, figure, axes = super()._initialize_fig(fig_cfg)
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


def _rgb(color: str | tuple) -> tuple:
    return color_str2rgb(color) if isinstance(color, str) else color


class PictureAxes(Axes):
    """Axes for an image that is as large as its figure, and what is drawn upon it."""

    _made = False

    def clear(self) -> None:
        """Take away what was drawn; how axes look is never changed here."""
        if not self._made:
            super().clear()
            self._made = True
        # Artists of a copy would remove themselves from the axes that were copied.
        self._children.clear()
        self.dataLim.set_points(Bbox.null().get_points())
        self.ignore_existing_data_limits = True
        self.set_autoscale_on(True)

    def imshow(self, image: np.ndarray, **kwargs: Any) -> Any:
        """Show an image in place of the one before; see matplotlib."""
        height, width = image.shape[:2]
        whole = dict(extent=(0, width, height, 0), interpolation=kwargs.get('interpolation'))
        if (
            kwargs != whole
            or image.dtype != np.uint8
            or image.shape[2:] != (3,)
            or self.figure.canvas.get_width_height() != (width, height)
        ):
            return super().imshow(image, **kwargs)
        seen = [artist for artist in self._children if not isinstance(artist, _Pixels)]
        self._children[:] = seen
        self.set(aspect='equal', xlim=(0, width), ylim=(height, 0))
        return self.add_artist(_Pixels(image))

    def untouched(self) -> np.ndarray | None:
        """The image, (H, W, 3) uint8, while nothing is drawn upon it."""
        first, *more = self._children or [None]
        return first.image if isinstance(first, _Pixels) and not more else None


class _Pixels(Artist):
    """An image, (H, W, 3) uint8, on a canvas of its size."""

    def __init__(self, image: np.ndarray) -> None:
        super().__init__()
        self.image = image

    def draw(self, renderer: RendererBase) -> None:
        height, width = self.image.shape[:2]
        pixels = np.full((height, width, 4), 255, np.uint8)
        pixels[..., :3] = self.image[::-1]  # from below
        context = renderer.new_gc()
        renderer.draw_image(context, 0, 0, pixels)
        context.restore()
        self.stale = False
