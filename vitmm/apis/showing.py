"""Pictures in windows, where there is a display."""

import os
import sys

import numpy as np

from vitmm.errors import ConfigError


def check_display() -> None:
    """Raise :class:`ConfigError` where no window can be opened."""
    displays = ('DISPLAY', 'WAYLAND_DISPLAY')
    if sys.platform == 'linux' and not any(os.environ.get(name) for name in displays):
        raise ConfigError('--show opens windows, and there is no display: look at --out instead.')


def show_picture(picture: np.ndarray, title: str) -> None:
    """Open a window with (H, W, 3) uint8 RGB, and wait until it is closed."""
    from mmengine.visualization import Visualizer

    Visualizer().show(picture, win_name=title)
