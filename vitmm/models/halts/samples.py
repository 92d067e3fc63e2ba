"""Random samples of positives and negatives, of all images at once, whose numbers are read once."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary, ref

import torch
from mmdet.models.task_modules.assigners import AssignResult
from mmdet.models.task_modules.samplers import RandomSampler, SamplingResult
from mmengine.structures import InstanceData
from torch import nn

from vitmm.models.assigners import MaxIoUAssigner, box_overlaps
from vitmm.models.halts.assigning import (
    LaterAssigned,
    are_tensors,
    assign_later,
    assign_now,
    tensors,
)
from vitmm.models.halts.avoiding import read, replace
from vitmm.models.halts.padding import Padding, groups


def avoid(module: nn.Module) -> None:
    """Replace the assignment and the sampling of the second stage's heads."""
    assigners, samplers = (
        each if isinstance(each, list) else [each]
        for each in (getattr(module, f'bbox_{name}', None) for name in ('assigner', 'sampler'))
    )
    for assigner, sampler in zip_longest(assigners, samplers):
        if type(sampler) is RandomSampler:
            replace(sampler, 'sample', _sample)
            if type(assigner) is MaxIoUAssigner:
                replace(assigner, 'assign', assign_later)


def choose(sampler: RandomSampler, owner: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Choose at random what mmdet's sampler does: so many, and of these positives at most a share.

    Args:
        sampler: mmdet's.
        owner: 1 + its object for each prior of an image, 0 for background, -1 for neither, (N, P).

    Returns:
        The positives and the negatives that were chosen, (N, P) of bool each.
    """
    most = int(sampler.num * sampler.pos_fraction)
    positive = _some(owner > 0, most, most)
    found = positive.sum(dim=1, keepdim=True)
    wanted = sampler.num - found
    if sampler.neg_pos_ub >= 0:
        wanted = torch.minimum(wanted, (sampler.neg_pos_ub * found.clamp(min=1)).long())
    return positive, _some(owner == 0, wanted, sampler.num)


def _some(mask: torch.Tensor, wanted: int | torch.Tensor, most: int) -> torch.Tensor:
    """Of what each row of the mask (N, P) has, as many as are wanted, (N, 1) or for each, at most
    ``most``, drawn at random."""
    most = min(most, mask.shape[1])
    keys = torch.where(mask, torch.rand(mask.shape, device=mask.device), 2.0)
    drawn, where = keys.topk(most, largest=False)
    taken = (drawn < 2) & (torch.arange(most, device=mask.device) < wanted)
    return torch.zeros_like(mask).scatter(1, where, taken)


def _sample(
    sampler: RandomSampler,
    assign_result: AssignResult,
    pred_instances: InstanceData,
    gt_instances: InstanceData,
    **kwargs: Any,
) -> SamplingResult:
    """``BaseSampler.sample``. What is yet to be assigned is so with the rest of the batch."""
    if not are_tensors(pred_instances, gt_instances):
        stock = type(sampler).sample
        return stock(sampler, assign_result, pred_instances, gt_instances, **kwargs)
    later = isinstance(assign_result, LaterAssigned)
    if later and assign_result.waits_for(pred_instances, gt_instances):
        assigner, told = assign_result.assigner, None
    else:
        assigner, told = None, (assign_result.gt_inds, assign_result.labels)
    if sampler.add_gt_as_proposals and len(gt_instances.bboxes):
        assign_result.add_gt_(gt_instances.labels)
    return _Later(sampler, _Image(*tensors(pred_instances, gt_instances), told, assigner))


class _Image(NamedTuple):
    """What samples are drawn from."""

    priors: torch.Tensor
    boxes: torch.Tensor
    labels: torch.Tensor
    told: tuple[torch.Tensor, torch.Tensor] | None  # None: the assigner is yet to say
    assigner: MaxIoUAssigner | None

    def assigned(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Of each prior, (P,), 1 + its object, 0 for background, -1 for neither; and its label."""
        if self.told:
            return self.told
        result = assign_now(self.assigner, self.priors, self.boxes, self.labels)
        return result.gt_inds, result.labels


# What samplers have yet to draw; what an iteration that died has left is gone with it.
_WAITING: WeakKeyDictionary[RandomSampler, list[ref]] = WeakKeyDictionary()


class _Later(SamplingResult):
    """A result that is made when it is first looked at, and all others that wait along with it.

    mmdet draws from one image after the other, and looks at the results when it has all of them.
    ``truths_sampled`` is how many of the positives are true boxes.
    """

    def __init__(self, sampler: RandomSampler, image: _Image) -> None:
        self._sampler, self._image = sampler, image
        _WAITING.setdefault(sampler, []).append(ref(self))

    def __getattr__(self, name: str) -> Any:  # only of what is not there
        if name.startswith('_') or '_image' not in vars(self):
            raise AttributeError(name)
        sampler = self._sampler
        waiting = [one for each in _WAITING.pop(sampler, ()) if (one := each()) is not None]
        if not any(one is self for one in waiting):  # an earlier draw of the batch failed
            waiting = [self]
        for one, found in zip(
            waiting, _draw(sampler, [one._image for one in waiting]), strict=True
        ):
            vars(one).clear()
            vars(one).update(found)
        return getattr(self, name)


def _draw(sampler: RandomSampler, images: Sequence[_Image]) -> Iterator[dict[str, Any]]:
    """The attributes of each image's ``SamplingResult``."""
    device = images[0].priors.device
    truths = Padding([len(image.boxes) for image in images], device)
    others = Padding([len(image.priors) for image in images], device)
    boxes = truths.lay([image.boxes for image in images])
    labels = truths.lay([image.labels for image in images])
    priors = others.lay([image.priors for image in images])
    owner, classes = _assigned(images, truths, others, boxes, labels, priors)
    owner = torch.where(others.real, owner, -1)
    first = truths.real.shape[1] if sampler.add_gt_as_proposals else 0
    if first:
        priors = torch.cat([boxes, priors], dim=1)
        own = torch.arange(1, first + 1, device=device)
        owner = torch.cat([torch.where(truths.real, own, -1), owner], dim=1)
        classes = torch.cat([labels, classes], dim=1)
    positive, negative = choose(sampler, owner)
    # Positives first, each in their order.
    order = (2 * positive.byte() + negative).argsort(dim=1, descending=True, stable=True)
    order = order[:, : sampler.num]
    counts = torch.stack(
        [positive.sum(dim=1), negative.sum(dim=1), positive[:, :first].sum(dim=1)], dim=1
    )
    priors = priors.take_along_dim(order[..., None], dim=1)
    own = owner.gather(1, order) - 1
    labels = classes.gather(1, order)
    boxes = boxes.take_along_dim(own.clamp(min=0)[..., None], dim=1)
    true = (order < first).byte()
    if first:  # where it is among the image's own, without what only fills up
        fill = first - truths.real.sum(dim=1, keepdim=True)
        order = torch.where(order < first, order, order - fill)
    rows = zip(images, order, priors, own, labels, boxes, true, strict=True)
    numbers = read(counts.flatten())
    for number, (image, *row) in enumerate(rows):
        positives, negatives, truths_sampled = numbers[3 * number : 3 * number + 3]
        inds, priors, own, labels, boxes, true = (each[: positives + negatives] for each in row)
        num_pos, num_neg = max(positives, 1), max(negatives, 1)
        yield dict(
            pos_inds=inds[:positives],
            neg_inds=inds[positives:],
            num_pos=num_pos,
            num_neg=num_neg,
            avg_factor_with_neg=True,
            avg_factor=num_pos + num_neg,
            pos_priors=priors[:positives],
            neg_priors=priors[positives:],
            pos_is_gt=true[:positives],
            num_gts=len(image.boxes),
            pos_assigned_gt_inds=own[:positives],
            pos_gt_labels=labels[:positives],
            pos_gt_bboxes=boxes[:positives],
            truths_sampled=truths_sampled,
        )


def _assigned(
    images: Sequence[_Image],
    truths: Padding,
    others: Padding,
    boxes: torch.Tensor,
    labels: torch.Tensor,
    priors: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Of each prior, (N, P), 1 + its object, 0 for background, -1 for neither; and its label."""
    assigner = images[0].assigner
    if assigner is None or any(image.assigner is not assigner for image in images):
        told = zip(*(image.assigned() for image in images), strict=True)
        return tuple(others.lay(parts) for parts in told)
    many = groups(len(images), boxes.shape[1], priors.shape[1], boxes.device)
    owner = torch.cat(
        [
            assigner.owners(box_overlaps(boxes[some], priors[some]), truths.real[some])[0]
            for some in many
        ]
    )
    return owner, labels.gather(1, (owner - 1).clamp(min=0))
