"""Queries matched one to one with objects, by costs that are read once for all images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmdet.models.task_modules.assigners import AssignResult, HungarianAssigner
from mmdet.models.task_modules.samplers import MaskPseudoSampler, MaskSamplingResult
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment
from torch import nn

from vitmm.models.halts.avoiding import replace, send_numbers


def avoid(module: nn.Module) -> None:
    """Replace the matching of a head of masks, and how it takes what was matched."""
    assigner, sampler = (getattr(module, name, None) for name in ('assigner', 'sampler'))
    if type(assigner) is HungarianAssigner and type(sampler) is MaskPseudoSampler:
        replace(assigner, 'assign', _assign)
        replace(sampler, 'sample', _sample)


def match(
    assigner: HungarianAssigner, images: Sequence[tuple[InstanceData, InstanceData, dict | None]]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Match the queries of each image with its objects at the least cost.

    Args:
        assigner: mmdet's.
        images: predictions, objects and facts of each.

    Returns:
        Of each image the queries (M,), ascending, and the object of each (M,).
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


def _assign(
    assigner: HungarianAssigner,
    pred_instances: InstanceData,
    gt_instances: InstanceData,
    img_meta: dict | None = None,
    **kwargs: Any,
) -> AssignResult:
    """``HungarianAssigner.assign``; what is matched, and what is not, is known besides."""
    queries, objects = match(assigner, [(pred_instances, gt_instances, img_meta)])[0]
    rest = np.setdiff1d(np.arange(len(pred_instances)), queries)
    labels = gt_instances.labels
    together = send_numbers(np.concatenate([queries, objects, rest]), labels.device)
    matched, owners, unmatched = together.split([len(queries), len(objects), len(rest)])
    owner = labels.new_zeros(len(pred_instances), dtype=torch.long)
    classes = owner - 1
    owner[matched] = owners + 1
    classes[matched] = labels[owners]
    result = AssignResult(len(gt_instances), owner, None, labels=classes)
    result.matched, result.unmatched = matched, unmatched
    return result


def _sample(
    sampler: MaskPseudoSampler,
    assign_result: AssignResult,
    pred_instances: InstanceData,
    gt_instances: InstanceData,
    *args: Any,
    **kwargs: Any,
) -> MaskSamplingResult:
    """``MaskPseudoSampler.sample``: all of them."""
    if not hasattr(assign_result, 'matched'):
        stock = type(sampler).sample
        return stock(sampler, assign_result, pred_instances, gt_instances, *args, **kwargs)
    masks = pred_instances.masks
    return MaskSamplingResult(
        pos_inds=assign_result.matched,
        neg_inds=assign_result.unmatched,
        masks=masks,
        gt_masks=gt_instances.masks,
        assign_result=assign_result,
        gt_flags=masks.new_zeros(len(masks), dtype=torch.uint8),
        avg_factor_with_neg=False,
    )
