"""Letters that matplotlib's own font lacks, in fonts that are made here."""

import string
import warnings

import matplotlib as mpl
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager
from mmengine.visualization import Visualizer

from vitmm.engine.quick_pictures import QuickPictures
from vitmm.visualization import fonts
from vitmm.visualization.panels import _caption


class Pictures(QuickPictures, Visualizer):
    pass


def make_font(path, family, letters, style='Regular'):
    """A font whose letters are all the same square."""
    names = ['.notdef', *(f'u{ord(letter):04x}' for letter in letters)]
    builder = FontBuilder(1000)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({ord(letter): f'u{ord(letter):04x}' for letter in letters})
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 700), (800, 700), (800, 0)):
        pen.lineTo(corner)
    pen.closePath()
    builder.setupGlyf(dict.fromkeys(names, pen.glyph()))
    builder.setupHorizontalMetrics(dict.fromkeys(names, (900, 100)))
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable(dict(familyName=family, styleName=style))
    builder.setupOS2(usWeightClass=700 if style == 'Bold' else 400)
    builder.setupPost()
    builder.save(path)
    return str(path)


@pytest.fixture
def machine(monkeypatch):
    """A function that says which fonts the machine has; all is as it was when the test ends."""
    monkeypatch.setattr(fonts, '_needed', set())
    monkeypatch.setattr(fonts, '_absent', set())
    fonts._families.cache_clear()
    monkeypatch.setattr(font_manager.fontManager, 'ttflist', [*font_manager.fontManager.ttflist])
    with mpl.rc_context(), warnings.catch_warnings():
        yield lambda *files: monkeypatch.setattr(font_manager, 'findSystemFonts', lambda: files)
    fonts.font.cache_clear()
    fonts._families.cache_clear()


LATIN = string.ascii_letters + string.digits + string.punctuation + ' '


def test_the_font_with_the_most_letters_is_taken(machine, tmp_path):
    wide = make_font(tmp_path / 'a.ttf', 'Wide Sans', LATIN + 'äдом名前건')
    bold = make_font(tmp_path / 'b.ttf', 'Wide Sans', LATIN + 'äдом名前건', 'Bold')
    machine(
        make_font(tmp_path / 'c.ttf', 'Narrow Sans', LATIN + '名'),
        make_font(tmp_path / 'd.ttf', 'Wide Serif', LATIN + 'äдом名前건'),
        make_font(tmp_path / 'e.ttf', 'Symbols', '名前건물'),
        bold,
        wide,
    )
    fonts.prepare_letters(['Gebäude', 'дом'])
    assert fonts.font(12).path.endswith('DejaVuSans.ttf')
    fonts.prepare_letters(['名前', 'house'])
    assert (fonts.font(12).path, fonts.font(12, bold=True).path) == (wide, bold)
    fonts.prepare_letters(['건'])  # what was there before stays
    assert fonts.font(12).path == wide


def test_letters_that_were_there_stay(machine, tmp_path):
    georgian = '\N{GEORGIAN LETTER AN}\N{GEORGIAN LETTER BAN}'
    machine(
        make_font(tmp_path / 'a.ttf', 'Poor Sans', LATIN),
        make_font(tmp_path / 'b.ttf', 'Han Sans', LATIN + '名'),
    )
    fonts.prepare_letters([georgian])
    usual = fonts.font(12).path
    fonts.prepare_letters(['名'])  # which Han Sans has, but not the two
    fonts.prepare_letters(['前'])
    assert fonts.font(12).path == usual
    with mpl.rc_context():
        fonts.prepare_letters(['house'])
    assert fonts.font(12).path == usual


def test_pictures_have_the_letters(machine, tmp_path):
    machine(make_font(tmp_path / 'a.ttf', 'Square Sans', LATIN + '名前'))
    warnings.simplefilter('error')  # matplotlib warns of a letter that is not there
    square = np.asarray(_caption('名', 60))
    assert square.min() == 0 and np.array_equal(
        square, _caption('前', 60)
    )  # all letters of this font are
    pictures = Pictures(image=np.zeros((40, 80, 3), np.uint8))
    pictures.draw_texts(['名前'], np.array([[5, 5]]), colors='w', font_sizes=12)
    assert (pictures.get_image() > 200).sum() > 100


def test_letters_that_no_font_has_are_told_of_once(machine, monkeypatch):
    told = []
    monkeypatch.setattr(fonts, 'print_log', lambda message, **_: told.append(message))
    machine()
    warnings.simplefilter('error')
    for text in ('名前', 'house', '名前', *'赤い箱'):
        fonts.prepare_letters([text])
    assert np.asarray(_caption('名前', 60)).min() < 100  # boxes
    pictures = Pictures(image=np.zeros((40, 80, 3), np.uint8))
    pictures.draw_texts('名前', np.array([5, 5]), colors='w', font_sizes=12)
    pictures.get_image()
    (message,) = told
    assert message.startswith('No font here has 前名 ') and 'fonts-noto-cjk' in message
