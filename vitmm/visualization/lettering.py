"""The letters of pictures."""

from functools import cache

from matplotlib import font_manager
from PIL import ImageFont


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """matplotlib's own font, which knows more letters than Pillow's."""
    wanted = font_manager.FontProperties(family='DejaVu Sans', weight='bold' if bold else 'normal')
    return ImageFont.truetype(font_manager.findfont(wanted), size)
