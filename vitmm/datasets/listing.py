"""Which files a folder of images and masks holds."""

from __future__ import annotations

import inspect
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

from vitmm.datasets.errors import DataError
from vitmm.datasets.files import files_below, missing, read_lines
from vitmm.datasets.sources import Source, dataset_class, leaves, read_source

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.ppm', '.bmp', '.pgm', '.tif')  # mmpretrain's


def mask_paths(source: Source, scope: str | None) -> list[tuple[str, str | None]]:
    """The image files of a set for segmentation or depth, at least one, each with its map's.

    Raises:
        DataError: no such folder or list, an empty one.
    """
    images = source.folders.get('img_path', '')
    masks = source.folders.get('depth_map_path' if source.kind == 'depth' else 'seg_map_path')
    suffix = image_suffix(source, scope)
    ending = mask_suffix(source, scope)
    if not os.path.isdir(images):
        raise missing('image folder', images)
    if source.ann_file and not os.path.isdir(source.ann_file):
        stems = read_lines(source.ann_file)
        if not stems:
            raise DataError(f'{source.ann_file} is empty: it lists no image')
    else:
        found = [os.path.relpath(path, images) for path in files_below(images)]
        stems = sorted(name[: -len(suffix)] for name in found if name.endswith(suffix))
        if not stems:
            others = ', '.join(sorted({os.path.splitext(name)[1] for name in found} - {''}))
            hint = f'; there are {others}: set image_suffix' if others else ''
            raise DataError(f'no image {images}/*{suffix}{hint}')
    return [
        (
            os.path.join(images, stem + suffix),
            os.path.join(masks, stem + ending) if masks else None,
        )
        for stem in stems
    ]


def unread_files(source: Source, scope: str | None, images: bool = False) -> str | None:
    """A line about the files of other kinds in a folder of images, None where there are none.

    Args:
        source: the data set.
        scope: the config file's ``default_scope``.
        images: only of those that are images all the same.
    """
    if source.ann_file or source.kind not in ('seg', 'depth', 'folder'):
        return None
    folder = source.image_folder
    if source.kind == 'folder':  # in any case of letters
        suffixes = tuple(source.options.get('extensions', IMAGE_SUFFIXES))
        others = [path for path in files_below(folder) if not path.lower().endswith(suffixes)]
    else:
        suffixes, maps = (image_suffix(source, scope),), mask_paths(source, scope)
        known = {path for _, path in maps}  # which may lie in the same folder
        others = [p for p in files_below(folder) if not p.endswith(suffixes) and p not in known]
    if images:
        others = [path for path in others if path.lower().endswith(IMAGE_SUFFIXES)]
    if not others:
        return None
    kinds = Counter(os.path.splitext(path)[1] or os.path.basename(path) for path in others)
    shown = ', '.join(f'{count} {kind}' for kind, count in kinds.most_common(5))
    return (
        f'not read in {folder}: files of other kinds, {shown}; images end in {", ".join(suffixes)}'
    )


def notes_of_unread(dataset_cfg: Mapping[str, Any], scope: str | None = None) -> list[str]:
    """Such lines about images beside masks or depth maps of a data set, wrapped or not.

    Folders of classes are larger ones, and take images of many kinds.
    """
    try:
        sources = [read_source(cfg, scope) for cfg in leaves(dataset_cfg)]
        chosen = [one for one in sources if one.kind in ('seg', 'depth') and one.local]
        return [note for one in chosen if (note := unread_files(one, scope, images=True))]
    except DataError:  # which is said elsewhere
        return []


def image_suffix(source: Source, scope: str | None) -> str:
    """How the names of a segmentation data set's images end."""
    return _option(source, scope, 'img_suffix', '.jpg')


def mask_suffix(source: Source, scope: str | None) -> str:
    """How the names of a segmentation data set's masks end."""
    return _option(source, scope, 'seg_map_suffix', '.png')


def _option(source: Source, scope: str | None, name: str, usual: str) -> str:
    """An option of the config, or the data set class's default for it."""
    if source.options.get(name):
        return source.options[name]
    if source.type.split('.')[-1] == 'BaseSegDataset':  # known without importing mmseg
        return usual
    parameters = inspect.signature(dataset_class(source.options, scope)).parameters
    return parameters[name].default if name in parameters else usual
