"""Where the files of a data set are, read from its OpenMMLab config."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path

from vitmm.datasets.errors import DataError
from vitmm.errors import did_you_mean

# Class names that say how the files are laid out; a subclass counts as its nearest base here.
KINDS = {
    'CocoPanopticDataset': 'other',
    'CocoDataset': 'coco',
    'VOCDataset': 'voc',
    'XMLDataset': 'voc',
    'ImageNet': 'folder',
    'CustomDataset': 'folder',
    'NYUDataset': 'depth',
    'BaseSegDataset': 'seg',
    'VOC': 'other',  # mmpretrain's
    'MultiLabelDataset': 'multilabel',
}
PACKAGES = ('mmdet', 'mmseg', 'mmpretrain')


@dataclass(frozen=True)
class Source:
    """One data set of a config, wrappers taken off.

    Attributes:
        kind: 'coco', 'voc', 'folder' (classification), 'multilabel', 'seg', 'depth' or
            'other'.
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

    @property
    def image_folder(self) -> str:
        """The folder of a classification data set's images."""
        return self.folders.get('img_path') or self.folders.get('img') or str(self.root)

    @property
    def labelled(self) -> bool:
        """Whether a classification data set says the class of each image."""
        return self.options.get('with_label', self.options.get('split') != 'test')


def leaves(cfg: dict) -> list[dict]:
    """The data sets inside RepeatDataset, ConcatDataset and other wrappers."""
    found: list[dict] = []
    change_leaves(cfg, lambda one: found.append(one) or one)
    return found


def change_leaves(cfg: dict, change: Callable[[dict], dict]) -> dict:
    """The config with each data set in it changed, the wrappers around them kept."""
    for key in ('dataset', 'datasets'):
        inner = cfg.get(key)
        if isinstance(inner, (list, tuple)):
            return {**cfg, key: [change_leaves(one, change) for one in inner]}
        if inner is not None:
            return {**cfg, key: change_leaves(inner, change)}
    return change(cfg)


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
    scopes = prefix[:1] or list(dict.fromkeys(one for one in (scope, *PACKAGES) if one))
    for one in scopes:
        if one in PACKAGES:
            import_module(f'{one}.datasets')
        found = DATASETS.get(f'{one}.{name}')
        if found is not None:
            return found
    children = [DATASETS.children[one] for one in scopes if one in DATASETS.children]
    near = did_you_mean(name, {known for child in children for known in child.module_dict}, limit=3)
    raise DataError(
        f'no data set class {cfg["type"]!r} in {", ".join(scopes)} (one of your own comes with '
        f'custom_imports).{near}'
    )


def _kind_of_class(cls: type) -> str:
    return next((KINDS[base.__name__] for base in cls.__mro__ if base.__name__ in KINDS), 'other')


def voc_files(source: Source, id: str) -> tuple[str, str]:
    """The paths of the image and of the XML of one line of a VOC image set."""
    root = source.folders.get('sub_data_root', '')  # mmdet's rule: not data_root without it
    images = source.options.get('img_subdir', 'JPEGImages')
    xmls = source.options.get('ann_subdir', 'Annotations')
    return os.path.join(root, images, f'{id}.jpg'), os.path.join(root, xmls, f'{id}.xml')
