"""Reading annotation files, with one clear error for each way in which they can be bad."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from math import inf
from pathlib import Path

from vitmm.datasets.boxes import Box
from vitmm.datasets.coco_masks import mask_fault
from vitmm.datasets.errors import DataError, MissingError

_MANY = 50_000  # annotations: to unpack the run lengths of more would take more than seconds
OWN_SETS = ('shapes', 'trees')  # that tools/prepare_data.py can make


def missing(what: str, path: str | os.PathLike) -> MissingError:
    """The error for a path that is not there; says how our own sets are made."""
    message = f'{what} not found: {path}'
    for name in OWN_SETS:
        parts = Path(path).parts
        if name in parts:
            out = Path(*parts[: parts.index(name) + 1])
            message += f'; make it with: python tools/prepare_data.py {name} --out {out}'
    error = MissingError(message)
    error.path = str(path)
    return error


def need_lvis() -> None:
    """Raise a DataError where the package that reads and measures LVIS is missing."""
    if not find_spec('lvis'):
        raise DataError("LVIS is read and measured by its own package: pip install 'vitmm[lvis]'")


def read_lines(path: str | os.PathLike) -> list[str]:
    """The lines of a text file that are not empty, without the space around them."""
    return [line.strip() for line in _lines(path) if line.strip()]


def read_names(path: str | os.PathLike) -> list[str]:
    """The same of a list of classes, which may begin with the mark that some editors write."""
    lines = read_lines(path)
    return [lines[0].removeprefix('\ufeff'), *lines[1:]] if lines else []


def _lines(path: str | os.PathLike) -> list[str]:
    try:
        text = Path(path).read_text(encoding='utf-8')
    except FileNotFoundError:
        raise missing('file', path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'cannot read {path}: {error}') from error
    return text.splitlines()


def odd_line(path: str | os.PathLike) -> str:
    """What is wrong with the first line that is empty or padded, '' if none is.

    mmdet takes all between two line breaks for a name.
    """
    for number, line in enumerate(_lines(path), 1):
        if not line or line != line.strip():
            what = 'has spaces around its name' if line.strip() else 'is empty'
            return f'line {number} {what}'
    return ''


def write_lines(path: Path, lines: Iterable[str]) -> None:
    """Write a text file of so many lines."""
    path.write_text(''.join(f'{line}\n' for line in lines), encoding='utf-8')


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
    bad_boxes: int  # without four numbers or area, or out of the image
    bad_box: str  # the first of these, and what is wrong with it
    bad_masks: int  # that are no polygons or run lengths, or not of the image's size
    bad_mask: str
    sizes: tuple[tuple[int, int], ...]  # (width, height) of the images that are given one


def read_coco(path: str | os.PathLike) -> CocoFile:
    """Read a COCO annotation file, once for as long as it does not change.

    Raises:
        DataError: It is missing, is not JSON, or has no images or categories.
    """
    try:
        status = os.stat(path)
    except OSError:
        raise missing('annotation file', path) from None
    return _read_coco(str(path), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=8)
def _read_coco(path: str, mtime: int, size: int) -> CocoFile:
    content = _read_json(path)
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
        sizes = {image['id']: image for image in content['images']}
    except (KeyError, TypeError) as error:
        raise DataError(f'{path} is not in COCO format: an entry without {error}') from error
    masks = sum(bool(annotation.get('segmentation')) for annotation in annotations)
    stray = min(used - known, default=None, key=str)
    known_as = f'{min(known)} to {max(known)}'
    faults = list(filter(None, (_coco_box_fault(one, sizes) for one in annotations)))
    whole = len(annotations) <= _MANY
    masked = (one for one in annotations if one.get('segmentation'))
    bad_masks = list(filter(None, (_coco_mask_fault(one, sizes, whole) for one in masked)))
    return CocoFile(
        classes,
        file_names,
        len(annotations),
        masks,
        stray,
        known_as,
        tuple(_coco_faults(content)),
        sum(_is_small(one.get('bbox')) for one in annotations),
        len(faults),
        faults[0] if faults else '',
        len(bad_masks),
        bad_masks[0] if bad_masks else '',
        tuple(
            (image['width'], image['height'])
            for image in content['images']
            if all(isinstance(image.get(side), int) for side in ('width', 'height'))
        ),
    )


def _coco_faults(content: dict) -> list[str]:
    """What mmdet could not read a COCO file for: numbers that are missing or there twice."""
    faults = []
    for kind, wanted in (('images', ('id', 'width', 'height')), ('annotations', ('id', 'area'))):
        seen = set()
        for number, one in enumerate(content.get(kind) or []):
            name = one.get('file_name') or f'{kind[:-1]} {one.get("id", f"number {number}")}'
            lacks = [key for key in wanted if key not in one]
            if lacks:
                faults.append(f'{name} has no {" and no ".join(lacks)}')
            elif one['id'] in seen:
                faults.append(f'two {kind} have the id {one["id"]}')
            seen.add(one.get('id'))
    return faults


def _is_small(box: object) -> bool:
    try:
        return 0 < min(float(side) for side in box[2:]) < 1
    except (TypeError, ValueError):
        return False


def _coco_box_fault(annotation: dict, images: dict) -> str:
    box = annotation['bbox']
    name = f'box {annotation.get("id")}'
    image = images.get(annotation.get('image_id'))
    if image is None:
        return f'{name} is of image {annotation.get("image_id")}, not listed'
    try:
        left, top, width, height = map(float, box)
    except (TypeError, ValueError):
        return f'{name} has the bbox {box}, not 4 numbers'
    size = (image.get('width', inf), image.get('height', inf))
    fault, _ = Box(0, name, left, top, left + width, top + height).fault(size)
    return f'{image.get("file_name")}: {fault}' if fault else ''


def _coco_mask_fault(annotation: dict, images: dict, whole: bool) -> str:
    image = images.get(annotation.get('image_id')) or {}
    size = (image['width'], image['height']) if {'width', 'height'} <= image.keys() else None
    fault = mask_fault(annotation['segmentation'], size, whole)
    return f'{image.get("file_name")}: box {annotation.get("id")} {fault}' if fault else ''


@dataclass(frozen=True)
class LabelFile:
    """A file of images with any number of labels each, in OpenMMLab's own format."""

    classes: tuple[str, ...] | None
    images: tuple[tuple[str, tuple[int, ...]], ...]  # path and labels


def read_labels(path: str | os.PathLike) -> LabelFile:
    """Read ``{"metainfo": {"classes": …}, "data_list": [{"img_path": …, "gt_label": […]}, …]}``.

    Raises:
        DataError: It is missing, is no such JSON, or lists no image.
    """
    content = _read_json(path)
    shown = f'{path} is not in the format of OpenMMLab: '
    if not isinstance(content, dict) or not {'metainfo', 'data_list'} <= content.keys():
        raise DataError(f'{shown}an object with metainfo and data_list')
    try:
        classes = content['metainfo'].get('classes')
        images = tuple(
            (e['img_path'], tuple(map(int, e['gt_label']))) for e in content['data_list']
        )
    except KeyError as error:
        raise DataError(f'{shown}an entry of its data_list has no {error}') from error
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f'{shown}gt_label is a list of whole numbers in each entry ({error})'
        ) from error
    if not images:
        raise DataError(f'{path} lists no image: its data_list is empty')
    return LabelFile(tuple(classes) if classes else None, images)


def _read_json(path: str | os.PathLike) -> object:
    try:
        return json.loads(Path(path).read_bytes())
    except FileNotFoundError:
        raise missing('annotation file', path) from None
    except json.JSONDecodeError as error:
        raise DataError(
            f'{path} is not readable JSON, line {error.lineno} column {error.colno} '
            f'({error.msg}); is the file whole?'
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'cannot read {path}: {error}') from error


def read_voc(path: str) -> ElementTree.Element:
    """The root of a VOC XML file."""
    try:
        return ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise missing('annotation file', path) from None
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(f'{path} is not readable XML: {error}') from error


def voc_names(root: ElementTree.Element) -> list[str]:
    """The class of every object of a VOC XML file."""
    return [thing.findtext('name', '') for thing in root.iter('object')]


def class_folders(folder: str) -> tuple[str, ...]:
    """The sub-folders of an image folder in mmpretrain's order, which is that of the labels.

    Hidden ones are none: see :mod:`vitmm.compat.hidden_folders`.
    """
    try:
        found = (entry.name for entry in os.scandir(folder) if entry.is_dir())
        return tuple(sorted(name for name in found if not name.startswith('.')))
    except FileNotFoundError:
        raise missing('image folder', folder) from None
    except OSError as error:
        raise DataError(f'cannot read {folder}: {error}') from error


def files_below(folder: str) -> Iterator[str]:
    """The paths of all files below a folder, in order, but what is hidden or in hidden folders."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        yield from (os.path.join(place, name) for name in sorted(names) if name[0] != '.')
