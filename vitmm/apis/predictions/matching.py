"""Which detection is which object, and what is wrong with the others."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pycocotools import mask as coco_masks

RIGHT, IGNORED = 'right', 'ignored'
# What can be wrong with a detection, in the order in which it is asked.
WRONG = ('twice', 'class', 'loose', 'loose and class', 'background')
_NEAR = 0.1  # IoU below which a detection has to do with no object
Kind = Literal['bbox', 'segm']


@dataclass(frozen=True)
class Objects:
    """Boxes of one image: the truth's, or detections.

    Attributes:
        boxes: (N, 4) x1 y1 x2 y2 in pixels of the file.
        labels: (N,) from 0.
        scores: (N,) 0 to 1, of detections.
        ignored: (N,) bool, of the truth: crowds and difficult ones, which count for nothing.
        masks: COCO's run lengths, or None.
    """

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None = None
    ignored: np.ndarray | None = None
    masks: list[dict] | None = None

    def above(self, score: float) -> 'Objects':
        """The detections with at least this score."""
        return self.at(np.flatnonzero(self.scores >= score))

    def at(self, chosen: Sequence[int] | np.ndarray) -> 'Objects':
        """Those of these numbers."""
        chosen = np.asarray(chosen, np.int64)
        return Objects(
            self.boxes[chosen],
            self.labels[chosen],
            None if self.scores is None else self.scores[chosen],
            None if self.ignored is None else self.ignored[chosen],
            None if self.masks is None else [self.masks[n] for n in chosen],
        )


@dataclass(frozen=True)
class Match:
    """Detections and objects of one image, matched.

    Attributes:
        kinds: of each detection ``RIGHT``, ``IGNORED`` or one of ``WRONG``: an object found
            ``twice``; one of another ``class``; ``loose``, an object of its class at an IoU of 0.1
            or more that is too low; ``loose and class``, one of another class likewise;
            ``background``, no object. These are the kinds of TIDE,
            https://arxiv.org/abs/2008.08115.
        objects: of each detection, the number of the object that it has to itself (right or of
            another class), or -1.
        near: of each detection, the number of the object that it was meant for, or -1.
        found: of each object, the number of the detection that it has, or -1.
    """

    kinds: list[str]
    objects: np.ndarray
    near: np.ndarray
    found: np.ndarray


def match(detections: Objects, truth: Objects, iou: float = 0.5, kind: Kind = 'bbox') -> Match:
    """Match greedily, one to one, the surest detections first.

    As in COCO's evaluation, each takes of the free objects of its class the one with the largest
    IoU; then what is left takes of the free objects of other classes. So a right detection never
    loses its object to one of another class.

    Args:
        detections: with scores.
        truth: ``ignored`` objects take whatever of their class lies on them.
        iou: from which on a detection is an object.
        kind: of boxes or of masks, which both sides then have.
    """
    count, number = len(detections.boxes), len(truth.boxes)
    ignored = np.zeros(number, bool) if truth.ignored is None else truth.ignored
    overlaps = _overlaps(detections, truth, ignored, kind)
    same = detections.labels[:, None] == truth.labels[None]
    kinds: list[str] = [''] * count
    objects, found = np.full(count, -1), np.full(number, -1)
    order = np.argsort(-detections.scores, kind='stable')
    for word, allowed in ((RIGHT, same), ('class', ~same)):
        for one in order:
            if kinds[one]:
                continue
            free = allowed[one] & (found < 0) & ~ignored & (overlaps[one] >= iou)
            if free.any():
                objects[one] = best = np.where(free, overlaps[one], -1).argmax()
                found[best], kinds[one] = one, word
            elif (same[one] & ignored & (overlaps[one] >= iou)).any():
                kinds[one] = IGNORED
    near = objects.copy()
    real = np.where(ignored[None], 0, overlaps)
    for one in np.flatnonzero(objects < 0):
        if kinds[one] != IGNORED:
            kinds[one], near[one] = _blame(real[one], same[one], iou)
    return Match(kinds, objects, near, found)


def _blame(overlaps: np.ndarray, same: np.ndarray, iou: float) -> tuple[str, int]:
    """What is wrong with a detection that has no object to itself, and which object it means."""
    for kind, allowed, least in (
        ('twice', same, iou),
        ('class', ~same, iou),
        ('loose', same, _NEAR),
        ('loose and class', ~same, _NEAR),
    ):
        chosen = np.where(allowed, overlaps, 0)
        if chosen.max(initial=0) >= least:
            return kind, int(chosen.argmax())
    return 'background', -1


def _overlaps(detections: Objects, truth: Objects, crowds: np.ndarray, kind: Kind) -> np.ndarray:
    """IoU (N, M); with a crowd, the share of the detection that lies in it."""
    if not (len(detections.boxes) and len(truth.boxes)):
        return np.zeros((len(detections.boxes), len(truth.boxes)))
    one, other = (_shapes(side, kind) for side in (detections, truth))
    return coco_masks.iou(one, other, crowds.astype(np.uint8))


def _shapes(objects: Objects, kind: Kind) -> np.ndarray | list[dict]:
    """Run lengths, or boxes (N, 4) as x y width height."""
    if kind == 'segm':
        return objects.masks
    boxes = objects.boxes
    return np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]]).astype(np.float64)
