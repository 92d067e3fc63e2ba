"""A distance for each pixel."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmseg.evaluation import DepthMetric

from vitmm.apis.predictions.drawing import colour_values
from vitmm.apis.predictions.task import Analysis, Key, Panel, rank
from vitmm.datasets.errors import DataError


class Depth:
    """Ranks by the absolute relative error, the mean of |prediction - truth| / truth.

    Args:
        settings: of mmseg's ``DepthMetric`` that say which pixels count.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.metric = DepthMetric(**settings)

    def read(self, sample: Mapping[str, Any]) -> dict[str, Any]:
        """Note the error; keep both maps for drawing."""
        if 'gt_depth_map' not in sample:
            raise DataError(
                f'{sample.get("img_path")} has no depth: there is nothing to compare. Does the '
                'test pipeline load it?'
            )
        predicted = sample['pred_depth_map']['data'].squeeze(0).float()
        truth = sample['gt_depth_map']['data'].squeeze(0).to(predicted)
        counts = self.metric._get_eval_mask(truth)
        error = ((predicted - truth).abs() / truth)[counts]
        value = float(error.mean()) if len(error) else None
        maps = [one.cpu().numpy().astype(np.float32) for one in (truth, predicted)]
        return {
            'value': value,
            'cost': -1.0 if value is None else value,
            'row': {'measured_pixels': len(error)},
            'words': f'{len(error) / truth.numel():.0%} of the pixels are measured',
            'kept': (*maps, counts.cpu().numpy()),
        }

    def analyse(self, records: list[dict[str, Any]]) -> Analysis:
        """Rank."""
        return Analysis(
            short='AbsRel',
            measure='absolute relative error, the mean of |prediction - truth| / truth',
            ranked=rank(records),
            notes=['Depth has no classes, and so no confusion matrix.'],
        )

    def draw(
        self, picture: np.ndarray, record: Mapping[str, Any], factor: float
    ) -> tuple[list[Panel], list[Key]]:
        """The image, both maps in the same colours, and the relative error; unknown is black."""
        truth, predicted, counts = record['kept']
        known = truth[counts]
        low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
        error = np.where(counts, np.abs(predicted - truth) / np.where(counts, truth, 1), np.nan)
        size = picture.shape[:2]
        seen = np.where(truth > 0, truth, np.nan)
        return [
            ('image', picture),
            (f'truth, {low:.2f} to {high:.2f} m', colour_values(seen, low, high, size)),
            ('prediction', colour_values(predicted, low, high, size)),
            ('error, 0 to 50 %', colour_values(error, 0, 0.5, size, 'inferno')),
        ], []
