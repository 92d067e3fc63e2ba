"""Boxes and masks of objects."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tqdm import tqdm

from vitmm.apis.predictions.charts import draw_errors
from vitmm.apis.predictions.coco_errors import ErrorCurves, error_curves
from vitmm.apis.predictions.confusion import Confusion
from vitmm.apis.predictions.drawing import STATES, draw_objects
from vitmm.apis.predictions.gains import MISSED, gains
from vitmm.apis.predictions.matching import IGNORED, RIGHT, WRONG, Kind, Match, Objects, match
from vitmm.apis.predictions.task import Analysis, Key, Panel, Table, rank
from vitmm.apis.predictions.truths import Truths
from vitmm.evaluation.encoded_masks import known_objects
from vitmm.evaluation.run_lengths import encode_masks

_WORDS = {
    'class': 'of another class',
    'twice': 'found twice',
    'loose': 'loose',
    'loose and class': 'loose and of another class',
    'background': 'on background',
}
# Likewise, where the confusion matrix has no object for them.
_FALSE = {
    **_WORDS,
    'class': 'of another class, on an object that was found',
    'background': 'on background, where no object is',
}
_LEGEND = {RIGHT: 'right', 'missed': 'missed', **_WORDS, IGNORED: 'ignored'}
_KINDS = {'bbox': 'boxes', 'segm': 'masks'}


class Detection:
    """Ranks by the F1 score of an image's masks, or of its boxes where model or data have no masks.

    Args:
        truths: the objects of the test set.
        score: from which on detections count in ranking and confusion matrix, 0 to 1.
        iou: from which on a detection is an object.
    """

    def __init__(self, truths: Truths, score: float, iou: float) -> None:
        self.truths, self.score, self.iou = truths, score, iou
        self.classes = truths.classes

    def read(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Note all detections."""
        found = known_objects(sample['pred_instances'], len(self.classes))
        boxes = getattr(found['bboxes'], 'tensor', found['bboxes'])
        masks = found.get('masks')
        if masks is not None:
            masks = encode_masks(masks)
        return {
            'id': sample.get('img_id'),
            'size': tuple(int(side) for side in sample['ori_shape'][:2]),
            'found': Objects(
                boxes.float().cpu().numpy(),
                found['labels'].cpu().numpy(),
                found['scores'].float().cpu().numpy(),
                masks=masks,
            ),
        }

    def analyse(self, records: list[dict[str, Any]]) -> Analysis:
        """Match, rank, count the confusions, and take COCO's errors apart."""
        number = len(self.classes)
        counts = np.zeros((number + 1, number + 1), np.int64)
        wrong: Counter[str] = Counter()
        false: Counter[str] = Counter()  # those of them that the matrix has as background
        for place, one in enumerate(records):
            one['truth'] = self.truths.of(place, one)
        kind = _kind(records)
        for one in tqdm(records, desc='matching', unit='image'):
            one['sure'] = sure = one['found'].above(self.score)
            one['match'] = found = match(sure, one['truth'], self.iou, kind)
            add_to(counts, found, sure, one['truth'])
            wrong.update(found.kinds)
            false.update(np.array(found.kinds, object)[found.objects < 0])
            one.update(_judge(found, one['truth']))
        analysis = Analysis(
            short='F1',
            measure=f'F1 of {_KINDS[kind]} at IoU {self.iou:g} and scores from {self.score:g} on',
            ranked=rank(records),
            confusion=Confusion(
                counts,
                [*self.classes, 'background'],
                'objects',
                background=True,
                false={_FALSE[kind]: false[kind] for kind in reversed(WRONG)},
            ),
            content={'matched_by': _KINDS[kind], 'detections': dict(wrong)},
            notes=list(self.truths.notes),
        )
        missed = int(counts[:-1, -1].sum())
        gained = gains(records, number, self.iou, kind)
        analysis.tables.append(_kinds_table(wrong, missed, gained, self, kind))
        analysis.content |= {'missed': missed, 'AP_gained': gained}
        self._add_errors(analysis, records, ('bbox',) if kind == 'bbox' else ('bbox', 'segm'))
        return analysis

    def _add_errors(
        self, analysis: Analysis, records: list[dict[str, Any]], kinds: Sequence[Kind]
    ) -> None:
        analysis.content['coco_errors'] = {}
        for kind in kinds:
            curves = error_curves(records, self.classes, self.truths.supercategories, kind)
            words = _KINDS[kind]
            analysis.figures[f'errors_{kind}'] = (
                f'COCO errors of {words}',
                draw_errors(curves, words),
            )
            analysis.tables.append(_table(curves, kind, words))
            analysis.content['coco_errors'][kind] = curves.content()
        if self.truths.supercategories is None:
            analysis.notes.append(
                'Sim, the confusions inside a supercategory, is left out: the annotations give '
                'the classes no supercategories that would tell some of them from others.'
            )

    def draw(
        self, picture: np.ndarray, record: Mapping[str, Any], factor: float
    ) -> tuple[list[Panel], list[Key]]:
        """Truth and detections above the score, in the colours of what is wrong."""
        found, truth, sure = record['match'], record['truth'], record['sure']
        states = [
            IGNORED if truth.ignored[n] else 'missed' if at < 0 else found.kinds[at]
            for n, at in enumerate(found.found)
        ]
        names = [self.classes[label] for label in truth.labels]
        told = [
            f'{self.classes[label]} {score:.2f}'
            for label, score in zip(sure.labels, sure.scores, strict=True)
        ]
        legend = [
            (words, STATES[state])
            for state, words in _LEGEND.items()
            if state in states or state in found.kinds
        ]
        return [
            ('truth', draw_objects(picture, truth, names, states, factor)),
            ('prediction', draw_objects(picture, sure, told, found.kinds, factor)),
        ], legend


def _kind(records: Sequence[Mapping[str, Any]]) -> Kind:
    """Masks where all detections and objects have some."""
    sides = [one[side] for one in records for side in ('found', 'truth')]
    return 'bbox' if any(side.masks is None for side in sides) else 'segm'


def add_to(counts: np.ndarray, found: Match, detections: Objects, truth: Objects) -> None:
    """Count one image into a confusion matrix, in place.

    A row sums up to the objects of a class, a column to the detections of one; the last row holds
    what is no object (or one already found), the last column what was missed.

    Args:
        counts: (classes + 1, classes + 1).
    """
    for label, at, kind in zip(detections.labels, found.objects, found.kinds, strict=True):
        if kind != IGNORED:
            counts[truth.labels[at] if at >= 0 else -1, label] += 1
    for label, at, ignored in zip(truth.labels, found.found, truth.ignored, strict=True):
        if at < 0 and not ignored:
            counts[label, -1] += 1


def _judge(found: Match, truth: Objects) -> dict[str, Any]:
    """The measure of an image, and what was wrong with it in words."""
    kinds = Counter(found.kinds)
    right = kinds[RIGHT]
    false = len(found.kinds) - right - kinds[IGNORED]
    objects = int((~truth.ignored).sum())
    missed = int(((found.found < 0) & ~truth.ignored).sum())
    value = 2 * right / (objects + right + false) if objects + right + false else 1.0
    words = [f'{right} of {objects} right', *([f'{missed} missed'] if missed else [])]
    words += [f'{kinds[kind]} {_WORDS[kind]}' for kind in WRONG if kinds[kind]]
    row = {'objects': objects, 'right': right, 'missed': missed}
    row |= {kind.replace(' ', '_'): kinds[kind] for kind in WRONG}
    # Of images with the same F1 the one with more errors is worse.
    cost = 1 - value + 1e-9 * (missed + false)
    return {'value': value, 'cost': cost, 'words': ', '.join(words), 'row': row}


def _kinds_table(
    kinds: Mapping[str, int], missed: int, gained: Mapping[str, float], task: Detection, by: Kind
) -> Table:
    name = f'AP{100 * task.iou:.0f}'
    head = ('kind', 'number', f'{name} gained without')
    rows: list[tuple] = [(RIGHT, kinds.get(RIGHT, 0), None)]
    rows += [(_WORDS[kind], kinds.get(kind, 0), gained[kind]) for kind in WRONG]
    rows.append(('missed objects', missed, gained[MISSED]))
    note = (
        f'Numbers from a score of {task.score:g} on; loose is an IoU of {_KINDS[by]} from 0.1 to '
        f'{task.iou:g}, on background (a false positive where no object is) less with all. '
        f'What {name} of {_KINDS[by]} would gain if this kind alone were mended (TIDE) is of all '
        'detections.'
    )
    return Table('Kinds of errors', 'detections', head, rows, note)


def _table(curves: ErrorCurves, kind: str, words: str) -> Table:
    areas = curves.areas()
    head: Sequence[str] = ('class', *curves.names)
    rows = [(name, *values) for name, values in areas.items()]
    note = (
        'Areas under the precision-recall curve as errors are forgiven one after the other: C75 '
        'and C50 are AP at these IoUs, Loc AP at IoU 0.1; then confusions inside a supercategory '
        '(Sim), all confusions (Oth), all other false detections, second ones of an object '
        'included (BG), and misses (FN) go. A large step is a frequent error.'
    )
    return Table(f'COCO errors of {words}', f'errors_{kind}', head, rows, note)
