"""One COCO file as two: to train on, and to validate on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from vitmm.datasets.coco_file import need_whole
from vitmm.datasets.errors import DataError
from vitmm.datasets.json_files import read_json
from vitmm.whole_files import write_whole


def split_coco(annotations: str | os.PathLike, share: float = 0.2, seed: int = 0) -> list[Path]:
    """Write ``NAME_train.json`` and ``NAME_val.json`` beside a file ``NAME.json``.

    Images are drawn at random, with their annotations; both files have all categories, in the same
    order. Pictures of one scene may come into both: frames of a video are better split by hand.

    Args:
        annotations: a file in COCO's format.
        share: of the images that are validated on, above 0 and below 1; at least one image.
        seed: of the draw; the same one gives the same files.

    Returns:
        The two files.

    Raises:
        DataError: the file is not in COCO's format, has one image, or the files exist.
    """
    annotations = Path(annotations)
    files = [annotations.with_name(f'{annotations.stem}_{name}.json') for name in ('train', 'val')]
    if there := [str(file) for file in files if file.exists()]:
        raise DataError(f'{" and ".join(there)}: exists already; delete or rename it')
    if not 0 < share < 1:
        raise DataError(f'the share to validate on is above 0 and below 1, not {share}')
    need_whole(annotations)
    content = read_json(annotations)
    images = content['images']
    count = max(1, round(share * len(images)))
    if count >= len(images):
        raise DataError(f'{annotations} has {len(images)} image(s): too few to split so')
    known = {image['id'] for image in images}
    boxes = content.get('annotations') or []
    if stray := next((one for one in boxes if one.get('image_id') not in known), None):
        raise DataError(
            f'{annotations}: box {stray["id"]} is of image {stray.get("image_id")}, not listed'
        )
    drawn = np.random.default_rng(seed).permutation(len(images))[:count]
    kept = {images[number]['id'] for number in drawn.tolist()}
    for file, validate in zip(files, (False, True), strict=True):
        part = {
            **content,
            'images': [one for one in images if (one['id'] in kept) is validate],
            'annotations': [one for one in boxes if (one['image_id'] in kept) is validate],
        }
        write_whole(file, json.dumps(part))
    return files
