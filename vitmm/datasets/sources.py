"""Where the files of a data set are, read from its OpenMMLab config."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from vitmm.datasets.errors import DataError

# Class names that say how the files are laid out; a subclass counts as its nearest base here.
KINDS = {
    'CocoPanopticDataset': 'other',
    'CocoDataset': 'coco',
    'VOCDataset': 'voc',
    'XMLDataset': 'voc',
    'ImageNet': 'folder',
    'CustomDataset': 'folder',
    'BaseSegDataset': 'seg',
}
PACKAGES = ('mmdet', 'mmseg', 'mmpretrain')
OWN_SETS = {'shapes': 'shapes.json', 'trees': 'trees.json'}


@dataclass(frozen=True)
class Source:
    """One data set of a config, wrappers taken off.

    Attributes:
        kind: 'coco', 'voc', 'folder' (classification), 'seg' or 'other'.
        type: Name of the data set's class, for messages.
        root: Its ``data_root``, '' if none.
        ann_file: Path of its annotation file or list, '' if none.
        folders: Its ``data_prefix``, joined to the root.
        options: The config itself.
        local: Whether the files are on this machine's disks, so that they can be looked at.
    """

    kind: str
    type: str
    root: Path
    ann_file: str
    folders: dict[str, str]
    options: dict = field(repr=False)
    local: bool = True


def leaves(cfg: dict) -> Iterator[dict]:
    """The data sets inside RepeatDataset, ConcatDataset and other wrappers."""
    inner = cfg.get('dataset') or cfg.get('datasets')
    if inner is None:
        yield cfg
        return
    for one in inner if isinstance(inner, (list, tuple)) else [inner]:
        yield from leaves(one)


def read_source(cfg: dict, scope: str | None = None) -> Source:
    """The files of one data set config that is no wrapper.

    Args:
        cfg: The config of the data set.
        scope: The config file's ``default_scope``, for a ``type`` without a prefix.

    Raises:
        DataError: The config names no type, or one that no package has.
    """
    if not cfg.get('type'):
        raise DataError(f'a data set config without a type: {dict(cfg)}')
    name = cfg['type'] if isinstance(cfg['type'], str) else cfg['type'].__name__
    root = cfg.get('data_root') or ''
    prefixes = cfg.get('data_prefix') or {}
    if isinstance(prefixes, str):
        prefixes = {'img_path': prefixes}
    ann_file = cfg.get('ann_file') or ''
    kind = KINDS.get(name.split('.')[-1]) or _kind_of_class(dataset_class(cfg, scope))
    if name.split('.')[-1] == 'ImageNet' and cfg.get('split'):  # fills both in by itself
        prefixes = prefixes if any(prefixes.values()) else {'img_path': cfg['split']}
        listed = os.path.join('meta', f'{cfg["split"]}.txt')
        if not ann_file and os.path.exists(os.path.join(root, listed)):
            ann_file = listed
    backend = (cfg.get('backend_args') or {}).get('backend', 'local')
    return Source(
        kind=kind,
        type=name,
        root=Path(root),
        ann_file=os.path.join(root, ann_file) if ann_file else '',
        folders={key: os.path.join(root, prefix) for key, prefix in prefixes.items()},
        options=cfg,
        local=backend == 'local' and '://' not in f'{root}{ann_file}',
    )


def dataset_class(cfg: dict, scope: str | None = None) -> type:
    """The class that a config's ``type`` names; imports the package that has it."""
    if not isinstance(cfg['type'], str):
        return cfg['type']
    from mmengine.registry import DATASETS

    *prefix, name = cfg['type'].split('.')
    scopes = prefix[:1] or [one for one in (scope, *PACKAGES) if one]
    for one in scopes:
        if one in PACKAGES:
            import_module(f'{one}.datasets')
        found = DATASETS.get(f'{one}.{name}')
        if found is not None:
            return found
    raise DataError(f'no data set class {cfg["type"]!r} in {", ".join(scopes)}')


def _kind_of_class(cls: type) -> str:
    return next((KINDS[base.__name__] for base in cls.__mro__ if base.__name__ in KINDS), 'other')


def missing(what: str, path: str | os.PathLike) -> DataError:
    """The error for a path that is not there; says how our own sets are made."""
    message = f'{what} not found: {path}'
    for name in OWN_SETS:
        parts = Path(path).parts
        if name in parts:
            out = Path(*parts[: parts.index(name) + 1])
            message += f'; make it with: python tools/prepare_data.py {name} --out {out}'
    return DataError(message)


def read_lines(path: str | os.PathLike) -> list[str]:
    """The lines of a text file that are not empty, without the space around them."""
    try:
        text = Path(path).read_text(encoding='utf-8')
    except FileNotFoundError:
        raise missing('file', path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'cannot read {path}: {error}') from error
    return [line.strip() for line in text.splitlines() if line.strip()]


@dataclass(frozen=True)
class CocoFile:
    """What is kept of a COCO annotation file, which may be large."""

    classes: tuple[str, ...]  # in the order of the file, which is that of mmdet's labels
    file_names: tuple[str, ...]
    num_annotations: int


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
    try:
        content = json.loads(Path(path).read_bytes())
    except json.JSONDecodeError as error:
        raise DataError(
            f'{path} is not readable JSON, line {error.lineno} column {error.colno} '
            f'({error.msg}); is the file whole?'
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'cannot read {path}: {error}') from error
    if not isinstance(content, dict):
        raise DataError(f'{path} is not in COCO format: a {type(content).__name__}, not an object')
    for key in ('images', 'categories'):
        if not isinstance(content.get(key), list) or not content[key]:
            raise DataError(f'{path} is not in COCO format: it has no {key}')
    try:
        classes = tuple(category['name'] for category in content['categories'])
        # LVIS gives a URL where others give a file name; that is not looked for.
        named = (i for i in content['images'] if 'file_name' in i or 'coco_url' not in i)
        file_names = tuple(image['file_name'] for image in named)
    except (KeyError, TypeError) as error:
        raise DataError(f'{path} is not in COCO format: an entry without {error}') from error
    return CocoFile(classes, file_names, len(content.get('annotations') or ()))


def voc_files(source: Source, id: str) -> tuple[str, str]:
    """The paths of the image and of the XML of one line of a VOC image set."""
    root = source.folders.get('sub_data_root', '')  # mmdet's rule: not data_root without it
    images = source.options.get('img_subdir', 'JPEGImages')
    xmls = source.options.get('ann_subdir', 'Annotations')
    return os.path.join(root, images, f'{id}.jpg'), os.path.join(root, xmls, f'{id}.xml')


def read_voc_names(path: str) -> list[str]:
    """The class of every object of a VOC XML file."""
    try:
        return [o.findtext('name', '') for o in ElementTree.parse(path).iter('object')]
    except FileNotFoundError:
        raise missing('annotation file', path) from None
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(f'{path} is not readable XML: {error}') from error


def class_folders(folder: str) -> tuple[str, ...]:
    """The sub-folders of an image folder in mmpretrain's order, which is that of the labels."""
    try:
        return tuple(sorted(entry.name for entry in os.scandir(folder) if entry.is_dir()))
    except FileNotFoundError:
        raise missing('image folder', folder) from None
    except OSError as error:
        raise DataError(f'cannot read {folder}: {error}') from error
