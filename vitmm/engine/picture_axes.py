"""Axes of matplotlib's for pictures."""

from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.transforms import Bbox


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
