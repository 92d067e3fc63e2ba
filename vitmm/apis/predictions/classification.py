"""Images of one class each."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vitmm.apis.predictions.confusion import Confusion, count_pairs
from vitmm.apis.predictions.task import Analysis, Key, Panel, rank
from vitmm.datasets.errors import DataError

_LEAST = 1e-38  # a score that float32 rounded to 0 still has a loss


class Classification:
    """Ranks by the loss -log(score of the true class).

    Args:
        classes: names.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = classes

    def read(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Note the true class, the likeliest one, and the scores of both."""
        label = sample.get('gt_label')
        if label is None or label.numel() != 1:
            raise DataError(f'{sample.get("img_path")} has no label: there is nothing to compare.')
        truth = int(label)
        scores = sample['pred_score'].float().cpu()
        if not 0 <= truth < len(scores):
            raise DataError(
                f'{sample.get("img_path")} is of class {truth}, and the model knows {len(scores)}.'
            )
        predicted = int(scores.argmax())
        loss = abs(math.log(max(float(scores[truth]), _LEAST)))  # of 1 it is 0, and not -0
        return {
            'truth': truth,
            'predicted': predicted,
            'score': float(scores[predicted]),
            'true_score': float(scores[truth]),
            'value': loss,
            'cost': loss,
        }

    def analyse(self, records: list[dict[str, Any]]) -> Analysis:
        """Rank, and count the confusions."""
        truth = np.array([one['truth'] for one in records])
        predicted = np.array([one['predicted'] for one in records])
        for one in records:
            true, taken = self.classes[one['truth']], self.classes[one['predicted']]
            one['row'] = {
                'truth': true,
                'predicted': taken,
                'score': one['score'],
                'true_score': one['true_score'],
            }
            one['words'] = f'truth {true} {one["true_score"]:.2f}'
            one['words'] += ', right' if true == taken else f', taken for {taken}'
            one['words'] += '' if true == taken else f' {one["score"]:.2f}'
        counts = count_pairs(truth, predicted, len(self.classes))
        return Analysis(
            short='loss',
            measure='loss, -log(score of the true class)',
            ranked=rank(records),
            confusion=Confusion(counts, self.classes, 'images'),
        )

    def draw(
        self, picture: np.ndarray, record: Mapping[str, Any], factor: float
    ) -> tuple[list[Panel], list[Key]]:
        """The image; its caption says the rest."""
        return [('', picture)], []
