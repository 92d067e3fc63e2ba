"""Masks and boxes in the words of COCO, Pascal VOC and segmentation images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

JPEG_QUALITY = 95


def tight_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """(x1, y1, x2, y2) in pixels around the True pixels of (H, W) bool, x2 and y2 exclusive."""
    xs, ys = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1


def run_lengths(mask: np.ndarray) -> dict:
    """COCO's RLE of (H, W) bool: lengths of runs of 0 and 1 by turns, down the columns."""
    flat = mask.ravel(order='F')
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    start = [0, 0] if flat[0] else [0]  # the first run is of zeros, be it of length 0
    counts = np.diff(np.concatenate([start, edges, [flat.size]]))
    return {'size': list(mask.shape), 'counts': counts.tolist()}


def coco_annotation(id: int, image_id: int, category_id: int, mask: np.ndarray) -> dict:
    """The COCO annotation of one instance from its visible pixels, (H, W) bool."""
    x1, y1, x2, y2 = tight_box(mask)
    return {
        'id': id,
        'image_id': image_id,
        'category_id': category_id,
        'bbox': [float(x1), float(y1), float(x2 - x1), float(y2 - y1)],
        'area': int(np.count_nonzero(mask)),
        'segmentation': run_lengths(mask),
        'iscrowd': 0,
    }


def voc_xml(
    file_name: str,
    size: tuple[int, int],
    names: Sequence[str],
    masks: Sequence[np.ndarray],
    truncated: Sequence[bool],
) -> str:
    """The Pascal VOC annotation of an image of ``size`` (height, width)."""
    lines = [
        '<annotation>',
        '  <folder>JPEGImages</folder>',
        f'  <filename>{escape(file_name)}</filename>',
        f'  <size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>',
        '  <segmented>1</segmented>',
    ]
    for name, mask, is_truncated in zip(names, masks, truncated, strict=True):
        x1, y1, x2, y2 = tight_box(mask)  # VOC counts from 1 and includes the last pixel
        lines += [
            '  <object>',
            f'    <name>{escape(name)}</name>',
            f'    <truncated>{int(is_truncated)}</truncated>',
            '    <difficult>0</difficult>',
            f'    <bndbox><xmin>{x1 + 1}</xmin><ymin>{y1 + 1}</ymin>'
            f'<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox>',
            '  </object>',
        ]
    return '\n'.join([*lines, '</annotation>', ''])


def write_jpeg(path: Path, image: np.ndarray, quality: int = JPEG_QUALITY) -> None:
    """Write (H, W, 3) uint8 RGB; raises OSError where ``cv2.imwrite`` would only return False."""
    import cv2

    done, data = cv2.imencode('.jpg', image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise OSError(f'cannot encode {path}')
    path.write_bytes(data.tobytes())


def write_palette_png(
    path: Path, indices: np.ndarray, palette: Sequence[tuple[int, int, int]]
) -> None:
    """Write (H, W) uint8 class indices as a PNG in which index i shows as ``palette[i]``."""
    from PIL import Image

    picture = Image.fromarray(indices)
    picture.putpalette(np.array(palette, np.uint8).tobytes())  # mode P: the indices stay
    picture.save(path)
