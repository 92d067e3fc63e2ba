"""mmdet's COCO metrics, matched and accumulated in C++."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal
from unittest.mock import patch

import numpy as np
from faster_coco_eval import COCOeval_faster
from mmdet.evaluation.metrics import coco_metric
from mmengine import fileio
from pycocotools import mask as coco_masks
from pycocotools.coco import COCO

from vitmm.collector import paused
from vitmm.datasets.errors import DataError
from vitmm.errors import ConfigError
from vitmm.evaluation.encoded_masks import EncodedMasks
from vitmm.evaluation.nothing_found import files_to_measure


def predicted(results: list) -> list[str]:
    """What to measure where nobody says it: boxes, and masks too where they are predicted."""
    masks = all('masks' in prediction for _, prediction in results)
    return ['bbox', 'segm'] if masks else ['bbox']


class CocoMetric(EncodedMasks, coco_metric.CocoMetric):
    """mmdet's ``CocoMetric``, with the same figures: boxes ten times as fast, masks six times.

    ``faster-coco-eval`` (https://github.com/MiXaiLL76/faster_coco_eval) keeps pycocotools'
    interface and its definitions, https://cocodataset.org/#detection-eval. Annotations that are
    numbered from 0 are numbered anew, for pycocotools counts number 0 as never found.

    Args:
        ann_file: mmdet's, the annotations of the data set.
        metric: mmdet's, one or a list of ``'bbox'``, ``'segm'``, ``'proposal'``; None is boxes,
            and masks too where the model predicts them.
        backend: ``'faster'``, or ``'pycocotools'`` for the original.
        args, kwargs: mmdet's.

    Raises:
        ConfigError: another backend.
    """

    def __init__(
        self,
        ann_file: str | None = None,
        metric: str | Sequence[str] | None = None,
        *args: Any,
        backend: Literal['faster', 'pycocotools'] = 'faster',
        **kwargs: Any,
    ) -> None:
        super().__init__(ann_file, metric or 'bbox', *args, **kwargs)
        if backend not in ('faster', 'pycocotools'):
            raise ConfigError(
                f"vitmm.CocoMetric: backend is 'faster' or 'pycocotools', not {backend!r}."
            )
        self.backend = backend
        self.written: dict[str, list[dict]] = {}
        self.follow_predictions = metric is None
        if self._coco_api is not None and 0 in self._coco_api.anns:
            _number_anew(self._coco_api)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the metrics of all results; see mmdet. Nothing found at all is 0."""
        if self.follow_predictions:
            self.metrics = predicted(results)
        if self.backend == 'pycocotools':
            return super().compute_metrics(results)
        # mmdet's method names these itself; all that goes before and after is as it is.
        faster = partial(COCOeval_faster, print_function=print)
        with (
            patch.object(coco_metric, 'COCOeval', faster),
            patch.object(coco_metric, 'dump', self._dump),
            patch.object(coco_metric, 'load', self._load),
            patch.object(coco_metric.COCO, 'loadRes', _load_results),
            paused(),  # millions of objects, none in circles: a third of the time
        ):
            try:
                return super().compute_metrics(results)
            finally:
                self.written = {}

    def results2json(self, results: Sequence[dict], outfile_prefix: str) -> dict[str, str]:
        """Write the results of all images; see mmdet. Returns the files to measure."""
        if self.backend == 'pycocotools':
            files = super().results2json(results, outfile_prefix)
        else:
            kinds = ['bbox', 'segm'] if 'masks' in results[0] else ['bbox']
            files = {kind: f'{outfile_prefix}.{kind}.json' for kind in kinds}
            for kind, file in files.items():
                self._dump([one for each in results for one in self._objects(each, kind)], file)
            files['proposal'] = files['bbox']
        return files_to_measure(self, results, files, self._coco_api)

    def _objects(self, result: dict, kind: str) -> list[dict]:
        """What is predicted for an image, object by object, as COCO has it."""
        image, scores = result['img_id'], result['scores']
        if kind == 'segm':
            scores = result.get('mask_scores', scores)
        boxes = np.array(result['bboxes'], dtype=np.float64).reshape(-1, 4)
        boxes[:, 2:] -= boxes[:, :2]
        labels = [self.cat_ids[label] for label in result['labels'].tolist()]
        found = [
            dict(image_id=image, bbox=box, score=score, category_id=label)
            for box, score, label in zip(boxes.tolist(), scores.tolist(), labels, strict=True)
        ]
        if kind == 'segm':
            for one, mask in zip(found, result['masks'], strict=True):
                if isinstance(mask['counts'], bytes):
                    mask = {**mask, 'counts': mask['counts'].decode()}
                one['segmentation'] = mask
        return found

    def _dump(self, content: Any, file: str) -> None:
        """Keep what is measured next; write it if anyone is to have it."""
        if isinstance(content, list):
            self.written[file] = content
            if self.outfile_prefix is None:
                return
        fileio.put_text(json.dumps(content), file)  # into a file json writes number by number

    def _load(self, file: str) -> Any:
        """What was kept of a file of predictions, or is in it."""
        return self.written[file] if file in self.written else fileio.load(file)


def _number_anew(annotations: COCO) -> None:
    """From 1: to pycocotools an object that is matched to number 0 is matched to none."""
    for number, one in enumerate(annotations.dataset['annotations'], 1):
        one['id'] = number
    annotations.createIndex()


def _load_results(truth: COCO, predictions: list[dict]) -> COCO:
    """``truth.loadRes(predictions)`` without boxes of masks and outlines of boxes."""
    unknown = {one['image_id'] for one in predictions} - truth.imgs.keys()
    if unknown:
        raise DataError(
            f'predictions are of the image {min(unknown, key=str)}, which the annotations of the '
            'metric do not list: its ann_file is to be that of the data set.'
        )
    for number, one in enumerate(predictions, 1):
        mask = one.get('segmentation')
        area = coco_masks.area(mask) if mask else one['bbox'][2] * one['bbox'][3]
        one.update(id=number, area=area, iscrowd=0)
    loaded = COCO()
    loaded.dataset = {**truth.dataset, 'annotations': predictions}
    loaded.createIndex()
    return loaded
