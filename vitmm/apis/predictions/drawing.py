"""Truth and predictions on images, in colours that say what is wrong."""

from collections.abc import Sequence

import cv2
import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw
from pycocotools import mask as coco_masks
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

from vitmm.apis.predictions.layout import Colour
from vitmm.apis.predictions.matching import Objects
from vitmm.visualization.fonts import font, prepare_letters

_SHORT, _LONG = 240, 640  # pixels of a panel's sides
STATES: dict[str, Colour] = {
    'right': (26, 140, 70),
    'missed': (214, 39, 40),
    'background': (150, 20, 60),
    'class': (225, 105, 0),
    'twice': (130, 80, 200),
    'loose': (20, 105, 200),
    'loose and class': (200, 40, 140),
    'ignored': (120, 120, 120),
}


def fit(picture: np.ndarray) -> tuple[np.ndarray, float]:
    """Bring a picture to a size at which it can be looked at.

    Small ones are enlarged by a whole number, large ones made smaller.

    Returns:
        The picture, and by how much its sides were multiplied.
    """
    height, width = picture.shape[:2]
    factor: float = min(
        max(1, -(-_SHORT // min(height, width))), max(1, _LONG // max(height, width))
    )
    if max(height, width) > _LONG:
        factor = _LONG / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    how = cv2.INTER_NEAREST if factor >= 1 else cv2.INTER_AREA
    return cv2.resize(picture, size, interpolation=how), factor


def draw_objects(
    picture: np.ndarray,
    objects: Objects,
    names: Sequence[str],
    states: Sequence[str],
    factor: float,
) -> np.ndarray:
    """Boxes, and masks where there are any, each in the colour of its state.

    Args:
        picture: (H, W, 3) uint8 RGB, resized by ``factor``.
        objects: in pixels of the file.
        names: what is written at each.
        states: of each, a key of ``STATES``.
        factor: of the resizing.
    """
    if not len(objects.boxes):
        return picture
    image = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)
    colours = [STATES[state] for state in states]
    if objects.masks is not None:
        masks = [_resized(coco_masks.decode(one), picture.shape[:2]) for one in objects.masks]
        shown = torch.from_numpy(np.stack(masks).astype(bool))
        image = draw_segmentation_masks(image, shown, alpha=0.2, colors=colours)
    boxes = torch.from_numpy(np.asarray(objects.boxes, np.float64)) * factor
    height, width = picture.shape[:2]
    boxes[:, 0::2].clamp_(0, width - 1)
    boxes[:, 1::2].clamp_(0, height - 1)
    boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2])
    image = draw_bounding_boxes(image, boxes, colors=colours, width=2)
    drawn = Image.fromarray(image.permute(1, 2, 0).numpy())
    _write_names(drawn, boxes.tolist(), names, colours)
    return np.asarray(drawn)


def _write_names(
    picture: Image.Image,
    boxes: Sequence[Sequence[float]],
    names: Sequence[str],
    colours: Sequence[Colour],
) -> None:
    """Write each name on its box, inside the picture and away from the others where it can be."""
    prepare_letters(names)
    draw, letters = ImageDraw.Draw(picture), font(12)
    taken: list[tuple[float, float, float, float]] = []
    for (x1, y1, _, y2), name, colour in zip(boxes, names, colours, strict=True):
        width, height = draw.textlength(name, letters) + 4, 15
        left = min(max(0, x1), max(0, picture.width - width))
        places = [y1 - height, y2, y1, y2 - height]
        places = [min(max(0, top), picture.height - height) for top in places]
        rooms = [(left, top, left + width, top + height) for top in places]
        room = min(rooms, key=lambda one: sum(_common(one, other) for other in taken))
        taken.append(room)
        draw.rectangle(room, fill=colour)
        draw.text((room[0] + 2, room[1]), name, 'white', letters)


def _common(one: Sequence[float], other: Sequence[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0, width) * max(0, height)


def colour_regions(
    picture: np.ndarray, labels: np.ndarray, palette: Sequence[Colour], alpha: float = 0.55
) -> np.ndarray:
    """Lay the colours of classes over a picture, which becomes grey: its own would mislead.

    Args:
        picture: (H, W, 3) uint8 RGB.
        labels: (h, w), resized to the picture; without a colour in ``palette`` it stays as it is.
    """
    labels = _resized(labels, picture.shape[:2])
    table = np.zeros((max(len(palette), 1), 3), np.float32)
    table[: len(palette)] = palette
    known = (labels >= 0) & (labels < len(palette))
    colours = table[np.where(known, labels, 0)]
    grey = picture.mean(2, keepdims=True).repeat(3, 2) * 0.6 + 90
    mixed = grey * (1 - alpha) + colours * alpha
    return np.where(known[..., None], mixed, grey).round().astype(np.uint8)


def mark(
    picture: np.ndarray, wrong: np.ndarray, nothing: np.ndarray, size: Sequence[int]
) -> np.ndarray:
    """The picture, pale, with ``wrong`` in red and ``nothing`` in flat grey, both (h, w) bool."""
    grey = picture.mean(2, keepdims=True).repeat(3, 2) * 0.5 + 110
    for chosen, colour in ((nothing, (150, 150, 150)), (wrong, (214, 39, 40))):
        grey[_resized(chosen.astype(np.uint8), size) > 0] = colour
    return grey.clip(0, 255).astype(np.uint8)


def colour_values(
    values: np.ndarray, low: float, high: float, size: Sequence[int], name: str = 'viridis_r'
) -> np.ndarray:
    """(h, w) floats as colours from ``low`` to ``high``; NaN is black."""
    colours = matplotlib.colormaps[name].with_extremes(bad='black')
    scaled = (values - low) / max(high - low, 1e-9)
    shown = colours(np.ma.masked_invalid(scaled.clip(0, 1)), bytes=True)[..., :3]
    return _resized(shown, size)


def _resized(values: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """(h, w) or (h, w, 3) to (H, W) by nearest neighbours."""
    return cv2.resize(np.ascontiguousarray(values), size[::-1], interpolation=cv2.INTER_NEAREST)
