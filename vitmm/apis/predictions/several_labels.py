"""Images of any number of classes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmpretrain.evaluation import AveragePrecision
from mmpretrain.structures import label_to_onehot
from torch.nn import functional as F

from vitmm.apis.predictions.task import Analysis, Key, Panel, Table, rank
from vitmm.datasets.errors import DataError

_HEAD = ('class', 'images', 'AP', 'right', 'missed', 'false', 'recall', 'precision')


class SeveralLabels:
    """Ranks by the mean binary cross-entropy of the classes; 2 x 2 counts a class.

    Args:
        classes: names.
        score: from which on a class counts as predicted, 0 to 1.
    """

    def __init__(self, classes: Sequence[str], score: float) -> None:
        self.classes, self.score = classes, score

    def read(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Note truth and scores, (classes,) each."""
        scores = sample['pred_score'].float().cpu()
        truth = sample.get('gt_score')
        if truth is None and sample.get('gt_label') is not None:
            truth = label_to_onehot(sample['gt_label'], len(scores))
        if truth is None:
            raise DataError(f'{sample.get("img_path")} has no labels: there is nothing to compare.')
        truth = truth.float().cpu()
        loss = float(F.binary_cross_entropy(scores.clamp(0, 1), truth))
        return {'truth': truth.numpy() > 0.5, 'scores': scores.numpy(), 'value': loss, 'cost': loss}

    def analyse(self, records: list[dict[str, Any]]) -> Analysis:
        """Rank, and count by class."""
        truth = np.stack([one['truth'] for one in records])
        scores = np.stack([one['scores'] for one in records])
        found = scores >= self.score
        for one in records:
            predicted = one['scores'] >= self.score
            missed = self._names(one['truth'] & ~predicted, one['scores'])
            false = self._names(~one['truth'] & predicted, one['scores'])
            one['row'] = {'truth': self._names(one['truth']), 'missed': missed, 'false': false}
            wrong = [f'{word} {names}' for word, names in (('missed', missed), ('false', false))]
            wrong = [words for words in wrong if not words.endswith(' ')]
            one['words'] = '; '.join([f'truth {one["row"]["truth"] or "none"}', *wrong])
        precision = AveragePrecision.calculate(
            torch.from_numpy(scores), torch.from_numpy(truth.astype(np.int64)), average=None
        ).tolist()
        rows = []
        for k, name in enumerate(self.classes):
            right = int((truth[:, k] & found[:, k]).sum())
            there, told = int(truth[:, k].sum()), int(found[:, k].sum())
            rows.append((
                name, there, precision[k] / 100 if there else None, right, there - right,
                told - right, right / there if there else None, right / told if told else None,
            ))  # fmt: skip
        note = f'A class counts as predicted from a score of {self.score:g} on.'
        return Analysis(
            short='loss',
            measure='mean binary cross-entropy of the classes',
            ranked=rank(records),
            tables=[Table('By class', 'classes', _HEAD, rows, note)],
            content={'classes': [dict(zip(_HEAD, row, strict=True)) for row in rows]},
            notes=['Images of several classes have no confusion matrix.'],
        )

    def draw(
        self, picture: np.ndarray, record: Mapping[str, Any], factor: float
    ) -> tuple[list[Panel], list[Key]]:
        """The image; its caption says the rest."""
        return [('', picture)], []

    def _names(self, chosen: np.ndarray, scores: np.ndarray | None = None) -> str:
        told = np.flatnonzero(chosen)
        return ', '.join(
            self.classes[k] + (f' {scores[k]:.2f}' if scores is not None else '') for k in told
        )
