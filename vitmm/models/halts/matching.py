"""Queries matched one to one with objects, by costs that are read once for all images."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch
from mmdet.models.task_modules.assigners import (
    BBoxL1Cost,
    ClassificationCost,
    CrossEntropyLossCost,
    DiceCost,
    FocalLossCost,
    HungarianAssigner,
    IoUCost,
)
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment

from vitmm.models.halts.avoiding import send_numbers
from vitmm.models.halts.dense import borders
from vitmm.models.halts.padding import OF_OVERLAPS, fits

# These know nothing of an image but its queries and objects; BBoxL1Cost its size besides.
_PLAIN = (ClassificationCost, CrossEntropyLossCost, DiceCost, FocalLossCost, IoUCost)
Image = tuple[InstanceData, InstanceData, dict | None]  # predictions, objects, facts
Pairs = Sequence[tuple[np.ndarray, np.ndarray]]  # of each image queries (M,) and their objects (M,)


def match(assigner: HungarianAssigner, images: Sequence[Image], layers: int = 1) -> list[Pairs]:
    """Match the queries of each image with its objects at the least cost.

    Args:
        assigner: mmdet's.
        images: predictions, objects and facts of each.
        layers: that have predicted as many each, one after the other; each is matched by itself.

    Returns:
        Of each layer; the queries ascend.
    """
    by_layer = zip(*(np.split(cost, layers) for cost in _costs(assigner, images)), strict=True)
    return [[linear_sum_assignment(cost) for cost in costs] for costs in by_layer]


@torch.no_grad()
def _costs(assigner: HungarianAssigner, images: Sequence[Image]) -> list[np.ndarray]:
    """(queries, objects) of each image."""
    queries = [len(found) for found, _, _ in images]
    objects = [len(truth) for _, truth, _ in images]
    if not sum(queries) * sum(objects):
        return [np.empty(shape) for shape in zip(queries, objects, strict=True)]
    known = all(type(cost) in (*_PLAIN, BBoxL1Cost) for cost in assigner.match_costs)
    numbers = [sum(each) for each in zip(*map(_numbers, images), strict=True)]
    most = max(OF_OVERLAPS * sum(queries) * sum(objects), *numbers)
    if not known or len({*queries}) > 1 or not fits(most, images[0][0].scores.device):
        costs = [_cost(assigner, *image) for image in images]
        read = torch.cat([cost.flatten() for cost in costs]).cpu()
        read = read.split([cost.numel() for cost in costs])
        return [one.view(cost.shape).numpy() for one, cost in zip(read, costs, strict=True)]
    # Each query's with all images' objects, of which its own image's are read.
    whole = _of_all(assigner, images)
    starts = send_numbers(np.cumsum(objects) - objects, whole.device)
    columns = starts.repeat_interleave(queries[0])[:, None]
    columns = columns + torch.arange(max(objects), device=whole.device)
    read = whole.gather(1, columns.clamp(max=whole.shape[1] - 1)).cpu().split(queries)
    return [one[:, :own].numpy() for one, own in zip(read, objects, strict=True)]


def _of_all(assigner: HungarianAssigner, images: Sequence[Image]) -> torch.Tensor:
    """All images' queries with all images' objects."""
    found, truths = ([image[i] for image in images] for i in (0, 1))
    where = 'bboxes' if 'bboxes' in found[0] else 'masks'
    pixels = _joined(found, 'scores', where), _joined(truths, 'labels', where)
    parts = []
    for cost in assigner.match_costs:
        given, meta = pixels, None
        if type(cost) is BBoxL1Cost:  # of shares of the image
            given, meta = _shares(images, *pixels), dict(img_shape=(1, 1))
        parts.append(cost(pred_instances=given[0], gt_instances=given[1], img_meta=meta))
    return torch.stack(parts).sum(dim=0)


def _numbers(image: Image) -> list[int]:
    """How many numbers each field of the predictions has."""
    return [field.numel() for field in image[0].values()]


def _joined(parts: Sequence[InstanceData], *fields: str) -> InstanceData:
    """These fields of all of them, one after the other."""
    return InstanceData(**{name: torch.cat([one[name] for one in parts]) for name in fields})


def _shares(
    images: Sequence[Image], found: InstanceData, truth: InstanceData
) -> tuple[InstanceData, InstanceData]:
    """All images' boxes in widths and heights of their own image."""
    scales = borders([meta for _, _, meta in images], found.bboxes.device)
    boxes = found.bboxes.view(len(images), -1, 4) / scales[:, None]
    own = np.repeat(np.arange(len(images)), [len(objects) for _, objects, _ in images])
    objects = truth.bboxes / scales[send_numbers(own, scales.device)]
    return InstanceData(bboxes=boxes.flatten(0, 1)), InstanceData(bboxes=objects)


def _cost(
    assigner: HungarianAssigner, found: InstanceData, truth: InstanceData, meta: dict | None
) -> torch.Tensor:
    """(queries, objects)."""
    if not len(truth) or not len(found):
        return torch.empty(len(found), len(truth), device=truth.labels.device)
    parts = [
        cost(pred_instances=found, gt_instances=truth, img_meta=meta)
        for cost in assigner.match_costs
    ]
    return torch.stack(parts).sum(dim=0)


def one_after_the_other(
    pairs: Pairs, queries: int, truths: Sequence[InstanceData], background: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Number the queries and the objects of all images through.

    Args:
        pairs: what is matched in each image.
        queries: how many an image has.
        truths: the objects of each image.
        background: the class of queries that have none.

    Returns:
        The queries and the objects that are matched, (M,) each, of all images; and the classes of
        all queries, (images * queries,).
    """
    first = accumulate((len(truth.labels) for truth in truths), initial=0)
    numbers = [
        np.stack([own + image * queries, objects + before])
        for image, ((own, objects), before) in enumerate(zip(pairs, first, strict=False))
    ]
    labels = torch.cat([truth.labels for truth in truths])
    where, owner = send_numbers(np.concatenate(numbers, axis=1), labels.device)
    classes = labels.new_full((len(truths) * queries,), background)
    return where, owner, classes.index_put((where,), labels[owner])
