"""What is wrong with a box."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite


@dataclass(frozen=True)
class Box:
    """A box in pixels, right and bottom edge excluded.

    Attributes:
        number: its place in the file, from 0.
        name: what to call it in a message.
        least: the sides, in pixels, below which mmdet leaves it out.
    """

    number: int
    name: str
    left: float
    top: float
    right: float
    bottom: float
    least: float = 0

    def fault(self, size: tuple[int, int]) -> tuple[str, bool]:
        """What is wrong with it in an image of ``size`` (width, height) pixels.

        Returns:
            The fault, '' if there is none; and whether nothing of the box is left in the image.
        """
        edges = (self.left, self.top, self.right, self.bottom)
        width, height = size
        if not all(map(isfinite, edges)) or self.right <= self.left or self.bottom <= self.top:
            fault, useless = 'has no area', True
        elif min(self.right, self.bottom) <= 0 or self.left >= width or self.top >= height:
            fault, useless = f'lies outside the image, {width} x {height} pixels', True
        elif min(self.right - self.left, self.bottom - self.top) < self.least:
            fault, useless = 'is smaller than a pixel: it is left out', True
        # Half a pixel for what annotation tools round.
        elif min(edges) < -0.5 or self.right > width + 0.5 or self.bottom > height + 0.5:
            fault, useless = f'reaches out of the image, {width} x {height} pixels', False
        else:
            return '', False
        return f'{self.name} ({", ".join(f"{edge:g}" for edge in edges)}) {fault}', useless
