"""Predicted masks that a metric keeps as run lengths."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from vitmm.evaluation.run_lengths import encode_masks


class EncodedMasks:
    """For mmdet's metrics of masks, which copy all from a GPU and encode one by one."""

    results: list[tuple[dict, dict]]  # MMEngine's

    def process(self, data_batch: dict, data_samples: Sequence[Mapping]) -> None:
        """Keep what is predicted for each image; see mmdet."""
        pairs = [_apart(sample) for sample in data_samples]
        before = len(self.results)
        super().process(data_batch, [sample for sample, _ in pairs])
        for (_, result), (_, masks) in zip(self.results[before:], pairs, strict=True):
            if masks is not None:
                result['masks'] = masks


def _apart(sample: Mapping[str, Any]) -> tuple[Mapping[str, Any], np.ndarray | None]:
    """A data sample without predicted masks, and their run lengths."""
    found = sample['pred_instances']
    if not isinstance(found.get('masks'), torch.Tensor):
        return sample, None
    # MMEngine looks into all lists and dicts that it gathers, but not into arrays.
    masks = np.array(encode_masks(found['masks']), dtype=object)
    rest = {name: value for name, value in found.items() if name != 'masks'}
    return {**sample, 'pred_instances': rest}, masks
