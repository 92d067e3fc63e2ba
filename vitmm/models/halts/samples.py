"""Random samples of positives and negatives, whose numbers are read once for all images."""

from typing import Any

import torch
from mmdet.models.task_modules.assigners import AssignResult
from mmdet.models.task_modules.samplers import RandomSampler, SamplingResult
from mmengine.structures import InstanceData
from torch import nn

from vitmm.models.halts.avoiding import read, replace


def avoid(module: nn.Module) -> None:
    """Replace the sampling of the second stage's heads."""
    samplers = getattr(module, 'bbox_sampler', None)
    for sampler in samplers if isinstance(samplers, list) else [samplers]:
        if type(sampler) is RandomSampler:
            replace(sampler, 'sample', _sample)


def choose(sampler: RandomSampler, owner: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose at random what mmdet's sampler does: so many, and of these positives at most a share.

    Args:
        sampler: mmdet's.
        owner: 1 + its object for each prior, 0 for background, -1 for neither, (N,).

    Returns:
        The positives and the negatives that were chosen, (N,) of bool each.
    """
    most = int(sampler.num * sampler.pos_fraction)
    positive = _some(owner > 0, most, most)
    found = positive.sum()
    wanted = sampler.num - found
    if sampler.neg_pos_ub >= 0:
        wanted = torch.minimum(wanted, (sampler.neg_pos_ub * found.clamp(min=1)).long())
    return positive, _some(owner == 0, wanted, sampler.num)


def _some(mask: torch.Tensor, wanted: int | torch.Tensor, most: int) -> torch.Tensor:
    """Of what the mask (N,) has, as many as are wanted, at most ``most``, drawn at random."""
    most = min(most, len(mask))
    keys = torch.where(mask, torch.rand(len(mask), device=mask.device), 2.0)
    drawn, where = keys.topk(most, largest=False)
    taken = (drawn < 2) & (torch.arange(most, device=mask.device) < wanted)
    return torch.zeros_like(mask).scatter(0, where, taken)


def _sample(
    sampler: RandomSampler,
    assign_result: AssignResult,
    pred_instances: InstanceData,
    gt_instances: InstanceData,
    **kwargs: Any,
) -> SamplingResult:
    """``BaseSampler.sample``."""
    priors, truth = pred_instances.priors, gt_instances.bboxes
    if not (isinstance(priors, torch.Tensor) and isinstance(truth, torch.Tensor)):
        stock = type(sampler).sample
        return stock(sampler, assign_result, pred_instances, gt_instances, **kwargs)
    flags = priors.new_zeros(len(priors), dtype=torch.uint8)
    if sampler.add_gt_as_proposals and len(truth):
        priors = torch.cat([truth, priors])
        assign_result.add_gt_(gt_instances.labels)
        flags = torch.cat([flags.new_ones(len(truth)), flags])
    positive, negative = choose(sampler, assign_result.gt_inds)
    # Positives first, each in their order.
    order = (2 * positive.byte() + negative).argsort(descending=True, stable=True)
    waiting = vars(sampler).setdefault('waiting', [])
    counts = torch.stack([positive.sum(), negative.sum(), (positive & (flags > 0)).sum()])
    return _Later(waiting, counts, order, (priors, truth, assign_result, flags))


class _Later(SamplingResult):
    """A result that is made when it is first looked at, and all others that wait along with it.

    mmdet draws from one image after the other, and looks at the results when it has all of them.
    ``truths_sampled`` is how many of the positives are true boxes.
    """

    def __init__(
        self, waiting: list['_Later'], counts: torch.Tensor, order: torch.Tensor, rest: tuple
    ) -> None:
        self._waiting, self._counts, self._order, self._rest = waiting, counts, order, rest
        waiting.append(self)

    def __getattr__(self, name: str) -> Any:  # only of what is not there
        if name.startswith('_') or '_rest' not in vars(self):
            raise AttributeError(name)
        waiting = list(self._waiting)
        self._waiting.clear()
        numbers = iter(read(torch.cat([one._counts for one in waiting])))
        groups = zip(waiting, numbers, numbers, numbers, strict=True)
        for one, positives, negatives, truths in groups:
            drawn = one._order[:positives], one._order[positives : positives + negatives]
            SamplingResult.__init__(one, *drawn, *one._rest)
            one.truths_sampled = truths
            del one._waiting, one._counts, one._order, one._rest
        return getattr(self, name)
