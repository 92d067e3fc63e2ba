"""A picture of the embedded data set: scenes as they are, with their boxes, with their masks."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from vitmm.datasets.draw import CLASSES, Scene, draw_scene
from vitmm.datasets.formats import tight_box, write_jpeg
from vitmm.datasets.shapes import PALETTE, image_rng

ROW_HEIGHT = 220  # pixels
GAP = 6
SCENES = (2, 5, 7, 8, 9, 10)  # of the training split: many shapes, occlusion, textures


def write_picture(path: str | os.PathLike, indices: Iterable[int] = SCENES, seed: int = 0) -> Path:
    """Draw the training scenes ``indices`` of the set with this seed into one JPEG at ``path``."""
    scenes = [draw_scene(image_rng(seed, 'train', index)) for index in indices]
    rows = [
        _join([draw(scene) for scene in scenes], axis=1)
        for draw in (_plain, _with_boxes, _with_masks)
    ]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_jpeg(path, _join(rows, axis=0), quality=85)
    return path


def _plain(scene: Scene) -> np.ndarray:
    """The image at the height of a row, (ROW_HEIGHT, W, 3)."""
    import cv2

    scale = ROW_HEIGHT / scene.image.shape[0]
    size = round(scene.image.shape[1] * scale), ROW_HEIGHT
    return cv2.resize(scene.image, size, interpolation=cv2.INTER_AREA if scale < 1 else 2)


def _with_boxes(scene: Scene) -> np.ndarray:
    import cv2

    picture = _plain(scene)
    scale = ROW_HEIGHT / scene.image.shape[0]
    for label, mask in zip(scene.labels, scene.masks, strict=True):
        x1, y1, x2, y2 = (round(side * scale) for side in tight_box(mask))
        colour = PALETTE[label + 1]
        cv2.rectangle(picture, (x1, y1), (x2, y2), colour, 2)
    for label, mask in zip(scene.labels, scene.masks, strict=True):  # words above all boxes
        x1, y1, *_ = (round(side * scale) for side in tight_box(mask))
        _write_word(picture, CLASSES[label], (x1, y1), PALETTE[label + 1])
    return picture


def _write_word(picture: np.ndarray, word: str, corner: tuple[int, int], colour) -> None:
    """Write in black on a strip of ``colour`` that sits on the corner, inside the picture."""
    import cv2

    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 0.4
    (width, height), _ = cv2.getTextSize(word, font, scale, 1)
    x = min(max(corner[0] - 1, 0), picture.shape[1] - width - 5)
    y = max(corner[1], height + 6)
    cv2.rectangle(picture, (x, y - height - 6), (x + width + 4, y), colour, -1)
    cv2.putText(picture, word, (x + 2, y - 4), font, scale, (0, 0, 0), 1, cv2.LINE_AA)


def _with_masks(scene: Scene) -> np.ndarray:
    import cv2

    picture = _plain(scene)
    grey = picture.mean(2, keepdims=True) * 0.5 + 50
    picture = np.repeat(grey, 3, axis=2).astype(np.uint8)
    for label, mask in zip(scene.labels, scene.masks, strict=True):
        size = picture.shape[1], picture.shape[0]
        large = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) > 0.5
        picture[large] = picture[large] * 0.15 + np.array(PALETTE[label + 1]) * 0.85
        edges, _ = cv2.findContours(large.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, edges, -1, (255, 255, 255), 1, cv2.LINE_AA)
    return picture


def _join(pictures: list[np.ndarray], axis: int) -> np.ndarray:
    """Side by side (axis 1) or one above the other (axis 0), with a white gap between."""
    shape = list(pictures[0].shape)
    shape[axis] = GAP
    gap = np.full(shape, 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)][:-1]
    return np.concatenate(parts, axis)
