"""Results in COCO's format, https://cocodataset.org/#format-results."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.structures import BaseDataElement

from vitmm.datasets.coco_file import read_coco
from vitmm.datasets.errors import DataError
from vitmm.datasets.json_files import shared_json
from vitmm.errors import ConfigError, did_you_mean
from vitmm.evaluation.run_lengths import encode_masks
from vitmm.inference.files import Growing
from vitmm.inference.inputs import Item
from vitmm.inference.predictor import Predictor
from vitmm.whole_files import write_whole


class CocoWriter:
    """Writes ``results.json``, every detection with its score, and ``images.json`` to go with it.

    ``images.json`` lists images and categories: ``COCO('images.json').loadRes('results.json')``.
    Beside what COCO asks for, an entry has its ``file_name`` and ``category_name``, and ``frame``
    in a video. Segments have no box, and the score 1. Masks are run-length encoded.

    Args:
        out: the folder.
        predictor: of the task det or seg.
        ann: a COCO annotation file whose ids of images (by file name) and categories (by name) are
            taken; by default images are numbered from 1 in their order, categories by label + 1.

    Raises:
        ConfigError: results that COCO has no format for.
        DataError: an annotation file without these categories, and while writing, images.
    """

    def __init__(self, out: Path, predictor: Predictor, ann: Path | None = None) -> None:
        if predictor.task not in ('det', 'seg'):
            raise ConfigError(f'coco: it is a format of boxes and masks, not of {predictor.task}.')
        self.task, self.classes = predictor.task, predictor.classes
        self.ids: dict[str, int] | None = None
        self.categories = {name: label + 1 for label, name in enumerate(self.classes)}
        self.ann = ann
        if ann is not None:
            self.ids, self.categories = _ids(ann, self.classes)
        self.images: list[dict[str, Any]] = []
        self.places, self.count = (out / 'results.json', out / 'images.json'), 0
        self.results = Growing(self.places[0], '[')

    def add(self, item: Item, sample: BaseDataElement) -> None:
        """Note one image's results."""
        height, width = (int(side) for side in sample.ori_shape[:2])
        image = dict(id=self._image_id(item), file_name=item.media.name)
        frame = {} if item.frame is None else {'frame': item.frame}
        self.images.append({**image, **frame, 'height': height, 'width': width})
        file = self.results.begin()
        for label, entry in self._entries(sample):
            name = self.classes[label]
            entry = {
                'image_id': image['id'],
                'category_id': self.categories[name],
                **entry,
                'file_name': item.media.name,
                'category_name': name,
                **frame,
            }
            file.write((',\n' if self.count else '\n') + json.dumps(entry))
            self.count += 1

    def close(self) -> None:
        """End both files, if there was an image."""
        if not self.images:
            return
        self.results.close('\n]\n')
        categories = [dict(id=self.categories[name], name=name) for name in self.classes]
        content = dict(images=self.images, categories=categories, annotations=[])
        write_whole(self.places[1], json.dumps(content, indent=1))

    def _image_id(self, item: Item) -> int:
        if self.ids is None:
            return len(self.images) + 1
        name = item.media.name
        for known in (item.media.path, name, Path(name).name):
            if item.frame is None and known in self.ids:
                return self.ids[known]
        raise DataError(
            f'{self.ann} has no image {name}.{did_you_mean(name, self.ids)} Leave --ann out, or '
            'give the images that it lists.'
        )

    def _entries(self, sample: BaseDataElement) -> Iterator[tuple[int, dict[str, Any]]]:
        if self.task == 'seg':
            segments = sample.pred_sem_seg.data[0].numpy()
            for label in np.unique(segments[segments < len(self.classes)]).tolist():
                (code,) = encode_masks([segments == label])  # one by one, for their memory
                yield label, dict(score=1.0, segmentation=code)
            return
        found = sample.pred_instances
        codes = encode_masks(found.masks) if 'masks' in found else [None] * len(found)
        for label, score, (x1, y1, x2, y2), code in zip(
            found.labels.tolist(), found.scores.tolist(), found.bboxes.tolist(), codes, strict=True
        ):
            entry: dict[str, Any] = dict(bbox=[x1, y1, x2 - x1, y2 - y1], score=score)
            if code is not None:
                entry['segmentation'] = code
            yield label, entry


def _ids(ann: Path, classes: list[str]) -> tuple[dict[str, int], dict[str, int]]:
    """The ids of images by their names (a bare one where it is unique), and of the classes."""
    read_coco(ann)  # its errors say what is wrong with a file
    content = shared_json(ann)
    categories = {one['name']: one['id'] for one in content['categories']}
    absent = [name for name in classes if name not in categories]
    if absent:
        raise DataError(
            f"{ann} has no category '{absent[0]}', which the model knows."
            f'{did_you_mean(absent[0], categories)}'
        )
    images = {one['file_name']: one['id'] for one in content['images']}
    bare: dict[str, list[int]] = {}
    for name, number in images.items():
        bare.setdefault(Path(name).name, []).append(number)
    return {**{k: v[0] for k, v in bare.items() if len(v) == 1}, **images}, categories
