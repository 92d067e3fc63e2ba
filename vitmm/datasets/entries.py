"""What a data set's own files say of each of its images, the bad included."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from vitmm.datasets.boxes import Box
from vitmm.datasets.coco_file import read_coco, size_of
from vitmm.datasets.coco_masks import mask_fault
from vitmm.datasets.errors import DataError
from vitmm.datasets.files import class_folders, files_below, odd_line, read_lines, read_voc
from vitmm.datasets.json_files import shared_json
from vitmm.datasets.label_file import read_labels
from vitmm.datasets.listing import IMAGE_SUFFIXES, image_suffix, mask_paths, mask_suffix
from vitmm.datasets.sources import Source, voc_files


@dataclass
class Entry:
    """What the annotations say of one image.

    Attributes:
        image: its path.
        size: (width, height) in pixels that they give it, or None.
        labels: the names of its classes, one for each box or one for the image.
        boxes: of detection.
        mask: the path of its mask, or None.
        depth: the path of its depth map, or None.
        faults: what is wrong with the image or its file, already without opening it.
        box_faults: what is wrong with a box or its mask, by its number in the file, likewise.
        is_image: False where ``image`` is another file or folder, which has the faults.
    """

    image: str
    size: tuple[int, int] | None = None
    labels: list[str] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    mask: str | None = None
    depth: str | None = None
    faults: list[str] = field(default_factory=list)
    box_faults: dict[int, str] = field(default_factory=dict)
    is_image: bool = True


def read_entries(source: Source, classes: Sequence[str], scope: str | None) -> list[Entry]:
    """All images of a data set.

    Args:
        source: where its files are.
        classes: the names of its classes, in the order of the labels.
        scope: the config file's ``default_scope``.

    Raises:
        DataError: an annotation file that cannot be read at all, or a format not known here.
    """
    if source.kind in ('seg', 'depth'):
        return _seg(source, scope)
    readers: dict[str, Callable[[Source, Sequence[str]], list[Entry]]] = {
        'coco': _coco,
        'voc': _voc,
        'folder': _folder,
        'multilabel': _multilabel,
    }
    if source.kind not in readers or not source.local:
        raise DataError(
            f'{source.type}: only files on this machine in the formats of COCO, Pascal VOC, image '
            'folders, lists of labels and folders of masks or depth maps can be checked'
        )
    return readers[source.kind](source, classes)


def _seg(source: Source, scope: str | None) -> list[Entry]:
    if source.kind == 'depth':
        return [Entry(image, depth=depth) for image, depth in mask_paths(source, scope)]
    entries = [Entry(image, mask=mask) for image, mask in mask_paths(source, scope)]
    if source.ann_file or entries[0].mask is None:
        return entries  # a list may name some of the masks
    ending, suffix = mask_suffix(source, scope), image_suffix(source, scope)
    images, masks = source.folders['img_path'], source.folders['seg_map_path']
    others = {os.path.splitext(path)[0]: path for path in files_below(images)}
    known = {entry.mask for entry in entries}
    for path in files_below(masks):
        if path in known or not path.endswith(ending):
            continue
        fault = 'a mask without an image'
        stem = os.path.join(images, os.path.relpath(path, masks)[: -len(ending)])
        if stem in others:
            fault += f': {others[stem]} is not read, for image_suffix is {suffix!r}; rename it'
        entries.append(Entry(path, faults=[fault], is_image=False))
    return entries


def _coco(source: Source, classes: Sequence[str]) -> list[Entry]:
    known = read_coco(source.ann_file)
    # Where there are no masks at all, it is the model that is wrong.
    masks = wants_masks(source) and known.num_masks > 0
    content = shared_json(source.ann_file)
    names = {category['id']: category['name'] for category in content['categories']}
    folder = source.folders.get('img', str(source.root))
    entries: dict[object, Entry] = {}
    strays = Entry(source.ann_file, is_image=False)
    for image in content['images']:
        size = size_of(image)
        # LVIS tells the name on disk by the end of a URL.
        name = image.get('file_name') or '/'.join(image.get('coco_url', '').split('/')[-2:])
        entry = Entry(os.path.join(folder, name), size)
        if size is None and {'width', 'height'} <= image.keys():
            entry.faults.append(f'{image["width"]!r} x {image["height"]!r} by its annotation')
        entries[image['id']] = entry
    for number, annotation in enumerate(content.get('annotations') or []):
        entry = entries.get(annotation.get('image_id'), strays)
        name = f'box {annotation.get("id")}'
        if entry is strays:
            strays.faults.append(f'{name} is of image {annotation.get("image_id")}, not listed')
        category = annotation.get('category_id')
        if category not in names:
            entry.box_faults[number] = (
                f'{name} has the category_id {category!r}; there are {min(names)} to {max(names)}'
            )
            continue
        try:
            left, top, width, height = map(float, annotation['bbox'])
        except (KeyError, TypeError, ValueError):
            entry.box_faults[number] = (
                f'{name} has the bbox {annotation.get("bbox")}, not 4 numbers'
            )
            continue
        fault = masks and mask_fault(annotation.get('segmentation'), entry.size)
        if fault:
            entry.box_faults[number] = f'{name} {fault}'
            continue
        entry.labels.append(names[category])
        if entry is not strays:
            entry.boxes.append(Box(number, name, left, top, left + width, top + height, least=1))
    strays.faults += known.faults
    return [*entries.values(), *([strays] if strays.faults else [])]


def _voc(source: Source, classes: Sequence[str]) -> list[Entry]:
    entries = []
    for image, xml in (voc_files(source, id) for id in read_lines(source.ann_file)):
        try:
            entries.append(voc_entry(image, xml, read_voc(xml), classes))
        except DataError as error:
            entries.append(Entry(image, faults=[str(error)]))
    if odd := odd_line(source.ann_file):
        entries.append(Entry(source.ann_file, faults=[odd], is_image=False))
    return entries


def voc_entry(
    image: str, xml: str, root: ElementTree.Element, classes: Sequence[str] | None
) -> Entry:
    """What an XML file says of its image; every class is known where ``classes`` is None."""
    entry = Entry(image)
    with suppress(TypeError, ValueError):  # mmdet then reads the image's own
        entry.size = int(root.findtext('size/width')), int(root.findtext('size/height'))
    for number, thing in enumerate(root.iter('object')):
        label = thing.findtext('name', '')
        name = f'box {number + 1} ({label}) of {xml}'
        if classes is not None and label not in classes:
            entry.box_faults[number] = f'{name}: no such class'
            continue
        try:
            edges = [float(thing.findtext(f'bndbox/{e}')) for e in ('xmin', 'ymin', 'xmax', 'ymax')]
        except (TypeError, ValueError):
            entry.box_faults[number] = f'{name} has no four numbers'
            continue
        entry.labels.append(label)
        # VOC counts from 1 and includes the last pixel; many files count from 0.
        left, top, right, bottom = edges
        entry.boxes.append(Box(number, name, left - (left >= 1), top - (top >= 1), right, bottom))
    return entry


def _folder(source: Source, classes: Sequence[str]) -> list[Entry]:
    folder, labelled = source.image_folder, source.labelled
    if source.ann_file:
        lines = [line.rpartition(' ') for line in read_lines(source.ann_file)]
        if not labelled:
            return [Entry(os.path.join(folder, f'{a}{b}{c}')) for a, b, c in lines]
        return [_labelled(os.path.join(folder, a), [c], classes) for a, _, c in lines]
    suffixes = tuple(source.options.get('extensions', IMAGE_SUFFIXES))
    inside = class_folders(folder) if labelled else ('',)
    found = []
    for label, name in enumerate(inside):
        below = files_below(os.path.join(folder, name))
        paths = (path for path in below if path.lower().endswith(suffixes))
        found += [_labelled(path, [label] if labelled else [], classes) for path in paths]
    return found


def _multilabel(source: Source, classes: Sequence[str]) -> list[Entry]:
    folder = source.image_folder
    images = read_labels(source.ann_file).images
    return [_labelled(os.path.join(folder, path), labels, classes) for path, labels in images]


def _labelled(path: str, labels: Sequence[int | str], classes: Sequence[str]) -> Entry:
    entry = Entry(path)
    for label in labels:
        try:
            number = int(label)
        except ValueError:
            entry.faults.append(f"label {label!r}: a line is 'cats/1.jpg 0', path and class number")
            continue
        if 0 <= number < len(classes):
            entry.labels.append(classes[number])
        else:
            entry.faults.append(f'label {label}; there are 0 to {len(classes) - 1}')
    return entry


def wants_masks(source: Source) -> bool:
    """Whether the pipeline loads the masks of objects."""
    steps = source.options.get('pipeline') or ()
    return any(isinstance(step, Mapping) and step.get('with_mask') for step in steps)


def zero_is_ignored(options: Mapping) -> bool:
    """Whether masks count their classes from 1, as ``reduce_zero_label`` says."""
    if options.get('reduce_zero_label'):
        return True
    steps = [step for step in options.get('pipeline') or () if isinstance(step, Mapping)]
    steps += [step['transform'] for step in steps if isinstance(step.get('transform'), Mapping)]
    return any(step.get('reduce_zero_label') for step in steps)
