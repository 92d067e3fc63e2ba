"""Which class was taken for which."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Confusion:
    """A confusion matrix: a row for each true class, a column for each predicted one.

    Attributes:
        counts: (K, K) int64.
        names: of the K classes, with ``'background'`` last where things may be missed.
        unit: what is counted: ``'images'``, ``'objects'``, ``'pixels'``.
        background: whether the last row holds false detections, the last column missed objects.
        false: of the false detections, how many are what, in words.
    """

    counts: np.ndarray
    names: Sequence[str]
    unit: str
    background: bool = False
    false: Mapping[str, int] = field(default_factory=dict)

    @property
    def shares(self) -> np.ndarray:
        """Each row divided by its sum, 0 to 1; NaN where a class does not occur."""
        sums = self.counts.sum(1, keepdims=True)
        return np.divide(
            self.counts, sums, out=np.full(self.counts.shape, np.nan), where=sums > 0, dtype=float
        )

    @property
    def words(self) -> str:
        """How it is to be read."""
        said = [
            'A row is a true class, a column a predicted one; the picture has shares of the row.'
        ]
        if self.background:
            missed, false = int(self.counts[:-1, -1].sum()), int(self.counts[-1].sum())
            kinds = '; '.join(f'{count:,} {words}' for words, count in self.false.items() if count)
            said += [
                f'The column background has the {missed:,} objects that no detection found.',
                f'The row background has the {false:,} false detections (false positives), by '
                f'the class that they claim{f": {kinds}" if kinds else ""}.',
            ]
        return ' '.join(said)

    def top(self, number: int = 20) -> list[dict[str, Any]]:
        """The most frequent confusions of two classes; the background is none.

        Returns:
            ``{'truth': …, 'predicted': …, 'count': …, 'share': …}``, the largest count first;
            ``share`` is of the true class.
        """
        classes = len(self.names) - self.background
        wrong = self.counts[:classes, :classes].copy()
        np.fill_diagonal(wrong, 0)
        order = np.argsort(-wrong, axis=None, kind='stable')[:number]
        shares = self.shares
        return [
            {
                'truth': self.names[row],
                'predicted': self.names[column],
                'count': int(wrong[row, column]),
                'share': float(shares[row, column]),
            }
            for row, column in zip(*np.unravel_index(order, wrong.shape), strict=True)
            if wrong[row, column]
        ]

    def by_class(self) -> list[dict[str, Any]]:
        """Of each class: how many there are, recall and precision; None where there are none.

        With a background also ``missed``, and ``false``: what is no object, or found already.
        """
        truths, found = self.counts.sum(1), self.counts.sum(0)
        right = np.diag(self.counts)
        told = []
        for k, name in enumerate(self.names[: len(self.names) - self.background]):
            one = {
                'class': name,
                self.unit: int(truths[k]),
                'recall': float(right[k] / truths[k]) if truths[k] else None,
                'precision': float(right[k] / found[k]) if found[k] else None,
            }
            if self.background:
                one |= {'missed': int(self.counts[k, -1]), 'false': int(self.counts[-1, k])}
            told.append(one)
        return told

    def content(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return {
            'unit': self.unit,
            'rows': 'truth',
            'columns': 'predicted',
            'classes': list(self.names),
            'counts': self.counts.tolist(),
            'by_class': self.by_class(),
            'top': self.top(),
        }

    def rows(self) -> list[list[Any]]:
        """The counts with the name of the true class before each row."""
        pairs = zip(self.names, self.counts.tolist(), strict=True)
        return [[name, *row] for name, row in pairs]


def count_pairs(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Count how often each class was predicted as each.

    Args:
        truth: labels (N,) from 0; others than 0 to ``classes`` - 1 do not count.
        predicted: labels (N,).
        classes: their number.

    Returns:
        (classes, classes) int64, rows are the truth.
    """
    known = (truth >= 0) & (truth < classes) & (predicted >= 0) & (predicted < classes)
    codes = truth[known].astype(np.int64) * classes + predicted[known]
    return np.bincount(codes, minlength=classes**2).reshape(classes, classes)
