"""Drawing boxes with labels that the edges of the picture do not cut."""

from typing import TYPE_CHECKING, Any

from mmdet.visualization import DetLocalVisualizer

from vitmm.engine.quick_pictures import QuickPictures

if TYPE_CHECKING:
    from matplotlib.text import Text

_ROOM = 2  # pixels around the letters, which lie on a black ground


class DetVisualizer(QuickPictures, DetLocalVisualizer):
    """mmdet's DetLocalVisualizer, whose labels lie inside the picture as far as they fit."""

    def draw_texts(self, *args: Any, **kwargs: Any) -> Any:
        """Write as MMEngine's Visualizer does, then move what reaches over an edge inwards."""
        before = len(self.ax_save.texts)
        drawn = super().draw_texts(*args, **kwargs)
        for text in self.ax_save.texts[before:]:
            self._move_inside(text)
        return drawn

    def _move_inside(self, text: 'Text') -> None:
        box = text.get_window_extent(self.fig_save_canvas.get_renderer())  # pixels, from below
        right = _shift(box.x0, box.x1, self.width)
        down = _shift(self.height - box.y1, self.height - box.y0, self.height)
        x, y = text.get_position()
        text.set_position((x + right, y + down))


def _shift(start: float, end: float, size: int) -> float:
    """How far something must move to lie in 0 to ``size``, or at least begin there."""
    return max(min(0, size - _ROOM - end), _ROOM - start)
