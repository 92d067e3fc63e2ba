"""The letters of pictures, and lines of them."""

from functools import cache

from matplotlib import font_manager
from PIL import ImageFont


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """matplotlib's own font, which knows more letters than Pillow's."""
    wanted = font_manager.FontProperties(family='DejaVu Sans', weight='bold' if bold else 'normal')
    return ImageFont.truetype(font_manager.findfont(wanted), size)


def wrap(text: str, letters: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """The lines, one at least, of a text that fit into ``width`` pixels."""
    lines = ['']
    for word in text.split():
        longer = f'{lines[-1]} {word}' if lines[-1] else word
        if letters.getlength(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append('')
        for letter in word:  # a word longer than a line is broken
            if lines[-1] and letters.getlength(lines[-1] + letter) > width:
                lines.append('')
            lines[-1] += letter
    return lines
