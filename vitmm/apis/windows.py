"""Pictures in windows."""

import os
import sys

import numpy as np

from vitmm.errors import ConfigError

_WINDOW = 1200, 760  # pixels at most


def check_display() -> None:
    """Raise unless windows can be opened.

    Raises:
        ConfigError: there is no display, or nothing that opens windows.
    """
    displays = ('DISPLAY', 'WAYLAND_DISPLAY')
    if sys.platform == 'linux' and not any(os.environ.get(name) for name in displays):
        raise ConfigError('--show opens windows, and there is no display: look at --out instead.')
    import matplotlib.pyplot as plt
    from matplotlib.backends import BackendFilter, backend_registry

    # Without a toolkit matplotlib draws into memory, and waits for ever for a window to be closed.
    backend = plt.get_backend().lower()
    if backend in backend_registry.list_builtin(BackendFilter.NON_INTERACTIVE):
        raise ConfigError(
            f'--show opens windows by matplotlib, whose backend here is {backend}, which has none: '
            'install a toolkit (pip install PyQt6, or python3-tk of the system), unset MPLBACKEND, '
            'or look at --out instead.'
        )


def show_picture(picture: np.ndarray, title: str) -> None:
    """Show (H, W, 3) uint8 RGB until the window is closed or the space key is pressed."""
    import matplotlib.pyplot as plt
    from mmengine.visualization.utils import wait_continue

    height, width = picture.shape[:2]
    factor = min(_WINDOW[0] / width, _WINDOW[1] / height, 3)  # small ones are enlarged
    # MMEngine's own window has the picture in the middle of a white page.
    figure = plt.figure(title, (width * factor / 100, height * factor / 100), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis(False)
    axes.imshow(picture)
    wait_continue(figure)
    plt.close(figure)
