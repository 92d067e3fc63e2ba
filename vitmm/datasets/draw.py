"""Drawing one scene of the embedded data set: a textured ground and shapes upon it.

The class of a shape is in its outline; sizes, textures, places and angles are drawn from the same
distributions for all of them. Colour is a hint, as it is with fruit: of 20 shapes, 19 have about
the hue that is typical of their class and one has any. So a small model can learn from nothing in
minutes, and one that mixes up the colour channels shows it. Shapes are vivid on a dull ground.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CLASSES = ('circle', 'triangle', 'rectangle', 'star', 'cross', 'ring')

TYPICAL = 0.95  # share of the shapes that have about their class's hue
HUE_SPREAD = 0.2  # standard deviation of a typical hue; the classes lie 1 apart, red is 0
MIN_CONTRAST = 110.0  # RGB distance of a fill from what lies beneath it
MIN_VISIBLE = 0.4  # share of a shape that is neither covered nor outside the image
PORTRAIT_TURN = np.pi / 6  # either way: 1800 images must be enough to learn from nothing
SUBPIXEL = 4  # cv2 takes corners as integers with this many binary digits after the point


@dataclass
class Scene:
    """One drawn image and what is in it.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        labels: n indices into ``CLASSES``.
        masks: n arrays (H, W) bool, the visible pixels of each shape; they do not overlap.
        truncated: n flags, True where a shape is partly covered or outside the image.
    """

    image: np.ndarray
    labels: list[int]
    masks: list[np.ndarray]
    truncated: list[bool]


def draw_scene(rng: np.random.Generator) -> Scene:
    """An image of 160 to 256 pixels a side with 1 to 7 shapes of 14 to 110 pixels."""
    height, width = rng.integers(160, 257, 2)
    canvas = _ground(rng, height, width)
    labels, masks, areas = [], [], []
    for _ in range(rng.integers(1, 8)):
        for _ in range(10):  # a place where it covers no other too far; else go without it
            label = int(rng.integers(len(CLASSES)))
            size = 14 * (110 / 14) ** (rng.uniform(0, 1) ** 0.6)  # more of them large than small
            place = rng.uniform(0, 1, 2) * (width, height)
            outline = _outline(rng, label, size, place)
            alpha, area = _coverage(outline, height, width)
            mask = alpha > 127
            beneath = [old & ~mask for old in masks]
            if np.count_nonzero(mask) < 0.6 * area or any(
                np.count_nonzero(old) < MIN_VISIBLE * old_area
                for old, old_area in zip(beneath, areas, strict=True)
            ):
                continue
            _paint(rng, canvas, alpha, outline, size, label)
            labels, masks, areas = [*labels, label], [*beneath, mask], [*areas, area]
            break
    if not labels:  # rare, and an image without a box helps nobody here
        return draw_scene(rng)
    truncated = [bool(m.sum() < 0.97 * a) for m, a in zip(masks, areas, strict=True)]
    return Scene(_develop(rng, canvas), labels, masks, truncated)


def draw_portrait(rng: np.random.Generator, label: int) -> Scene:
    """An image of 96 to 160 pixels a side with one large shape of the class ``label``."""
    height, width = rng.integers(96, 161, 2)
    canvas = _ground(rng, height, width)
    size = rng.uniform(0.55, 0.95) * min(height, width)
    place = (0.5 + rng.uniform(-0.1, 0.1, 2)) * (width, height)
    outline = _outline(rng, label, size, place, most_turn=PORTRAIT_TURN)
    alpha, area = _coverage(outline, height, width)
    _paint(rng, canvas, alpha, outline, size, label)
    mask = alpha > 127
    return Scene(_develop(rng, canvas), [label], [mask], [bool(mask.sum() < 0.97 * area)])


def _ground(rng, height, width):
    """(H, W, 3) float32: a colour, a gradient, noise of several scales, a pattern, strokes."""
    import cv2

    # All that is smooth is made on a coarse grid and enlarged once: drawing must be quick.
    size = int(width), int(height)
    rows, columns = height // 6 + 2, width // 6 + 2
    colour = rng.uniform(70, 190) + rng.uniform(-25, 25, 3)  # the ground is dull, shapes are not
    turn = rng.uniform(0, 2 * np.pi)
    slope = np.linspace(-0.5, 0.5, columns) * np.cos(turn)
    slope = slope + np.linspace(-0.5, 0.5, rows)[:, None] * np.sin(turn)
    smooth = (colour + slope[..., None] * _tint(rng, 45)).astype(np.float32)
    for cell in (1, 3, 10):
        noise = rng.standard_normal((rows // cell + 2, columns // cell + 2, 3), np.float32)
        noise = cv2.resize(noise, (int(columns), int(rows)), interpolation=cv2.INTER_CUBIC)
        smooth += noise.clip(-2, 2) * np.float32(rng.uniform(1, 8))
    canvas = cv2.resize(smooth, size, interpolation=cv2.INTER_CUBIC)
    if rng.random() < 0.6:
        canvas += _pattern(rng, height, width, rng.uniform(8, 40)) * _tint(rng, 18)
    for _ in range(rng.integers(0, 7)):
        curve = _bezier((rng.uniform(0, 1, 2) + rng.uniform(-0.2, 0.2, (3, 2))) * size)
        ink = colour + _tint(rng, 60)
        thickness = int(rng.integers(1, 4))
        cv2.polylines(canvas, [_fixed(curve)], False, ink.tolist(), thickness, 4, SUBPIXEL)
    return canvas


def _pattern(rng, height, width, period):
    """(H, W, 1) float32 in [-1, 1]: stripes or checks at any angle, hard or soft."""
    scale, turn = 2 * np.pi / period, rng.uniform(0, np.pi)
    xs = np.arange(width, dtype=np.float32) * np.float32(scale)
    ys = np.arange(height, dtype=np.float32)[:, None] * np.float32(scale)
    cos, sin = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    wave = np.sin(xs * cos + (ys * sin + np.float32(rng.uniform(0, 6))))
    if rng.random() < 0.5:
        wave *= np.sin(ys * cos - xs * sin)
    if rng.random() < 0.5:
        wave = np.clip(wave * 4, -1, 1)
    return wave[..., None]


def _tint(rng, most):
    """(3,) float32: how a texture moves the colour, mostly its brightness."""
    return (rng.uniform(-most, most) + rng.uniform(-most, most, 3) / 3).astype(np.float32)


def _outline(rng, label, size, place, most_turn=np.pi):
    """The closed curves, each (n, 2) float in pixels, of a shape ``size`` pixels across."""
    name = CLASSES[label]
    if name in ('circle', 'ring'):
        curves = [_ngon(48) * (1, rng.uniform(0.7, 1))]
        if name == 'ring':
            curves.append(curves[0] * rng.uniform(0.45, 0.65))
    elif name == 'triangle':
        curves = [_ngon(3) * (1, rng.uniform(0.8, 1.1))]
    elif name == 'rectangle':
        side = rng.uniform(0.5, 1)
        curves = [np.array([(1, side), (-1, side), (-1, -side), (1, -side)]) / np.hypot(1, side)]
    elif name == 'star':
        radii = np.where(np.arange(10) % 2, rng.uniform(0.38, 0.5), 1.0)
        curves = [_ngon(10) * radii[:, None]]
    else:  # cross
        a = rng.uniform(0.25, 0.38)
        quarter = np.array([(1, -a), (1, a), (a, a)])
        turns = ([[1, 0], [0, 1]], [[0, -1], [1, 0]], [[-1, 0], [0, -1]], [[0, 1], [-1, 0]])
        curves = [
            np.concatenate([quarter @ np.transpose(t) for t in turns]) * (1, rng.uniform(0.8, 1))
        ]
    turn = rng.uniform(-most_turn, most_turn)
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return [curve @ rotation.T * (size / 2) + place for curve in curves]


def _ngon(corners):
    turns = np.arange(corners) * (2 * np.pi / corners)
    return np.stack([np.cos(turns), np.sin(turns)], 1)


def _bezier(points):
    t = np.linspace(0, 1, 12)[:, None]
    return (1 - t) ** 2 * points[0] + 2 * t * (1 - t) * points[1] + t**2 * points[2]


def _fixed(curve):
    return np.round(curve * 2**SUBPIXEL).astype(np.int32)


def _coverage(outline, height, width):
    """How far a shape covers each pixel, (H, W) uint8, and its whole area in pixels."""
    import cv2

    alpha = np.zeros((height, width), np.uint8)
    cv2.fillPoly(alpha, [_fixed(c) for c in outline], 255, cv2.LINE_AA, SUBPIXEL)
    areas = [cv2.contourArea(c.astype(np.float32)) for c in outline]
    return alpha, areas[0] - sum(areas[1:])


def _paint(rng, canvas, alpha, outline, size, label):
    """Lay one shape on the canvas, in a colour that stands out from what is beneath."""
    import cv2

    left, top, width, height = cv2.boundingRect(alpha)
    window = slice(top, top + height), slice(left, left + width)
    beneath, cover = canvas[window], alpha[window]
    ground = np.array(cv2.mean(beneath, cover)[:3])
    colours = _vivid_colours(rng, 20, label)
    distances = np.linalg.norm(colours - ground, axis=1)
    colour = colours[np.argmax(np.minimum(distances, MIN_CONTRAST))]  # the first that is enough

    paint = np.empty_like(beneath)
    paint[:] = colour
    if rng.random() < 0.5:
        paint += _pattern(rng, height, width, max(5, size * rng.uniform(0.15, 0.5))) * _tint(
            rng, 20
        )
    if rng.random() < 0.5:  # light from one side
        light = np.linspace(-1, 1, width)[None, :] * rng.uniform(-1, 1)
        light = light + np.linspace(-1, 1, height)[:, None] * rng.uniform(-1, 1)
        paint += (14 * light[..., None]).astype(np.float32)
    if rng.random() < 0.5:
        rim = colour * 0.45 if rng.random() < 0.7 else colour * 0.4 + 150
        curves = [_fixed(c - (left, top)) for c in outline]
        thickness = int(np.clip(size * 0.06, 1, 4))
        cv2.polylines(paint, curves, True, rim.tolist(), thickness, cv2.LINE_8, SUBPIXEL)
    beneath += (paint - beneath) * (cover[..., None] / np.float32(255))


def _vivid_colours(rng, count, label):
    """(count, 3) float RGB, all of them saturated, of the class's hue or, seldom, of any."""
    typical = label * 6 / len(CLASSES) + rng.normal(0, HUE_SPREAD, (count, 1))
    hue = typical if rng.random() < TYPICAL else rng.uniform(0, 6, (count, 1))
    hue = hue + np.array([0, 4, 2])
    pure = np.clip(np.abs((hue % 6) - 3) - 1, 0, 1)
    saturation, value = rng.uniform(0.65, 1, (count, 1)), rng.uniform(100, 250, (count, 1))
    return value * (1 - saturation * (1 - pure))


def _develop(rng, canvas):
    """Grain over everything, then 8 bits."""
    grain = rng.standard_normal((*canvas.shape[:2], 1), np.float32)
    canvas = canvas + (grain * np.float32(rng.uniform(1, 6)) + np.float32(0.5))
    return np.clip(canvas, 0, 255, out=canvas).astype(np.uint8)
