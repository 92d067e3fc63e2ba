"""What the analysis of each task has in common."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from matplotlib.figure import Figure

from vitmm.apis.predictions.confusion import Confusion

Panel = tuple[str, np.ndarray]  # a title and a picture, (H, W, 3) uint8 RGB
Key = tuple[str, tuple[int, int, int]]  # of a legend: a name and its colour


@dataclass(frozen=True)
class Table:
    """Rows of words and numbers, for the page and as CSV.

    Attributes:
        title: for people.
        name: of its CSV file, without suffix; None for a table that is on the page only.
        head: a name for each column.
        rows: a value for each column; numbers are rounded on the page.
        note: a sentence below it.
    """

    title: str
    name: str | None
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    note: str = ''

    def csv(self) -> str:
        """Its rows as CSV."""
        return to_csv(self.head, self.rows)


@dataclass
class Analysis:
    """What there is to tell of one test.

    Attributes:
        short: name of the measure of an image.
        measure: in words.
        ranked: a record of each image, the worst first; ``value`` is its measure, None where it has
            none, ``words`` what was wrong with it, ``row`` the further columns of ``worst.csv``.
        confusion: None where the task has none.
        figures: pictures by the name of their file, without suffix, each with a title.
        tables: for the page and as CSV.
        content: what goes into ``analysis.json`` besides.
        notes: what should be known to read it rightly.
    """

    short: str
    measure: str
    ranked: list[dict[str, Any]]
    confusion: Confusion | None = None
    figures: dict[str, tuple[str, Figure]] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    content: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


class Task(Protocol):
    """Reads predictions while testing, then analyses and draws them."""

    def read(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Note what was predicted of an image.

        Args:
            sample: OpenMMLab's data sample as a dict.

        Returns:
            Plain values and arrays on the CPU. A record with ``kept``, which only drawing needs,
            has a ``cost``, larger for worse images.
        """

    def analyse(self, records: list[dict[str, Any]]) -> Analysis:
        """Judge all records together, in the main process."""

    def draw(
        self, picture: np.ndarray, record: Mapping[str, Any], factor: float
    ) -> tuple[list[Panel], list[Key]]:
        """Draw truth and prediction on an image that was resized by ``factor``, with a legend."""


def rank(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records, the largest ``cost`` first, those that have no measure last."""
    return sorted(records, key=lambda one: (one['value'] is None, -one['cost'], one['path']))


def to_csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Rows as CSV; None is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator='\n')
    writer.writerow(head)
    writer.writerows(rows)
    return stream.getvalue()
