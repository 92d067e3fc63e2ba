"""Figures where a detector finds nothing at all: mmdet's metrics then give none."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import fileio
from pycocotools import mask as rle


def stand_in(
    files: Mapping[str, str], image: Mapping[str, Any], category: int, folder: str | Path
) -> dict[str, str]:
    """Files of predictions to measure in place of empty ones: with one that fits nothing.

    pycocotools cannot read an empty list, and would give 0 where there are objects and -1 where
    there are none. A prediction without extent and of score 0 makes it say so.

    Args:
        files: of predictions in COCO's format, by metric.
        image: any entry of the annotations' ``images``.
        category: the id of any category.
        folder: where the others are written.

    Returns:
        The others, by metric.
    """
    others = {}
    for metric in files:
        found = dict(image_id=image['id'], category_id=category, bbox=[0.0] * 4, score=0.0)
        if metric == 'segm':
            mask = rle.encode(np.zeros((image['height'], image['width']), np.uint8, order='F'))
            found['segmentation'] = {**mask, 'counts': mask['counts'].decode()}
        others[metric] = str(Path(folder) / f'nothing.{metric}.json')
        fileio.dump([found], others[metric])
    return others
