"""Maps laid on pictures, pictures with captions, and boards of them."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw

from vitmm.visualization.fonts import font, prepare_letters
from vitmm.visualization.lettering import wrap

_GAP = 10  # pixels between panels
_LEAST = 150  # pixels across, of what stands below words
_TEXT = 14  # height of the letters


def spread(
    values: np.ndarray, pitch: tuple[float, float], size: tuple[int, int], smooth: bool = False
) -> np.ndarray:
    """Lay the cells of a map onto pixels: cell (i, j) has its middle at ((i, j) + 1/2) * pitch.

    Args:
        values: (h, w) or (h, w, channels).
        pitch: pixels (down, across) from one cell to the next.
        size: (H, W) in pixels; what lies beyond is cut off, as padding is.
        smooth: bilinear between the middles of cells, instead of cells with edges.

    Returns:
        (H, W) or (H, W, channels) float32.
    """
    values = np.ascontiguousarray(values, np.float32)
    ys, xs = ((np.arange(n) + 0.5) / p for n, p in zip(size, pitch, strict=True))
    if not smooth:
        rows, columns = (
            np.minimum(at.astype(int), n - 1)
            for at, n in zip((ys, xs), values.shape[:2], strict=True)
        )
        return values[rows][:, columns]
    xs, ys = np.meshgrid(xs.astype(np.float32) - 0.5, ys.astype(np.float32) - 0.5)
    return cv2.remap(values, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values from ``low`` to ``high`` as 0 to 1; what lies beyond is cut off."""
    return np.clip((values - low) / max(high - low, 1e-12), 0, 1)


def heat(values: np.ndarray, colours: int = cv2.COLORMAP_VIRIDIS) -> np.ndarray:
    """Values from 0 to 1 as one of OpenCV's colour maps: (H, W) to (H, W, 3) uint8 RGB."""
    return cv2.applyColorMap((255 * values).round().astype(np.uint8), colours)[..., ::-1]


def overlay(picture: np.ndarray, values: np.ndarray, alpha: float) -> np.ndarray:
    """Values over a picture: from blue and faint, 0, to red, 1.

    Args:
        picture: (H, W, 3) uint8.
        values: (H, W), 0 to 1.
        alpha: of the colour where the value is 1; of 0 it has a third of that.
    """
    share = (alpha * (1 + 2 * values) / 3)[..., None]
    mixed = picture * (1 - share) + heat(values, cv2.COLORMAP_TURBO) * share
    return mixed.round().astype(np.uint8)


def boxed(picture: np.ndarray, boxes: np.ndarray, scale: float) -> np.ndarray:
    """A picture with boxes (k, 4), x1 y1 x2 y2, each number times ``scale``."""
    drawn = np.ascontiguousarray(picture)
    for x1, y1, x2, y2 in (boxes * scale).round().astype(int).tolist():
        for colour, width in ((0, 0, 0), 3), ((255, 255, 255), 1):
            cv2.rectangle(drawn, (x1, y1), (x2, y2), colour, width, cv2.LINE_AA)
    return drawn


def outlined(picture: np.ndarray, region: np.ndarray) -> np.ndarray:
    """A picture (H, W, 3) with the outline of a region, (h, w) bool, resized to it."""
    drawn = np.ascontiguousarray(picture)
    mask = cv2.resize(region.astype(np.uint8), drawn.shape[1::-1], interpolation=cv2.INTER_NEAREST)
    lines, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    for colour, width in ((0, 0, 0), 3), ((255, 255, 255), 1):
        cv2.drawContours(drawn, lines, -1, colour, width, cv2.LINE_AA)
    return drawn


def board(rows: Sequence[Sequence[tuple[np.ndarray, str]]], title: str = '') -> np.ndarray:
    """Lay captioned pictures out on white, row by row.

    Args:
        rows: pictures (H, W, 3) uint8 and their captions, which are wrapped to the picture's width
            and stand above it.
        title: over all.

    Returns:
        (H, W, 3) uint8.
    """
    drawn = [_row(row) for row in rows if row]
    width = max(row.shape[1] for row in drawn)
    if title:
        drawn.insert(0, _pad(_caption(title, width - 2 * _GAP, bold=True), width))
    drawn = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=255)
             for row in drawn]  # fmt: skip
    return np.vstack(drawn)


def _row(panels: Sequence[tuple[np.ndarray, str]]) -> np.ndarray:
    panels = [(_widened(picture), text) for picture, text in panels]
    captions = [_caption(text, picture.shape[1]) for picture, text in panels]
    above = max(caption.shape[0] for caption in captions)
    below = max(picture.shape[0] for picture, _ in panels)
    columns = []
    for (picture, _), caption in zip(panels, captions, strict=True):
        column = np.full((above + below + 2 * _GAP, picture.shape[1] + 2 * _GAP, 3), 255, np.uint8)
        top = _GAP + above - caption.shape[0]
        column[top : _GAP + above, _GAP:-_GAP] = caption
        column[_GAP + above : _GAP + above + picture.shape[0], _GAP:-_GAP] = picture
        columns.append(column)
    return np.hstack([c[:, _GAP // 2 : -_GAP // 2] for c in columns])


def _widened(picture: np.ndarray) -> np.ndarray:
    rest = max(0, _LEAST - picture.shape[1])
    return np.pad(picture, ((0, 0), (0, rest), (0, 0)), constant_values=255)


def _pad(picture: np.ndarray, width: int) -> np.ndarray:
    rest = width - picture.shape[1] - _GAP
    return np.pad(picture, ((_GAP, 0), (_GAP, rest), (0, 0)), constant_values=255)


def _caption(text: str, width: int, bold: bool = False) -> np.ndarray:
    """Text on white, (h, width, 3) uint8, in as many lines as it takes."""
    prepare_letters([text])
    letters = font(_TEXT, bold)
    lines = wrap(text, letters, width)
    image = Image.new('RGB', (width, (_TEXT + 5) * len(lines)), 'white')
    drawing = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        drawing.text((0, number * (_TEXT + 5)), line, 'black', letters)
    return np.asarray(image)
