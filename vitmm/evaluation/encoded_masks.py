"""Predicted masks that a metric keeps as run lengths."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from vitmm.evaluation.run_lengths import encode_masks


class EncodedMasks:
    """For mmdet's metrics of masks, which copy all from a GPU and encode one by one.

    Objects of classes that the data does not have count for nothing; mmdet stops at them.
    """

    results: list[tuple[dict, dict]]  # MMEngine's

    def process(self, data_batch: dict, data_samples: Sequence[Mapping]) -> None:
        """Keep what is predicted for each image; see mmdet."""
        number = len(self.dataset_meta['classes'])
        pairs = [_apart(sample, number) for sample in data_samples]
        before = len(self.results)
        super().process(data_batch, [sample for sample, _ in pairs])
        for (_, result), (_, masks) in zip(self.results[before:], pairs, strict=True):
            if masks is not None:
                result['masks'] = masks


def known_objects(found: Mapping[str, Any], number: int) -> Mapping[str, Any]:
    """What was predicted of the first ``number`` classes, where a head has more than the data."""
    known = found['labels'] < number
    if known.all():
        return found
    numbers = np.flatnonzero(known.cpu().numpy()).tolist()
    return {
        name: [value[n] for n in numbers] if isinstance(value, list) else value[known]
        for name, value in found.items()
    }


def _apart(sample: Mapping[str, Any], number: int) -> tuple[Mapping[str, Any], np.ndarray | None]:
    """A data sample of known classes without predicted masks, and their run lengths."""
    found = known_objects(sample['pred_instances'], number)
    masks = None
    if isinstance(found.get('masks'), torch.Tensor):
        # MMEngine looks into all lists and dicts that it gathers, but not into arrays.
        masks = np.array(encode_masks(found['masks']), dtype=object)
        found = {name: value for name, value in found.items() if name != 'masks'}
    return {**sample, 'pred_instances': found}, masks
