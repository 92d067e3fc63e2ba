"""Batches that are cheap to hand from a worker to the training process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import get_worker_info

from vitmm.datasets import pinning
from vitmm.datasets.parcel import Parcel
from vitmm.registry import FUNCTIONS

pinning.install()


@FUNCTIONS.register_module()
def collate(samples: Sequence[dict[str, Any]]) -> dict[str, Any] | Parcel:
    """MMEngine's ``pseudo_collate``, in a worker as a parcel.

    Args:
        samples: what the data set gave.

    Returns:
        A list for each key; in a worker a :class:`Parcel` that arrives as such.
    """
    return _on_its_way(pseudo_collate(samples))


@FUNCTIONS.register_module()
def stack_images(samples: Sequence[dict[str, Any]]) -> dict[str, Any] | Parcel:
    """:func:`collate`, with images of one shape as one tensor.

    For mmpretrain's data preprocessor, which takes images either way.

    Args:
        samples: what the data set gave; ``inputs`` are (C, H, W).

    Returns:
        ``inputs`` as (N, C, H, W) where the shapes are equal, or else as a list; the rest as lists.
    """
    batch = pseudo_collate(samples)
    images = batch.get('inputs')
    if isinstance(images, list) and all(isinstance(image, torch.Tensor) for image in images):
        shapes = {image.shape for image in images}
        if len(shapes) == 1:
            batch['inputs'] = torch.stack(images)
    return _on_its_way(batch)


def _on_its_way(batch: dict[str, Any]) -> dict[str, Any] | Parcel:
    return Parcel(batch) if get_worker_info() else batch
