"""Queries matched one to one with objects, by costs that are read once for all images."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch
from mmdet.models.task_modules.assigners import HungarianAssigner
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment

from vitmm.models.halts.avoiding import send_numbers

Pairs = Sequence[tuple[np.ndarray, np.ndarray]]  # of each image queries (M,) and their objects (M,)


def match(
    assigner: HungarianAssigner, images: Sequence[tuple[InstanceData, InstanceData, dict | None]]
) -> Pairs:
    """Match the queries of each image with its objects at the least cost.

    Args:
        assigner: mmdet's.
        images: predictions, objects and facts of each.

    Returns:
        The queries ascend.
    """
    costs = [_costs(assigner, *image) for image in images]
    read = torch.cat([cost.flatten() for cost in costs]).cpu().split([c.numel() for c in costs])
    pairs = zip(read, costs, strict=True)
    return [linear_sum_assignment(numbers.view(cost.shape).numpy()) for numbers, cost in pairs]


def _costs(
    assigner: HungarianAssigner, found: InstanceData, truth: InstanceData, meta: dict | None
) -> torch.Tensor:
    """(queries, objects)."""
    if not len(truth) or not len(found):
        return torch.empty(len(found), len(truth), device=truth.labels.device)
    parts = [
        cost(pred_instances=found, gt_instances=truth, img_meta=meta)
        for cost in assigner.match_costs
    ]
    return torch.stack(parts).sum(dim=0).detach()


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
