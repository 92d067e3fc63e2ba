"""What is asked of a COCO annotation file, and what can be wrong with it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf, nan
from typing import Any, NamedTuple

import numpy as np

from vitmm.datasets.boxes import Box
from vitmm.datasets.coco_masks import mask_fault
from vitmm.datasets.errors import REMEDY, DataError
from vitmm.datasets.json_files import file_state, shared_json

_SKIPPED = re.compile('^two images|no numbers of pixels$')
_MANY = 50_000  # annotations: to unpack the run lengths of more would take more than seconds


class Bad(NamedTuple):
    """Boxes or masks that are bad: how many, and what is wrong with the first."""

    count: int
    first: str


@dataclass(frozen=True)
class CocoFile:
    """What is kept of a COCO annotation file, which may be large."""

    classes: tuple[str, ...]  # in the order of the file, which is that of mmdet's labels
    file_names: tuple[str, ...]
    num_annotations: int
    num_masks: int
    stray_category: object  # that a box has and that is no category
    category_range: str
    faults: tuple[str, ...]  # of the file as a whole, without which nothing can be read
    num_small: int  # boxes with sides below a pixel
    bad_boxes: Bad  # without four numbers or area, or out of the image
    sizes: tuple[tuple[int, int], ...]  # (width, height) of the images that are given one


def read_coco(path: str | os.PathLike) -> CocoFile:
    """Read a COCO annotation file, once for as long as it does not change.

    Raises:
        DataError: It is missing, is not JSON, or has no images or categories.
    """
    return _read_coco(str(path), file_state(path))


def need_whole(path: str | os.PathLike, skipping: bool = False) -> CocoFile:
    """Read a file that mmdet can read.

    Args:
        path: of the file.
        skipping: pass over images of no size, and of one id, which can be left out.

    Raises:
        DataError: it lacks numbers, or has them twice; or as :func:`read_coco` does.
    """
    content = read_coco(path)
    faults = [one for one in content.faults if not (skipping and _SKIPPED.search(one))]
    if faults:
        said = f'{path} is not whole: {faults[0]}'
        said += f' (and {len(faults) - 1} more)' if faults[1:] else ''
        if faults[0].endswith('no area'):
            said += ': it is width times height of the bbox, or the pixels of the mask'
        elif _SKIPPED.search(faults[0]):
            said += f'; {REMEDY}'
        raise DataError(said)
    return content


def bad_masks(path: str | os.PathLike) -> Bad:
    """Which of its masks are no polygons or run lengths, or not of their image's size.

    Raises:
        DataError: as :func:`read_coco` does.
    """
    return _bad_masks(str(path), file_state(path))


@lru_cache(maxsize=8)
def _read_coco(path: str, state: tuple) -> CocoFile:
    content = shared_json(path)
    if not isinstance(content, dict):
        raise DataError(f'{path} is not in COCO format: a {type(content).__name__}, not an object')
    for key in ('images', 'categories'):
        if not isinstance(content.get(key), list) or not content[key]:
            raise DataError(f'{path} is not in COCO format: it has no {key}')
    annotations = content.get('annotations') or []
    try:
        classes = tuple(category['name'] for category in content['categories'])
        # LVIS gives a URL where others give a file name; that is not looked for.
        named = (i for i in content['images'] if 'file_name' in i or 'coco_url' not in i)
        file_names = tuple(image['file_name'] for image in named)
        known = {category['id'] for category in content['categories']}
        used = {annotation['category_id'] for annotation in annotations if annotation['bbox']}
        images = {image['id']: image for image in content['images']}
    except (KeyError, TypeError) as error:
        raise DataError(f'{path} is not in COCO format: an entry without {error}') from error
    boxes = _numbers([annotation['bbox'] for annotation in annotations])
    sizes = map(size_of, content['images'])
    return CocoFile(
        classes,
        file_names,
        len(annotations),
        sum(bool(annotation.get('segmentation')) for annotation in annotations),
        min(used - known, default=None, key=str),
        f'{min(known)} to {max(known)}',
        tuple(_faults(content)),
        _count_small(annotations, boxes),
        _bad_boxes(annotations, boxes, images),
        tuple(size for size in sizes if size),
    )


def _faults(content: dict) -> list[str]:
    """What mmdet could not read a COCO file for: numbers that are missing or there twice."""
    faults = []
    for kind, wanted in (('images', ('id', 'width', 'height')), ('annotations', ('id', 'area'))):
        things = content.get(kind) or []
        whole = all(key in one for key in wanted for one in things)
        whole = whole and (kind != 'images' or all(map(size_of, things)))
        if whole and len({one['id'] for one in things}) == len(things):
            continue
        seen = set()
        for number, one in enumerate(things):
            name = one.get('file_name') or f'{kind[:-1]} {one.get("id", f"number {number}")}'
            lacks = [key for key in wanted if key not in one]
            if lacks:
                faults.append(f'{name} has no {" and no ".join(lacks)}')
            elif kind == 'images' and size_of(one) is None:
                sides = f'{one["width"]!r} x {one["height"]!r}'
                faults.append(f'{name} is {sides}, which are no numbers of pixels')
            elif one['id'] in seen:
                faults.append(f'two {kind} have the id {one["id"]}')
            seen.add(one.get('id'))
    return faults


def size_of(image: Mapping[str, Any]) -> tuple[float, float] | None:
    """Width and height of an image's entry; None where they are no numbers above 0."""
    sides = image.get('width'), image.get('height')
    return sides if all(isinstance(side, int | float) and side > 0 for side in sides) else None


def _numbers(boxes: Sequence[Any]) -> np.ndarray | None:
    """Boxes as (N, 4) float64, for what is asked of all at once; None if some are none."""
    try:
        found = np.array(boxes, np.float64)
    except (TypeError, ValueError):
        return None
    return found if found.shape == (len(boxes), 4) else None


def _count_small(annotations: Sequence[dict], boxes: np.ndarray | None) -> int:
    if boxes is None:
        return sum(_is_small(annotation['bbox']) for annotation in annotations)
    least = boxes[:, 2:].min(axis=1)
    return int(((least > 0) & (least < 1)).sum())


def _is_small(box: object) -> bool:
    try:
        return 0 < min(float(side) for side in box[2:]) < 1
    except (TypeError, ValueError):
        return False


def _bad_boxes(
    annotations: Sequence[dict], boxes: np.ndarray | None, images: Mapping[Any, dict]
) -> Bad:
    if boxes is not None:
        annotations = [annotations[number] for number in _suspects(annotations, boxes, images)]
    faults = [fault for one in annotations if (fault := _box_fault(one, images))]
    return Bad(len(faults), next(iter(faults), ''))


def _suspects(
    annotations: Sequence[dict], boxes: np.ndarray, images: Mapping[Any, dict]
) -> np.ndarray:
    """The numbers of all boxes that :func:`_box_fault` may have something to say of."""
    sides = {i: size_of(one) or (inf, inf) for i, one in images.items()}
    none = (nan, nan)
    sizes = np.array([sides.get(one.get('image_id'), none) for one in annotations], np.float64)
    corners = boxes[:, :2]
    ends = corners + boxes[:, 2:]
    with np.errstate(invalid='ignore'):
        good = (corners >= -0.5) & (ends <= sizes + 0.5) & (ends > corners)
        good &= (ends > 0) & (corners < sizes)
    return np.flatnonzero(~good.all(axis=1))


def _box_fault(annotation: dict, images: Mapping[Any, dict]) -> str:
    box = annotation['bbox']
    name = f'box {annotation.get("id")}'
    image = images.get(annotation.get('image_id'))
    if image is None:
        return f'{name} is of image {annotation.get("image_id")}, not listed'
    try:
        left, top, width, height = map(float, box)
    except (TypeError, ValueError):
        return f'{name} has the bbox {box}, not 4 numbers'
    size = size_of(image) or (inf, inf)
    fault, _ = Box(0, name, left, top, left + width, top + height).fault(size)
    return f'{image.get("file_name")}: {fault}' if fault else ''


@lru_cache(maxsize=8)
def _bad_masks(path: str, state: tuple) -> Bad:
    content = shared_json(path)
    annotations = content.get('annotations') or []
    images = {image['id']: image for image in content['images']}
    whole = len(annotations) <= _MANY
    masked = (one for one in annotations if one.get('segmentation'))
    faults = [fault for one in masked if (fault := _mask_fault(one, images, whole))]
    return Bad(len(faults), next(iter(faults), ''))


def _mask_fault(annotation: dict, images: Mapping[Any, dict], whole: bool) -> str:
    image = images.get(annotation.get('image_id')) or {}
    fault = mask_fault(annotation['segmentation'], size_of(image), whole)
    return f'{image.get("file_name")}: box {annotation.get("id")} {fault}' if fault else ''
