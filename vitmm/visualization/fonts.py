"""Letters of every script that the machine has a font for, in what matplotlib and Pillow write."""

import logging
import string
import sys
import warnings
from collections.abc import Iterable
from functools import cache

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from mmengine.logging import print_log
from PIL import ImageFont

_USUAL = tuple(mpl.rcParams['font.sans-serif'])  # DejaVu Sans, which comes with matplotlib
_needed: set[str] = set()
_absent: set[str] = set()  # that no font has beside the others: looked for once


def prepare_letters(texts: Iterable[str]) -> None:
    """Have the letters of these texts, and of those before, in what is drawn from now on.

    The usual font stays as long as it has them all. Otherwise sans-serif becomes the font of this
    machine that has the most of them; that some have none is said once, and these are drawn as
    boxes.
    """
    letters = {letter for text in texts for letter in text if letter.isprintable()}
    _needed.update(letters)
    if not _letters_of(_file()).lacks(letters - _absent):
        return
    family, files = _best(_needed)
    if files:
        for file in files:
            font_manager.fontManager.addfont(file)
        mpl.rcParams['font.sans-serif'] = [family, *_USUAL]
        font.cache_clear()
    if lacking := _letters_of(_file()).lacks(_needed):
        if not _absent:
            # matplotlib would do so for each letter in each picture.
            warnings.filterwarnings('ignore', r'Glyph .* missing from', UserWarning)
            print_log(
                f'No font here has {"".join(sorted(lacking))} beside the other letters: such are '
                'drawn as boxes. On Debian and Ubuntu, apt-get install fonts-noto-cjk brings '
                'Chinese, Japanese and Korean, fonts-noto-core most others.',
                logger='current',
                level=logging.WARNING,
            )
        _absent.update(lacking)


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The same font for Pillow."""
    return ImageFont.truetype(_file(bold), size)


class _Letters:
    """Which letters a font has, a bit for each that there is."""

    def __init__(self, file: str) -> None:
        found = np.zeros(sys.maxunicode + 1, bool)
        found[list(FT2Font(file).get_charmap())] = True
        self.bits = np.packbits(found)

    def lacks(self, letters: Iterable[str]) -> set[str]:
        """Those of the letters that it has not."""
        return {one for one in letters if not self.bits[ord(one) >> 3] << (ord(one) & 7) & 128}


def _best(letters: Iterable[str]) -> tuple[str, list[str]]:
    """The machine's family with the most of these letters, and its files.

    A plain one without serifs where several have as many; none where none has more than the font
    that is used.
    """
    ranks = {
        name: (-len(_letters_of(files[0]).lacks(letters)), 'Sans' in name, 'Mono' not in name)
        for name, files in _families().items()
    }
    best = max(ranks, key=ranks.__getitem__, default='')
    if not best or -ranks[best][0] >= len(_letters_of(_file()).lacks(letters)):
        return '', []
    return best, _families()[best]


@cache
def _families() -> dict[str, list[str]]:
    """The files of the machine's families that have English letters, each one's plainest first."""
    found: dict[str, list[str]] = {}
    for file in sorted(font_manager.findSystemFonts()):
        try:
            one, letters = FT2Font(file), _letters_of(file)
        except RuntimeError:  # a format that matplotlib has no use for
            continue
        if not letters.lacks(string.ascii_letters + string.digits):
            plain = one.style_name in ('Regular', 'Book', 'Roman', 'Medium')
            found.setdefault(one.family_name, []).insert(0 if plain else 99, file)
    return found


def _file(bold: bool = False) -> str:
    wanted = font_manager.FontProperties(family='sans-serif', weight='bold' if bold else 'normal')
    return font_manager.findfont(wanted)


@cache
def _letters_of(file: str) -> _Letters:
    return _Letters(file)
