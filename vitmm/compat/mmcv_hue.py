"""mmcv 2.x's ``adjust_hue`` under NumPy 2, which refuses a negative number as ``uint8``.

Half of all hues that mmpretrain's ColorJitter draws are negative.

Can go when ``adjust_hue`` takes the shift modulo 256.
"""

import sys
from functools import wraps
from types import ModuleType

import numpy as np

from vitmm.compat.after_import import after_import


def install() -> None:
    """Correct it when mmcv is imported; harmless when repeated."""
    after_import('mmcv.image.photometric', _correct)


class _Hue(float):
    """A part of the circle, whose steps are counted forwards, 0 to 255."""

    def __mul__(self, steps: int) -> int:
        return int(float(self) * steps) % 256


def _correct(module: ModuleType) -> None:
    stock = module.adjust_hue

    @wraps(stock)
    def adjust_hue(img: np.ndarray, hue_factor: float, backend: str | None = None) -> np.ndarray:
        return stock(img, _Hue(hue_factor), backend)

    for name in (module.__name__, 'mmcv.image', 'mmcv'):
        if getattr(sys.modules.get(name), 'adjust_hue', None) is stock:
            sys.modules[name].adjust_hue = adjust_hue
