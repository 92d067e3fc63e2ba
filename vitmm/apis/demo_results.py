"""What the page of ``tools/demo_app.py`` shows of one image."""

import csv
import html
import shutil
import time
import traceback
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.structures import BaseDataElement

from vitmm.apis.cli import user_message
from vitmm.compat.checkpoint import weights_file
from vitmm.inference.coco import CocoWriter
from vitmm.inference.drawing import Drawing
from vitmm.inference.files import write_image
from vitmm.inference.inputs import Item, Media
from vitmm.inference.masks import MaskWriter
from vitmm.inference.predictor import Predictor
from vitmm.inference.table import TableWriter

CLASSES = 10  # of a classifier that are shown
# How the columns of results.csv are called on the page, and the digits behind the point.
_COLUMNS = {
    'class': ('class', None),
    'score': ('score', 3),
    **{side: (side, 0) for side in ('x1', 'y1', 'x2', 'y2')},
    'pixels': ('pixels', 0),
    'share': ('share (%)', 1),
    **{name: (f'{name} (m)', 2) for name in ('nearest', 'mean', 'farthest')},
}


@dataclass(frozen=True)
class Found:
    """Results of one image.

    Attributes:
        task: ``'cls'``, ``'det'``, ``'seg'`` or ``'depth'``.
        picture: the file of the drawing.
        files: the others: ``csv``, and what the task has of ``json`` (COCO's) and ``maps``,
            of masks or depth.
        columns: names, of ``rows``.
        rows: a detection, a class or, of depth, the one image each.
        summary: a line for people.
    """

    task: str
    picture: Path
    files: dict[str, Path]
    columns: list[str]
    rows: list[list[Any]]
    summary: str


class Results:
    """Predicts with several models, of which it keeps the last few, and writes what they find.

    Args:
        out: the folder of the results of the last image.
        device: ``'auto'``, ``'cpu'``, ``'cuda'``, …
        keep: models that stay loaded.
    """

    def __init__(self, out: Path, device: str = 'auto', keep: int = 2) -> None:
        self.out, self.device, self.keep = out, device, keep
        self.models: OrderedDict[tuple, tuple[Predictor, Drawing]] = OrderedDict()
        self.last: tuple[Any, BaseDataElement, float] | None = None

    def __call__(self, checkpoint: str | Path, image: str | Path, score: float = 0.3) -> Found:
        """Predict one image file.

        Args:
            checkpoint: what :class:`Predictor` takes.
            image: its file.
            score: of the detections that are shown, 0 to 1; COCO's JSON has all.

        Raises:
            VitmmError: whatever the user can mend, in one message.
        """
        key = _version(checkpoint)
        predictor, draw = self._model(key)
        path = Path(image)
        item = Item(Media(str(path), path.name, path.stem))
        if self.last is None or self.last[0] != (key, item):  # else it is only drawn anew
            start = time.perf_counter()
            ((_, sample),) = predictor.predict([item], 1)
            self.last = (key, item), sample, time.perf_counter() - start
        _, sample, seconds = self.last
        draw.score = score
        shutil.rmtree(self.out, ignore_errors=True)
        picture = self.out / f'{path.stem}.jpg'
        write_image(picture, draw(item, sample))
        files = self._write(predictor, item, sample, score)
        columns, rows = _table(predictor, sample, self.out / 'results.csv')
        height, width = sample.ori_shape[:2]
        told = [f'{width} x {height} pixels', f'{seconds:.2f} s on {predictor.device}']
        if predictor.task == 'det':
            told.insert(0, f'{len(rows)} of {len(sample.pred_instances)} detections')
        return Found(predictor.task, picture, files, columns, rows, ' · '.join(told))

    def _model(self, key: tuple) -> tuple[Predictor, Drawing]:
        if key not in self.models:
            while len(self.models) >= self.keep:  # first, so that there is memory
                self.models.popitem(last=False)
            predictor = Predictor(key[0], device=self.device)
            self.models[key] = predictor, Drawing(predictor)
        self.models.move_to_end(key)
        return self.models[key]

    def _write(
        self, predictor: Predictor, item: Item, sample: BaseDataElement, score: float
    ) -> dict[str, Path]:
        writers: list[Any] = [TableWriter(self.out, predictor, score)]
        if predictor.task in ('det', 'seg'):
            writers.append(CocoWriter(self.out, predictor))
        if predictor.task in ('seg', 'depth') or predictor.gives_masks:
            writers.append(MaskWriter(self.out, predictor, score))
        for writer in writers:
            writer.add(item, sample)
            writer.close()
        places = dict(csv='results.csv', json='results.json', maps='*/*.[np][pn][gy]')
        found = {kind: next(self.out.glob(place), None) for kind, place in places.items()}
        return {kind: file for kind, file in found.items() if file}

    @staticmethod
    def explain(error: Exception, image: str | Path) -> str:
        """What to tell people about an error, as HTML; one that nobody foresaw is printed here."""
        message = user_message(error)
        if isinstance(error, torch.OutOfMemoryError):
            message = 'This image is too large for the memory of the device with this model.'
        if message is None:
            traceback.print_exception(error)
            reason = (str(error).splitlines() or [''])[0]
            message = f'{type(error).__name__}: {reason} (more where the server runs)'
        # The folder that an image was uploaded to says nothing.
        return html.escape(message.replace(str(image), Path(image).name))


def _version(checkpoint: str | Path) -> tuple:
    """A model at one moment: a file that is written anew is another one."""
    file = weights_file(checkpoint)
    told = file.stat() if file.exists() else None
    return str(checkpoint), told and (told.st_mtime_ns, told.st_size)


def _table(predictor: Predictor, sample: BaseDataElement, file: Path) -> tuple[list, list]:
    """Columns and rows for the page, the surest and the largest first."""
    if predictor.task == 'cls':  # the file has what was decided, people look at what was not
        scores, labels = sample.pred_score.topk(min(CLASSES, len(sample.pred_score)))
        names = predictor.classes or [str(label) for label in range(len(sample.pred_score))]
        pairs = zip(labels.tolist(), scores.tolist(), strict=True)
        return ['class', 'score'], [[names[label], round(score, 3)] for label, score in pairs]
    with file.open(newline='', encoding='utf-8') as lines:
        reader = csv.DictReader(lines)
        told = list(reader)
    names = [name for name in reader.fieldnames or () if name in _COLUMNS]
    for name in ('score', 'pixels'):
        told.sort(key=lambda row: -float(row.get(name, 0)))
    rows = [[_value(name, row[name]) for name in names] for row in told]
    return [_COLUMNS[name][0] for name in names], rows


def _value(name: str, text: str) -> str | float | int:
    digits = _COLUMNS[name][1]
    if digits is None:
        return text
    value = float(text) * (100 if name == 'share' else 1)
    return round(value, digits) if digits else round(value)
