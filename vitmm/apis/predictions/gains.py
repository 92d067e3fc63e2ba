"""What AP would be gained if all errors of one kind were mended: TIDE's question.

https://arxiv.org/abs/2008.08115
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from tqdm import tqdm

from vitmm.apis.predictions.coco_errors import annotations, evaluate, images_of
from vitmm.apis.predictions.matching import RIGHT, WRONG, Kind, Match, Objects, match

MISSED = 'missed'


def gains(
    records: Sequence[Mapping[str, Any]], classes: int, iou: float, kind: Kind = 'bbox'
) -> dict[str, float]:
    """Mend one kind of error at a time, and measure the AP at ``iou`` again.

    A detection of another class gets the right one, a loose one the box and mask of its object;
    either goes where its object has a detection already. Other wrong detections go. Objects are
    missed that no detection is right about, nor wrong only in its class or its place; they go.

    Args:
        records: of each image ``found``, all detections, and ``truth``, :class:`Objects`, and
            ``size``, (H, W).
        classes: their number.
        iou: from which on a detection is an object.
        kind: the IoU and the AP of boxes or masks.

    Returns:
        AP after mending less AP, by kind: ``WRONG`` and ``'missed'``.
    """
    images = images_of(records)
    pairs = [(one['found'], one['truth']) for one in records]
    matches = [
        match(*pair, iou, kind) for pair in tqdm(pairs, desc='kinds of errors', unit='image')
    ]

    def measure(changed: Iterable[tuple[Objects, Objects]]) -> float:
        found, truth = [], []
        for number, (detections, objects) in enumerate(changed):
            found += annotations(number, detections, kind)
            truth += annotations(number, objects, kind)
        precision = evaluate(images, truth, found, range(classes), [iou], kind)[0, :, :, 0]
        precision = precision[:, precision[0] >= 0]
        return float(precision.mean()) if precision.size else 0.0

    before = measure(pairs)
    return {
        wrong: measure(mend(*pair, one, wrong) for pair, one in zip(pairs, matches, strict=True))
        - before
        for wrong in (*WRONG, MISSED)
    }


def mend(detections: Objects, truth: Objects, found: Match, kind: str) -> tuple[Objects, Objects]:
    """The detections and objects of an image without errors of one kind."""
    kinds = np.array(found.kinds, dtype=object)
    if kind == MISSED:
        near = {n for n, k in zip(found.near, kinds, strict=True) if k in (RIGHT, 'class', 'loose')}
        kept = [n for n in range(len(truth.boxes)) if n in near or truth.ignored[n]]
        return detections, truth.at(kept)
    wrong = kinds == kind
    if kind not in ('class', 'loose'):
        return detections.at(np.flatnonzero(~wrong)), truth
    labels, boxes, kept = detections.labels.copy(), detections.boxes.copy(), ~wrong
    masks = None if truth.masks is None else detections.masks and list(detections.masks)
    taken = set(found.near[kinds == RIGHT].tolist())
    for one in sorted(np.flatnonzero(wrong), key=lambda n: -detections.scores[n]):
        meant = int(found.near[one])
        if meant not in taken:
            taken.add(meant)
            kept[one] = True
            if kind == 'class':
                labels[one] = truth.labels[meant]
            else:
                boxes[one] = truth.boxes[meant]
                if masks:
                    masks[one] = truth.masks[meant]
    mended = replace(detections, labels=labels, boxes=boxes, masks=masks)
    return mended.at(np.flatnonzero(kept)), truth
