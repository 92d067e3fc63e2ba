"""Panels beside each other below a heading."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

from vitmm.visualization.fonts import font, prepare_letters
from vitmm.visualization.lettering import wrap

Colour = tuple[int, int, int]
_LEAST = 420  # pixels of a whole picture's width, for its heading
_GAP, _TEXT = 8, 14  # pixels


def compose(
    heading: str,
    words: str,
    panels: Sequence[tuple[str, np.ndarray]],
    legend: Sequence[tuple[str, Colour]] = (),
) -> np.ndarray:
    """Lay panels beside each other below a heading, on white.

    Args:
        heading: one line, in bold.
        words: more, in as many lines as it takes.
        panels: titles and pictures, (H, W, 3) uint8 RGB, all of one size.
        legend: names and colours.

    Returns:
        (H, W, 3) uint8.
    """
    prepare_letters(
        [heading, words, *(title for title, _ in panels), *(name for name, _ in legend)]
    )
    height, width = panels[0][1].shape[:2]
    columns = len(panels) if width < 3 * height else 1  # wide ones below each other
    rows = -(-len(panels) // columns)
    titled = _TEXT + 4 if any(title for title, _ in panels) else 0
    whole = max(_LEAST, columns * (width + _GAP) + _GAP)
    lines = [
        (line, letters)
        for text, letters in ((heading, font(14, bold=True)), (words, font(13)))
        if text
        for line in wrap(text, letters, whole - 2 * _GAP)
    ]
    keys = _lay_out(legend, whole)
    top = _GAP + 19 * (len(lines) + (keys[-1][1] + 1 if keys else 0)) + 4
    canvas = Image.new('RGB', (whole, top + rows * (titled + height + _GAP)), 'white')
    draw = ImageDraw.Draw(canvas)
    for number, (line, letters) in enumerate(lines):
        draw.text((_GAP, _GAP + 19 * number), line, 'black', letters)
    for x, row, name, colour in keys:
        y = _GAP + 19 * (len(lines) + row)
        draw.rectangle((x, y + 3, x + 10, y + 13), fill=colour, outline='black')
        draw.text((x + 15, y), name, 'black', font(12))
    for number, (title, panel) in enumerate(panels):
        row, column = divmod(number, columns)
        left, y = _GAP + column * (width + _GAP), top + row * (titled + height + _GAP)
        draw.text((left, y), title, '#555555', font(12))
        canvas.paste(Image.fromarray(panel), (left, y + titled))
    return np.asarray(canvas)


def _lay_out(
    legend: Sequence[tuple[str, Colour]], width: int
) -> list[tuple[float, int, str, Colour]]:
    """The place of each key: pixels from the left, and row."""
    found: list[tuple[float, int, str, Colour]] = []
    x, row = float(_GAP), 0
    for name, colour in legend:
        need = 15 + font(12).getlength(name) + 14
        if x > _GAP and x + need > width:
            x, row = float(_GAP), row + 1
        found.append((x, row, name, colour))
        x += need
    return found
