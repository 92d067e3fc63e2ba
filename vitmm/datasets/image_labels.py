"""Labels of whole images, made of the boxes in a COCO file."""

from __future__ import annotations

import json
import os
from pathlib import Path

from vitmm.datasets.atomic import write_once
from vitmm.datasets.coco_file import read_coco
from vitmm.datasets.errors import DataError
from vitmm.datasets.json_files import read_json
from vitmm.datasets.shapes import write_shapes
from vitmm.registry import FUNCTIONS
from vitmm.whole_files import write_whole


def coco_to_labels(annotations: str | os.PathLike, out: str | os.PathLike) -> Path:
    """Write which classes each image of a COCO file shows, as mmpretrain's MultiLabelDataset reads.

    Crowds count as boxes do. Images without any have no label.

    Args:
        annotations: a file in COCO's format.
        out: the file to write.

    Returns:
        ``out``.

    Raises:
        DataError: the file is not in COCO's format, or ``out`` exists.
    """
    out = Path(out)
    if out.exists():
        raise DataError(f'{out} exists already; delete it or name another file')
    read_coco(annotations)  # whether it is one at all
    content = read_json(annotations)
    numbers = {category['id']: number for number, category in enumerate(content['categories'])}
    labels: dict[object, set[int]] = {image['id']: set() for image in content['images']}
    for annotation in content.get('annotations') or []:
        if annotation['image_id'] in labels and annotation['category_id'] in numbers:
            labels[annotation['image_id']].add(numbers[annotation['category_id']])
    listed = [
        {'img_path': image['file_name'], 'gt_label': sorted(labels[image['id']])}
        for image in content['images']
    ]
    classes = [category['name'] for category in content['categories']]
    write_whole(out, json.dumps({'metainfo': {'classes': classes}, 'data_list': listed}))
    return out


@FUNCTIONS.register_module()
def write_labelled_shapes(root: str | os.PathLike = 'data/shapes', **settings: int) -> Path:
    """Write the embedded data set, and beside it ``multilabel/{train,val}.json``.

    Args:
        root: Folder to write.
        settings: Counts and seed, as :func:`vitmm.datasets.write_shapes` has them.

    Returns:
        ``root``.

    Raises:
        DataError: as ``write_shapes``.
    """
    root = write_shapes(root, **settings)

    def write(folder: Path) -> None:
        for split in ('train', 'val'):
            coco_to_labels(root / f'coco/instances_{split}.json', folder / f'{split}.json')

    write_once(root / 'multilabel', 'made_of.json', {'dataset': 'shapes', 'version': 1}, write)
    return root
