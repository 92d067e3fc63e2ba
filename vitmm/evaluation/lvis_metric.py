"""mmdet's LVIS metric on today's NumPy."""

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import numpy as np
from mmdet.evaluation.metrics import lvis_metric

from vitmm.datasets.files import need_lvis
from vitmm.evaluation.coco_metric import predicted
from vitmm.evaluation.encoded_masks import EncodedMasks
from vitmm.evaluation.nothing_found import files_to_measure


class LVISMetric(EncodedMasks, lvis_metric.LVISMetric):
    """mmdet's ``LVISMetric``: AP over all, rare, common and frequent categories.

    The definitions are those of LVIS, https://arxiv.org/abs/1908.03195: a category counts on the
    images only where the annotations say of it that it is there or that it is not.

    Args:
        ann_file: mmdet's, the annotations of the data set.
        metric: mmdet's, one or a list of ``'bbox'``, ``'segm'``, ``'proposal'``; None is boxes,
            and masks too where the model predicts them.
        args, kwargs: mmdet's.

    Raises:
        DataError: the package lvis is missing.
    """

    def __init__(
        self,
        ann_file: str | None = None,
        metric: str | Sequence[str] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        need_lvis()
        super().__init__(ann_file, metric or 'bbox', *args, **kwargs)
        self.follow_predictions = metric is None

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the metrics of all results; see mmdet. Nothing found at all is 0."""
        if self.follow_predictions:
            self.metrics = predicted(results)
        # lvis 0.5.3 still says np.float, which NumPy took away in 1.24.
        with patch.object(np, 'float', float, create=True):
            return super().compute_metrics(results)

    def results2json(self, results: Sequence[dict], outfile_prefix: str) -> dict[str, str]:
        """Write the results of all images; see mmdet. Returns the files to measure."""
        files = super().results2json(results, outfile_prefix)
        return files_to_measure(self, results, files, self._lvis_api)
