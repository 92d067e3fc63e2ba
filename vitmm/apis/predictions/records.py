"""Noting what each image of a test set was predicted, while MMEngine's loop tests."""

import heapq
from collections.abc import Sequence
from typing import Any

from mmengine.evaluator import BaseMetric

from vitmm.apis.predictions.task import Task


class Records(BaseMetric):
    """A metric that measures nothing: it keeps a record of each image, in the data's order.

    MMEngine collects the records of all processes, each image once. What only a drawing needs (the
    map of a segmentation) is kept of the worst images alone, ``number`` a process.

    Args:
        task: tells what to note.
        number: of images that will be drawn.

    Attributes:
        found: the records after testing, in the main process.
    """

    def __init__(self, task: Task, number: int) -> None:
        super().__init__(prefix='records')  # MMEngine warns without one
        self.task, self.number = task, number
        self.found: list[dict[str, Any]] = []
        self._worst: list[tuple[float, int]] = []  # a heap: the best of them first

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Note one batch's data samples, as dicts."""
        for sample in data_samples:
            record = self.task.read(sample)
            record['path'] = str(sample.get('img_path') or f'image {len(self.results)}')
            self.results.append(record)
            if 'kept' in record:
                heapq.heappush(self._worst, (record['cost'], len(self.results) - 1))
                if len(self._worst) > self.number:
                    del self.results[heapq.heappop(self._worst)[1]]['kept']

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Keep the records of all processes; there is nothing to log."""
        self.found = results
        return {}
