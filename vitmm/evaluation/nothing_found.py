"""Figures where a detector finds nothing at all: mmdet's metrics then give none."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmdet.evaluation.metrics import CocoMetric
from mmengine import fileio

from vitmm.evaluation.run_lengths import encode_masks


def files_to_measure(
    metric: CocoMetric, results: Sequence[Mapping], files: dict[str, str], api: Any
) -> dict[str, str]:
    """Files of predictions: where nothing was found at all, others with one that fits nothing.

    pycocotools cannot read an empty list, and would give 0 where there are objects and -1 where
    there are none. A prediction without extent and of score 0 makes it say so.

    Args:
        metric: mmdet's; the others are written into a folder that goes with it, or with its next
            evaluation.
        results: of all images, as mmdet gathers them.
        files: of predictions in COCO's format, by kind.
        api: of the annotations, pycocotools' or alike.

    Returns:
        The files by kind: those that were given where anything was found, or where they are only
        to be written.
    """
    if metric.format_only or any(len(one['labels']) for one in results):
        return files
    metric.scratch = TemporaryDirectory()
    image = api.imgs[metric.img_ids[0]]
    others = {}
    for kind in files:
        found = dict(image_id=image['id'], category_id=metric.cat_ids[0], bbox=[0.0] * 4, score=0.0)
        if kind == 'segm':
            empty = torch.zeros(1, image['height'], image['width'], dtype=torch.bool)
            (found['segmentation'],) = encode_masks(empty)
        others[kind] = str(Path(metric.scratch.name) / f'nothing.{kind}.json')
        fileio.dump([found], others[kind])
    return others
