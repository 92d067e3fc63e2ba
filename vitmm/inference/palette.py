"""A colour for each class."""

from collections.abc import Sequence

import numpy as np


def colours(
    palette: Sequence[Sequence[int]] | None, classes: Sequence[str] | None
) -> list[tuple[int, int, int]]:
    """One colour (R, G, B), 0 to 255, for each class: the palette's, or Pascal VOC's.

    Args:
        palette: as the data set gives it; None or too short to leave the choice here.
        classes: names.
    """
    number = len(classes or ())
    if palette is not None and not isinstance(palette, str) and len(palette) >= number:
        return [tuple(int(part) for part in colour) for colour in palette]
    return [voc_colour(label) for label in range(number)]


def voc_colour(label: int) -> tuple[int, int, int]:
    """The colour of a label in Pascal VOC's masks: its bits, spread over the three channels."""
    bits = np.unpackbits(np.array([label & 255], np.uint8), bitorder='little')
    colour = [0, 0, 0]
    for place, bit in enumerate(bits):
        colour[place % 3] |= int(bit) << (7 - place // 3)
    return tuple(colour)
