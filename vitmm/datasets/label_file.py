"""Lists of images with any number of labels each."""

from __future__ import annotations

import os
from dataclasses import dataclass

from vitmm.datasets.errors import DataError
from vitmm.datasets.json_files import read_json


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
    content = read_json(path)
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
