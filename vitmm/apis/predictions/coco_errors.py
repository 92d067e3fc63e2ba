"""Which errors cost a detector its AP: COCO's analysis, after Hoiem et al.

https://cocodataset.org/#detection-eval (Analyze), https://doi.org/10.1007/978-3-642-33712-3_25.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from pycocotools import mask as coco_masks
from tqdm import tqdm

from vitmm.apis.predictions.matching import Kind, Objects

SIZES = ('all', 'small', 'medium', 'large')  # COCO's: below 32^2 and 96^2 pixels, and above
_MOST = 100  # detections of a class in an image, as in COCO's AP


@dataclass(frozen=True)
class ErrorCurves:
    """Precision by recall as one error after the other is forgiven.

    Attributes:
        names: ``C75``, ``C50``, ``Loc``, ``Sim`` (not without supercategories), ``Oth``, ``BG``,
            ``FN``.
        precision: (T, R, K, 4): for each of them, each recall, class, and size of ``SIZES``; NaN
            where a class has no object of the size.
        recall: (R,).
        classes: K names.
    """

    names: Sequence[str]
    precision: np.ndarray
    recall: np.ndarray
    classes: Sequence[str]

    def mean(self, size: int = 0) -> np.ndarray:
        """The mean over the classes that occur, (T, R); NaN where none does."""
        chosen = self.precision[..., size]
        chosen = chosen[..., ~np.isnan(chosen[0, 0])]
        return chosen.mean(2) if chosen.shape[2] else np.full(chosen.shape[:2], np.nan)

    def areas(self) -> dict[str, list[float | None]]:
        """Areas under the curves, T of each: of all classes, of them by size, of each class."""
        found = {'all': self.mean().mean(1)}
        found |= {f'all, {name}': self.mean(n).mean(1) for n, name in enumerate(SIZES) if n}
        areas = self.precision[..., 0].mean(1)
        found |= {name: areas[:, k] for k, name in enumerate(self.classes)}
        return {
            name: [None if np.isnan(value) else float(value) for value in values]
            for name, values in found.items()
        }

    def content(self) -> dict[str, Any]:
        """The areas by name, and the mean curves, for JSON."""
        areas = {
            name: dict(zip(self.names, values, strict=True))
            for name, values in self.areas().items()
        }
        curves = {name: row.tolist() for name, row in zip(self.names, self.mean(), strict=True)}
        return {'areas': areas, 'recall': self.recall.tolist(), 'precision': curves}


def error_curves(
    records: Sequence[Mapping[str, Any]],
    classes: Sequence[str],
    supercategories: Sequence[str] | None,
    kind: Kind,
) -> ErrorCurves:
    """Evaluate as COCO does, and again with other classes' objects taken for crowds.

    Args:
        records: of each image ``found`` and ``truth``, :class:`Objects`, and ``size``, (H, W).
        classes: names.
        supercategories: of each class, or None.
        kind: boxes or masks.
    """
    images = images_of(records)
    truth = [one for n, r in enumerate(records) for one in annotations(n, r['truth'], kind)]
    found = [one for n, r in enumerate(records) for one in annotations(n, r['found'], kind)]
    plain = evaluate(images, truth, found, range(len(classes)), [0.75, 0.5, 0.1], kind)
    rows = list(plain)
    groups = {'Oth': ['all'] * len(classes)}
    if supercategories is not None:
        groups = {'Sim': list(supercategories), **groups}
    rows += [np.full_like(plain[0], -1) for _ in groups]
    by_image: dict[int, list[dict]] = {}
    for one in truth:
        by_image.setdefault(one['image_id'], []).append(one)
    for label in tqdm(range(len(classes)), desc=f'errors ({kind})', unit='class'):
        own_found = [one for one in found if one['category_id'] == label]
        own = [one for one in truth if one['category_id'] == label]
        near = [o for n in {one['image_id'] for one in own_found} for o in by_image.get(n, ())]
        for row, group in zip(rows[3:], groups.values(), strict=True):
            # Other objects change nothing where nothing of this class was found.
            others = [
                {**one, 'category_id': label, 'iscrowd': 1}
                for one in near
                if one['category_id'] != label and group[one['category_id']] == group[label]
            ]
            forgiven = evaluate(images, [*own, *others], own_found, [label], [0.1], kind)
            row[:, label] = forgiven[0][:, 0]
    precision = np.stack(rows)
    absent = precision[0] < 0
    precision = np.where(absent, np.nan, precision.clip(min=0))
    # Without false detections precision is 1 as far as recall goes, and without misses it is 1.
    reached = np.where(absent, np.nan, precision[-1] > 0)
    precision = np.concatenate([precision, reached[None], np.where(absent, np.nan, 1.0)[None]])
    names = ['C75', 'C50', 'Loc', *groups, 'BG', 'FN']
    return ErrorCurves(names, precision, np.linspace(0, 1, precision.shape[1]), list(classes))


def images_of(records: Sequence[Mapping[str, Any]]) -> list[dict[str, int]]:
    """COCO's list of images, numbered in the order of the records."""
    sizes = [one['size'] for one in records]
    return [{'id': n, 'height': h, 'width': w} for n, (h, w) in enumerate(sizes)]


def annotations(image: int, objects: Objects, kind: Kind) -> list[dict[str, Any]]:
    """COCO's entries of one image's objects, without ``id``: :func:`evaluate` numbers them."""
    entries = []
    for n, (x1, y1, x2, y2) in enumerate(objects.boxes.tolist()):
        entry: dict[str, Any] = {
            'image_id': image,
            'category_id': int(objects.labels[n]),
            'bbox': [x1, y1, x2 - x1, y2 - y1],
            'area': (x2 - x1) * (y2 - y1),
            'iscrowd': int(objects.ignored is not None and objects.ignored[n]),
        }
        if objects.masks is not None:
            entry['area'] = float(coco_masks.area(objects.masks[n]))
        if objects.scores is not None:
            entry['score'] = float(objects.scores[n])
            if kind == 'bbox':  # as COCO.loadRes does
                entry['area'] = (x2 - x1) * (y2 - y1)
        if kind == 'segm':
            entry['segmentation'] = objects.masks[n]
        entries.append(entry)
    return entries


def evaluate(
    images: list[dict],
    truth: list[dict],
    found: list[dict],
    labels: Sequence[int],
    thresholds: list[float],
    kind: Kind,
) -> np.ndarray:
    """Evaluate by faster-coco-eval, 100 detections a class and image at most.

    Args:
        images: :func:`images_of`.
        truth, found: :func:`annotations`.
        labels: classes to evaluate.
        thresholds: of IoU.
        kind: boxes or masks.

    Returns:
        Precision (IoUs, recalls, classes, sizes), -1 where there is no object.
    """
    for number, one in enumerate([*truth, *found], 1):
        one['id'] = number
    categories = [{'id': label, 'name': str(label)} for label in labels]
    sides = [
        COCO({'images': images, 'annotations': some, 'categories': categories})
        for some in (truth, found)
    ]
    evaluation = COCOeval_faster(*sides, kind, print_function=_quiet)
    evaluation.params.iouThrs = np.array(thresholds)
    evaluation.params.maxDets = [_MOST]
    evaluation.evaluate()
    evaluation.accumulate()
    return np.asarray(evaluation.eval['precision'])[..., -1]


def _quiet(*words: Any) -> None:
    """faster-coco-eval tells each of its steps."""
