"""Pictures in windows."""

import os
import sys

import numpy as np

from vitmm.errors import ConfigError


def check_display() -> None:
    """Raise unless windows can be opened.

    Raises:
        ConfigError: there is no display.
    """
    displays = ('DISPLAY', 'WAYLAND_DISPLAY')
    if sys.platform == 'linux' and not any(os.environ.get(name) for name in displays):
        raise ConfigError('--show opens windows, and there is no display: look at --out instead.')


def show_picture(picture: np.ndarray, title: str) -> None:
    """Show (H, W, 3) uint8 RGB until the window is closed or a key is pressed."""
    from mmengine.visualization import Visualizer

    Visualizer().show(picture, win_name=title)
