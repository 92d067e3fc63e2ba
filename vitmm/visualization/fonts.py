"""Letters of every script that the machine has a font for, in what matplotlib and Pillow write."""

import logging
import string
import warnings
from collections.abc import Iterable
from functools import cache

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from mmengine.logging import print_log
from PIL import ImageFont

_USUAL = tuple(mpl.rcParams['font.sans-serif'])  # DejaVu Sans, which comes with matplotlib
_needed: set[str] = set()


def prepare_letters(texts: Iterable[str]) -> None:
    """Have the letters of these texts, and of those before, in what is drawn from now on.

    The usual font stays as long as it has them all. Otherwise sans-serif becomes the font of this
    machine that has the most of them; which that lacks is said once, and these are drawn as boxes.
    """
    fresh = {letter for text in texts for letter in text if letter.isprintable()} - _needed
    if not fresh:
        return
    _needed.update(fresh)
    absent = fresh - _letters_of(_file())
    if not absent:
        return
    if files := _best(frozenset(_needed)):
        for file in files:
            font_manager.fontManager.addfont(file)
        mpl.rcParams['font.sans-serif'] = [FT2Font(files[0]).family_name, *_USUAL]
        font.cache_clear()
        absent = fresh - _letters_of(_file())
    if absent:
        # matplotlib would do so for each letter in each picture.
        warnings.filterwarnings('ignore', r'Glyph .* missing from', UserWarning)
        print_log(
            f'No font here has {"".join(sorted(absent))} beside the other letters: these '
            'are drawn as boxes. On Debian and Ubuntu, apt-get install fonts-noto-cjk brings '
            'Chinese, Japanese and Korean, fonts-noto-core most others.',
            logger='current',
            level=logging.WARNING,
        )


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """The same font for Pillow."""
    return ImageFont.truetype(_file(bold), size)


def _best(letters: frozenset[str]) -> list[str]:
    """The files of the machine's family that has the most of these letters, and those of English.

    A plain one without serifs where several have as many; none where there is no font.
    """
    families: dict[str, list[str]] = {}
    ranks: dict[str, tuple] = {}
    for file in sorted(font_manager.findSystemFonts()):
        try:
            name, found = FT2Font(file).family_name, _letters_of(file)
        except RuntimeError:  # a format that matplotlib has no use for
            continue
        families.setdefault(name, []).append(file)
        if found.issuperset(string.ascii_letters + string.digits):
            rank = (len(found & letters), 'Sans' in name, 'Mono' not in name)
            ranks[name] = max(rank, ranks.get(name, rank))
    return families[max(ranks, key=ranks.__getitem__)] if ranks else []


def _file(bold: bool = False) -> str:
    wanted = font_manager.FontProperties(family='sans-serif', weight='bold' if bold else 'normal')
    return font_manager.findfont(wanted)


@cache
def _letters_of(file: str) -> frozenset[str]:
    return frozenset(map(chr, FT2Font(file).get_charmap()))
