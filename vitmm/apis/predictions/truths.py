"""The objects that a test set says are there."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_masks

from vitmm.apis.predictions.matching import Objects
from vitmm.datasets.errors import DataError
from vitmm.datasets.json_files import read_json
from vitmm.datasets.sources import leaves, read_source


class Truths:
    """Objects as mmdet's data sets tell them: in pixels of the file, whatever the pipeline does.

    Args:
        dataset: MMEngine's, wrapped or not.
        config: of the data set, resolved.
        scope: the config's ``default_scope``.

    Attributes:
        classes: names.
        supercategories: of each class, or None where they tell no classes from others.
        notes: what should be known to read figures rightly.

    Raises:
        DataError: no image has an object.
    """

    def __init__(self, dataset: Any, config: Mapping[str, Any], scope: str | None) -> None:
        self.dataset = dataset
        self.classes: list[str] = [str(name) for name in dataset.metainfo['classes']]
        self.supercategories = supercategories(config, scope, self.classes)
        self.notes = []
        if any('LVIS' in str(one['type']) for one in leaves(config)):
            self.notes.append(
                'LVIS annotates each image for some classes only; here a detection of another '
                'class counts as false, other than in the AP of LVIS.'
            )
        infos = (self.dataset.get_data_info(n) for n in range(len(self.dataset)))
        if not any(info.get('instances') for info in infos):
            raise DataError('no image of the test set has annotations: nothing can be compared.')

    def of(self, place: int, record: Mapping[str, Any]) -> Objects:
        """The objects of the image at ``place`` in the data, which is that of ``record``.

        Raises:
            DataError: it is another image: the loader does not go through the data in order.
        """
        info = self.dataset.get_data_info(place)
        if str(info.get('img_path')) != record['path']:
            raise DataError(
                f'{record["path"]} was tested where the data has {info.get("img_path")}: the '
                'loader does not go through the test set in order.'
            )
        instances = info.get('instances') or []
        masks = [one.get('mask') for one in instances]
        return Objects(
            np.array([one['bbox'] for one in instances], np.float64).reshape(-1, 4),
            np.array([one['bbox_label'] for one in instances], np.int64),
            ignored=np.array([bool(one.get('ignore_flag')) for one in instances], bool),
            masks=None if None in masks else [run_lengths(mask, record['size']) for mask in masks],
        )


def run_lengths(mask: Any, size: Sequence[int]) -> dict[str, Any]:
    """COCO's compressed run lengths of a mask: polygons, or run lengths of either kind.

    Args:
        mask: as COCO's annotations have it.
        size: (H, W) of the image.
    """
    if isinstance(mask, list):
        return coco_masks.merge(coco_masks.frPyObjects(mask, *size))
    if isinstance(mask['counts'], list):
        return coco_masks.frPyObjects(mask, *mask['size'])
    return mask


def supercategories(
    config: Mapping[str, Any], scope: str | None, classes: list[str]
) -> list[str] | None:
    """Of each class; None where the annotations give none, or only one, or each class its own."""
    source = read_source(leaves(config)[0], scope)
    if source.kind != 'coco' or not Path(source.ann_file).is_file():
        return None
    categories = read_json(source.ann_file)['categories']
    known = {one['name']: one.get('supercategory') or 'none' for one in categories}
    found = [known.get(name, 'none') for name in classes]
    return found if 1 < len(set(found)) < len(classes) else None
