"""The classes of a data set, read from its own files: what ``${data.classes}`` stands for."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence

from vitmm.datasets.coco_file import read_coco
from vitmm.datasets.errors import DataError
from vitmm.datasets.files import class_folders, missing, read_lines, read_names, read_voc, voc_names
from vitmm.datasets.label_file import read_labels
from vitmm.datasets.sources import (
    Source,
    dataset_class,
    leaves,
    read_source,
    voc_files,
)
from vitmm.errors import did_you_mean


def read_classes(dataset_cfg: dict, scope: str | None = None) -> tuple[str, ...]:
    """The class names of a data set, in the order of its labels.

    They come from the files: the categories of a COCO file, the metainfo of a file of labels, the
    names in VOC's XML files (``classes.txt`` in the data root first), the folders of an image
    folder, ``classes.txt`` beside segmentation masks; and from the ``METAINFO`` of the data set's
    class where the files say nothing. Names that the config itself gives are used, and checked
    against these.

    Args:
        dataset_cfg: Config of an mmdet, mmseg or mmpretrain data set, wrapped or not.
        scope: The config file's ``default_scope``, for types without a prefix.

    Raises:
        DataError: A file is missing or unreadable, or the config names a class it has not.
    """
    found = [_read_one(cfg, scope) for cfg in leaves(dataset_cfg)]
    if not found:
        raise DataError(f'{dataset_cfg.get("type")}: no data set inside it')
    for other in found[1:]:
        if other != found[0]:
            raise DataError(
                f'the data sets that are joined have different classes: {show_names(found[0])} '
                f'and {show_names(other)}; give each of them the same metainfo classes'
            )
    return found[0]


def given_classes(cfg: dict) -> tuple[str, ...] | None:
    """The class names that a data set config itself lists, or None (also for an open hole)."""
    names = (cfg.get('metainfo') or {}).get('classes', cfg.get('classes'))
    if names is None or (isinstance(names, str) and '${' in names):
        return None
    if isinstance(names, str):  # OpenMMLab takes a text for the path of a list
        if not os.path.exists(names):
            raise DataError(
                f'metainfo classes is the text {names!r} and no such file exists; for one class '
                f'write ({names!r},)'
            )
        names = read_names(names)
    return tuple(names)


def check_given(given: Sequence[str], found: Sequence[str], source: Source) -> None:
    """Raise DataError unless the names that a config gives fit those found in its data."""
    where = source.ann_file or source.folders.get('img_path') or source.root
    unknown = [name for name in given if name not in found]
    if source.kind == 'folder' and not source.ann_file:
        # A folder's label is its place, and its names may be mere codes: n01440764.
        if len(given) == len(found) and (len(unknown) == len(given) or list(given) == list(found)):
            return
        others = [name for name in found if name not in given]
        if not unknown and not others:
            raise DataError(
                f'{where}: labels follow the sorted folders, so metainfo classes must be '
                f'{show_names(found)}, not {show_names(given)}'
            )
        # A class of one split only would shift the labels of all behind it.
        told = [
            *([f'lack {show_names(unknown)}'] if unknown else []),
            *([f'have {show_names(others)}'] if others else []),
        ]
        raise DataError(
            f'{where}: its class folders {" and ".join(told)}, and the classes (of the training '
            f'data, or metainfo) are {show_names(given)}. Labels follow the sorted folders: every '
            f'split has the same{"; one without images may be empty" if unknown else ""}'
        )
    if unknown:
        raise DataError(
            f'{source.type}: the classes (of the training data, or metainfo) have '
            f'{show_names(unknown)}, but {where} has no such class.'
            f'{did_you_mean(unknown[0], found)} It has: {show_names(found)}; every split lists the '
            'same'
        )
    if source.kind == 'coco' and list(given) != [name for name in found if name in given]:
        # mmdet numbers labels by the file's order whatever the config's, then names them wrongly.
        raise DataError(
            f'{source.type}: labels follow the order of {where}, so metainfo classes must be '
            f'{show_names([name for name in found if name in given])}, not {show_names(given)}'
        )


def _read_one(cfg: dict, scope: str | None) -> tuple[str, ...]:
    source = read_source(cfg, scope)
    given = given_classes(cfg)
    if not source.local:
        found = given or _own_classes(source, scope)
    elif source.kind == 'coco':
        found = read_coco(source.ann_file).classes if source.ann_file else None
        counts = Counter(found)
        if twice := [name for name in dict.fromkeys(given or found or ()) if counts[name] > 1]:
            raise DataError(
                f'{source.ann_file}: several categories are called {show_names(twice)}: rename '
                'all but one, or leave out those without boxes'
            )
    elif source.kind == 'multilabel':
        found = read_labels(source.ann_file).classes if source.ann_file else None
    elif source.kind == 'voc':
        found = _voc_classes(source, scope)
    elif source.kind == 'folder':
        found = _folder_classes(source, scope)
    elif source.kind in ('seg', 'depth'):
        found = _listed_classes(source) or _own_classes(source, scope)
    else:
        found = _own_classes(source, scope)
    if given and found:
        check_given(given, found, source)
    if not (given or found):
        raise DataError(
            f'{source.type}: nothing says what its classes are; list them in '
            f'{source.root / "classes.txt"}, one a line, or in metainfo=dict(classes=(...))'
        )
    return given or found


def _listed_classes(source: Source) -> tuple[str, ...] | None:
    """The lines of ``classes.txt`` beside the masks or in the data root."""
    for folder in (source.folders.get('seg_map_path'), source.root):
        path = os.path.join(folder or '', 'classes.txt')
        if folder is not None and os.path.exists(path):
            names = read_names(path)
            if twice := [name for name, count in Counter(names).items() if count > 1]:
                raise DataError(
                    f'{path} names {show_names(twice)} more than once: a line is a class, and its '
                    'place is its number'
                )
            return tuple(names)
    return None


def _own_classes(source: Source, scope: str | None) -> tuple[str, ...] | None:
    """What the data set's class says of itself."""
    names = getattr(dataset_class(source.options, scope), 'METAINFO', {}).get('classes')
    return tuple(names) if isinstance(names, (tuple, list)) else None


def _voc_classes(source: Source, scope: str | None) -> tuple[str, ...]:
    listed = _listed_classes(source)
    if listed:
        return listed
    if not os.path.exists(source.ann_file):
        own = _own_classes(source, scope)
        if own:
            return own
        raise missing('image set', source.ann_file)
    ids = read_lines(source.ann_file)
    names = names_in_voc(source, ids)
    if not names:
        raise DataError(f'{source.ann_file}: no box in any of its {len(ids)} XML files')
    return names


def names_in_voc(source: Source, ids: Sequence[str]) -> tuple[str, ...]:
    """The classes of the objects in these XML files of a VOC image set, sorted.

    Raises:
        DataError: none can be told, and a file is missing or unreadable. Whether one bad file among
            others matters is said where data are checked.
    """
    names, broken = set(), None
    for _, xml in (voc_files(source, id) for id in ids):
        try:
            names.update(voc_names(read_voc(xml)))
        except DataError as error:
            broken = broken or error
    if broken and not names:
        raise broken
    return tuple(sorted(names))


def _folder_classes(source: Source, scope: str | None) -> tuple[str, ...] | None:
    own = _own_classes(source, scope) if source.type.split('.')[-1] != 'CustomDataset' else None
    if source.ann_file:  # its lines have numbers, not names
        listed = _listed_classes(source)
        if listed or own or given_classes(source.options):
            return listed or own
        labels = (_label(line, source.ann_file) for line in read_lines(source.ann_file))
        return tuple(str(label) for label in range(max(labels, default=-1) + 1))
    folder = source.image_folder
    folders = class_folders(folder)
    if not folders:
        raise DataError(f'{folder} has no sub-folders; image folders have one for each class')
    return own if own and len(own) == len(folders) else folders


def _label(line: str, path: str) -> int:
    try:
        return int(line.rpartition(' ')[2])
    except ValueError:
        raise DataError(
            f'{path}: the line {line!r} is not the path of an image, a space and the number of its '
            "class, as 'cats/1.jpg 0'; a list has no header"
        ) from None


def show_names(names: Sequence[str]) -> str:
    """Names for a message: 20 at most, and how many there are."""
    shown = ', '.join(map(repr, names[:20]))
    return f'{shown}, … ({len(names)} in all)' if len(names) > 20 else shown
