"""Results as one CSV table."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from mmengine.structures import BaseDataElement

from vitmm.inference.files import Growing
from vitmm.inference.inputs import Item
from vitmm.inference.predictor import Predictor

_COLUMNS = {
    'cls': ('label', 'class', 'score'),
    'det': ('label', 'class', 'score', 'x1', 'y1', 'x2', 'y2'),
    'seg': ('label', 'class', 'pixels', 'share'),
    'depth': ('nearest', 'mean', 'farthest'),
}


class TableWriter:
    """Writes ``results.csv``, if there is an image: it, the frame in a video, and by task

    - ``cls``: a row for the predicted class, or for each of several;
    - ``det``: a row for each box above ``score``, in pixels;
    - ``seg``: a row for each class that is there, its pixels and their share of the image;
    - ``depth``: a row, in metres.

    Args:
        out: the folder.
        predictor: of any task.
        score: 0 to 1.
    """

    def __init__(self, out: Path, predictor: Predictor, score: float = 0.3) -> None:
        self.task, self.classes, self.score = predictor.task, predictor.classes, score
        self.places = (out / 'results.csv',)
        columns = ('image', 'frame', *_COLUMNS[self.task])
        self.growing = Growing(self.places[0], ','.join(columns) + '\n')

    def add(self, item: Item, sample: BaseDataElement) -> None:
        """Note one image's results."""
        frame = '' if item.frame is None else item.frame
        rows = csv.writer(self.growing.begin(), lineterminator='\n')
        for row in getattr(self, f'_{self.task}')(sample):
            rows.writerow((item.media.name, frame, *row))

    def close(self) -> None:
        """End the file, if there is one."""
        self.growing.close()

    def _named(self, label: int) -> tuple[int, str]:
        return label, self.classes[label] if self.classes else str(label)

    def _cls(self, sample: BaseDataElement) -> Iterator[tuple]:
        for label in sample.pred_label.tolist():
            yield *self._named(label), f'{sample.pred_score[label].item():.6f}'

    def _det(self, sample: BaseDataElement) -> Iterator[tuple]:
        found = sample.pred_instances[sample.pred_instances.scores > self.score]
        for label, score, box in zip(
            found.labels.tolist(), found.scores.tolist(), found.bboxes.tolist(), strict=True
        ):
            yield *self._named(label), f'{score:.6f}', *(f'{side:.2f}' for side in box)

    def _seg(self, sample: BaseDataElement) -> Iterator[tuple]:
        segments = sample.pred_sem_seg.data.numpy()
        labels, pixels = np.unique(segments, return_counts=True)
        for label, number in zip(labels.tolist(), pixels.tolist(), strict=True):
            if label < len(self.classes):
                yield *self._named(label), number, f'{number / segments.size:.6f}'

    def _depth(self, sample: BaseDataElement) -> Iterator[tuple]:
        metres = sample.pred_depth_map.data
        yield tuple(f'{v.item():.4f}' for v in (metres.min(), metres.mean(), metres.max()))
