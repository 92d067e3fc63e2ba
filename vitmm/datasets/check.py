"""A cheap look at a data set's files before training begins, for clear messages then and there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from glob import escape, glob
from math import inf

from vitmm.datasets.classes import check_given, given_classes
from vitmm.datasets.coco_file import Bad, bad_masks, need_whole
from vitmm.datasets.entries import read_entries, voc_entry, wants_masks
from vitmm.datasets.errors import REMEDY, DataError, MissingError
from vitmm.datasets.files import (
    class_folders,
    files_below,
    missing,
    need_lvis,
    odd_line,
    read_lines,
    read_voc,
    voc_names,
)
from vitmm.datasets.filtered import refuse_to_filter_all
from vitmm.datasets.label_file import read_labels
from vitmm.datasets.listing import IMAGE_SUFFIXES, mask_paths
from vitmm.datasets.sources import Source, leaves, read_source, voc_files


def check_annotations(dataset_cfg: dict, scope: str | None = None, boxes: bool = True) -> None:
    """Check that the files of a data set are there and say something.

    Annotation files exist, can be read and have at least one box; the images and masks that
    they list exist; boxes lie in their images; labels are those of classes; the classes that the
    config names are the data's. Images are not opened.
    Data sets on remote storage, and formats that are not known here, pass unseen.

    Args:
        dataset_cfg: Config of an mmdet, mmseg or mmpretrain data set, wrapped or not.
        scope: The config file's ``default_scope``, for types without a prefix.
        boxes: False where those that are bad have been left out, or will be by mmdet.

    Raises:
        DataError: One message for the first thing that is wrong, with the path.
    """
    checks = {
        'coco': _check_coco,
        'voc': _check_voc,
        'folder': _check_folder,
        'multilabel': _check_multilabel,
        'seg': _check_seg,
        'depth': _check_seg,
    }
    for cfg in leaves(dataset_cfg):
        source = read_source(cfg, scope)
        if not source.local or source.kind == 'other':
            continue
        if not source.root.is_dir():
            raise missing('data_root', source.root)
        bad = checks[source.kind](source, scope)
        if boxes and bad and bad.count:
            more = f', and {bad.count - 1} more are bad' if bad.count > 1 else ''
            raise DataError(f'{source.ann_file}: {bad.first}{more}; {REMEDY}')


def _check_coco(source: Source, scope: str | None) -> Bad:
    if 'LVIS' in source.type:
        need_lvis()
    if not source.ann_file:
        raise DataError(f'{source.type}: the config has no ann_file')
    content = need_whole(source.ann_file)
    if content.stray_category is not None:  # mmdet would leave these boxes out without a word
        raise DataError(
            f'{source.ann_file}: boxes have the category_id {content.stray_category!r}, but the '
            f'categories are numbered {content.category_range}'
        )
    if not content.num_annotations:
        raise DataError(f'{source.ann_file} has no boxes: its annotations are empty')
    if content.num_small * 2 > content.num_annotations:  # mmdet would leave them out, likewise
        raise DataError(
            f'{source.ann_file}: {content.num_small} of its {content.num_annotations} boxes are '
            'smaller than a pixel and would be left out: bbox is [left, top, width, height] in '
            'pixels, not in shares of the image'
        )
    refuse_to_filter_all(source, content.sizes)
    masks = wants_masks(source)
    if masks and content.num_masks < content.num_annotations:
        also = ', or leave these out with bad_data=skip' if content.num_masks else ''
        raise DataError(
            f'{source.ann_file}: {content.num_annotations - content.num_masks} of its '
            f'{content.num_annotations} annotations have no segmentation, and this model learns '
            f'from masks; take a model of boxes (Faster R-CNN for Mask R-CNN){also}'
        )
    given = given_classes(source.options)
    if given:
        check_given(given, content.classes, source)
    if 'img' not in source.folders:
        raise DataError(f"{source.type}: data_prefix must name the folder of the images as 'img'")
    if content.file_names and 'LVIS' not in source.type:  # its names are not those on disk
        folder = source.folders['img']
        _check_exist('image', (os.path.join(folder, n) for n in content.file_names), source)
    boxes, wrong = content.bad_boxes, bad_masks(source.ann_file) if masks else Bad(0, '')
    return Bad(boxes.count + wrong.count, boxes.first or wrong.first)


def _check_voc(source: Source, scope: str | None) -> Bad:
    if wants_masks(source):
        raise DataError(
            f"{source.type}: VOC's XML files have boxes only, and this model learns from masks; "
            'take a model of boxes (Faster R-CNN for Mask R-CNN), or data in COCO format'
        )
    ids = read_lines(source.ann_file)
    if odd := odd_line(source.ann_file):
        raise DataError(f'{source.ann_file}: {odd}; take it out, or set bad_data=skip')
    files = [voc_files(source, id) for id in ids]
    _check_exist('annotation file', (xml for _, xml in files), source)
    try:
        _check_exist('image', (image for image, _ in files), source)
    except MissingError as error:
        others = glob(f'{escape(os.path.splitext(error.path)[0])}.*')
        others = [path for path in others if path.lower().endswith(IMAGE_SUFFIXES)]
        if others:
            raise DataError(
                f"{error}. {others[0]} is there, and mmdet's VOC data sets read .jpg only: convert "
                'the images, or give the data in COCO format.'
            ) from error
        raise
    given = given_classes(source.options)
    names, faults, sizes = set(), [], []
    for image, xml in files:
        root = read_voc(xml)
        names.update(voc_names(root))
        entry = voc_entry(image, xml, root, None)
        sizes.append(entry.size or (inf, inf))
        faults += entry.box_faults.values()
        faults += [box.fault(entry.size or (inf, inf))[0] for box in entry.boxes]
    if not names:
        raise DataError(f'{source.ann_file}: no box in any of its {len(ids)} XML files')
    if given and not names.intersection(given):
        check_given(given, sorted(names), source)
    refuse_to_filter_all(source, sizes)
    faults = list(filter(None, faults))
    return Bad(len(faults), next(iter(faults), ''))


def _check_folder(source: Source, scope: str | None) -> None:
    folder, labelled = source.image_folder, source.labelled
    given = given_classes(source.options)
    if source.ann_file:
        lines = read_lines(source.ann_file)
        names = [line.rpartition(' ')[0] if labelled else line for line in lines]
        _check_exist('image', (os.path.join(folder, name) for name in names), source)
        for entry in read_entries(source, given, scope) if labelled and given else ():
            if entry.faults:
                raise DataError(f'{source.ann_file}: {entry.image}: {entry.faults[0]}; {REMEDY}')
        return
    folders = class_folders(folder)
    if labelled and given:
        check_given(given, folders, source)
    inside = (os.path.join(folder, name) for name in folders) if labelled else [folder]
    suffixes = tuple(source.options.get('extensions', IMAGE_SUFFIXES))
    if not any(path.lower().endswith(suffixes) for one in inside for path in files_below(one)):
        raise DataError(f'no images in the class folders of {folder} ({", ".join(suffixes)})')


def _check_multilabel(source: Source, scope: str | None) -> None:
    if not source.ann_file:
        raise DataError(f'{source.type}: the config has no ann_file')
    content = read_labels(source.ann_file)
    given = given_classes(source.options)
    if given and content.classes and given != content.classes:
        raise DataError(
            f'{source.type}: labels are numbered by the classes of {source.ann_file}, '
            f'{content.classes}, so metainfo classes must be these, not {given}'
        )
    count = len(given or content.classes or ())
    for path, labels in content.images:
        wrong = [label for label in labels if not 0 <= label < count]
        if wrong:
            raise DataError(
                f'{source.ann_file}: {path} has the label {wrong[0]}, but there are {count} '
                f'classes, 0 to {count - 1}'
            )
    folder = source.image_folder
    _check_exist('image', (os.path.join(folder, path) for path, _ in content.images), source)


def _check_seg(source: Source, scope: str | None) -> None:
    images, masks = zip(*mask_paths(source, scope), strict=True)
    if source.ann_file and not os.path.isdir(source.ann_file):
        _check_exist('image', images, source)
    if masks[0]:
        _check_exist('depth map' if source.kind == 'depth' else 'mask', masks, source)


def _check_exist(what: str, paths: Iterable[str], source: Source) -> None:
    paths = list(paths)
    if not paths:
        raise DataError(f'{source.ann_file} is empty: it lists no {what}')
    absent = [path for path in paths if not os.path.exists(path)]
    if absent:
        listed = source.ann_file or source.root
        raise missing(f'{len(absent)} of the {len(paths)} {what}s of {listed}', absent[0])
