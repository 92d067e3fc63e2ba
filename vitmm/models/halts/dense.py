"""What boxes and their losses share: nothing is picked, what does not count weighs nothing."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from vitmm.models.halts.avoiding import send_numbers

EPS = torch.finfo(torch.float32).eps
_SIZES = 8  # of maps, whose anchors are kept: 3 MiB each for an image of 1024 x 1024
OVERLAPS = ('IoULoss', 'GIoULoss', 'DIoULoss', 'CIoULoss')  # mmdet's, of corners


def encode(coder: Any, priors: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    """mmdet's ``DeltaXYWHBBoxCoder.encode``, whose constants need not be sent to the GPU.

    Args:
        coder: mmdet's.
        priors: (N, 4) corners, pixels.
        boxes: (N, 4) likewise.

    Returns:
        (N, 4): offsets of the centres in sizes of the priors, and logarithms of the ratios of the
        sizes (https://arxiv.org/abs/1311.2524, appendix C), less ``means``, by ``stds``.
    """
    (centre, size), (at, own) = _centres(priors), _centres(boxes)
    deltas = torch.cat([(at - centre) / size, (own / size).log()], dim=-1)
    means, stds = _constants(coder, deltas.device)
    return (deltas - means) / stds


def decode(coder: Any, priors: torch.Tensor, deltas: torch.Tensor) -> torch.Tensor:
    """mmdet's ``DeltaXYWHBBoxCoder.decode``, likewise, before boxes are clipped at the border.

    Args:
        coder: mmdet's.
        priors: (..., 4) corners, pixels.
        deltas: (..., 4): what :func:`encode` gives.

    Returns:
        (..., 4) corners, pixels.
    """
    means, stds = _constants(coder, deltas.device)
    deltas = deltas * stds + means
    most = abs(math.log(16 / 1000))  # the ratio of sizes that mmdet clips at
    middle, size = _centres(priors)
    centre = middle + size * deltas[..., :2]
    half = size * deltas[..., 2:].clamp(-most, most).exp() * 0.5
    return torch.cat([centre - half, centre + half], dim=-1)


def decodes_plainly(coder: Any) -> bool:
    """Whether :func:`decode` and :func:`clip` do what mmdet's coder does."""
    from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder

    known = type(coder) is DeltaXYWHBBoxCoder
    return known and not coder.add_ctr_clamp and not coder.use_box_type


def borders(metas: Sequence[dict], device: torch.device) -> torch.Tensor:
    """How far corners may lie in N images, and what their shares are of: (N, 4) of width, height,
    width, height, pixels."""
    shapes = np.array([meta['img_shape'][:2] for meta in metas], np.float32)
    return send_numbers(shapes[:, [1, 0, 1, 0]], device)


def clip(coder: Any, boxes: torch.Tensor, borders: torch.Tensor) -> torch.Tensor:
    """Boxes (..., 4) cut off at the borders of their images (..., 4), if the coder does so."""
    return torch.minimum(boxes.clamp(min=0), borders) if coder.clip_border else boxes


def of_classes(head: Any, offsets: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Of a box head's offsets (N, classes * 4 or 4) those of the labels (N,): (N, 4)."""
    offsets = offsets.unflatten(1, (offsets.shape[1] // 4, 4))  # -1 fails where there are none
    if not head.reg_class_agnostic:
        own = labels.clamp(0, head.num_classes - 1)
        offsets = offsets.take_along_dim(own[:, None, None].expand(-1, 1, 4), dim=1)
    return offsets[:, 0]


def grid_priors(
    generator: Any, sizes: Sequence[tuple[int, int]], device: torch.device
) -> list[torch.Tensor]:
    """The anchors of each level, (A, 4), of mmdet's generator for maps of these (height, width).

    Those of the last sizes are kept: an iteration's losses and proposals want the same, and often
    one of the next iterations' do.
    """

    def make() -> list[torch.Tensor]:
        # They wait on the CPU, to be sent to the GPU in each iteration.
        generator.base_anchors = [base.to(device) for base in generator.base_anchors]
        return generator.grid_priors(sizes, device=device)

    return _kept(generator, ('priors', *map(tuple, sizes), device), make)


def grid_corners(
    generator: Any, sizes: Sequence[tuple[int, int]], device: torch.device
) -> torch.Tensor:
    """Where the cells of all these anchors begin: top and left, pixels, (A, 2)."""

    def make() -> torch.Tensor:
        corners = []
        levels = zip(sizes, generator.strides, generator.num_base_priors, strict=True)
        for size, (x, y), many in levels:
            cells = np.stack(np.indices(size), axis=-1) * (y, x)
            corners.append(cells.reshape(-1, 2).repeat(many, axis=0))
        return send_numbers(np.concatenate(corners), device)

    return _kept(generator, ('corners', *map(tuple, sizes), device), make)


def _constants(coder: Any, device: torch.device) -> torch.Tensor:
    """The coder's means and standard deviations, (2, 4)."""

    def make() -> torch.Tensor:
        return send_numbers(np.array([coder.means, coder.stds], np.float32), device)

    return _kept(coder, ('constants', device), make)


def _centres(boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres and sizes, (..., 2) each."""
    first, last = boxes.float().split(2, dim=-1)
    return (first + last) * 0.5, last - first


def _kept(owner: Any, key: tuple, make: Callable[[], Any]) -> Any:
    """What was made for the key, one of the last ``_SIZES`` that the owner was asked for."""
    kept = vars(owner).setdefault('kept', {})
    with torch.inference_mode(False):  # validation makes them, and training takes them
        kept[key] = kept.pop(key) if key in kept else make()  # the last asked for is at the end
    while len(kept) > _SIZES:
        del kept[next(iter(kept))]
    return kept[key]


def label_weights(
    train_cfg: Mapping[str, Any], positive: torch.Tensor, negative: torch.Tensor
) -> torch.Tensor:
    """How much each label counts: 1, positives ``pos_weight`` if it is above 0, others 0."""
    heavy = train_cfg['pos_weight']
    return positive * (heavy if heavy > 0 else 1.0) + negative


def class_loss(
    loss: nn.Module,
    scores: torch.Tensor,
    labels: torch.Tensor,
    weights: torch.Tensor,
    avg_factor: torch.Tensor,
) -> Any:
    """mmdet's loss of scores (N, C) and labels (N,) under weights (N,)."""
    from mmdet.models.losses import CrossEntropyLoss, FocalLoss

    sigmoid = getattr(loss, 'use_sigmoid', False) and not getattr(loss, 'activated', False)
    # mmdet makes them one-hot itself, by reading which there are, and which to ignore; for a GPU it
    # has a focal loss of plain labels.
    if sigmoid and (
        (type(loss) is CrossEntropyLoss and loss.ignore_index is None)
        or (type(loss) is FocalLoss and not scores.is_cuda)
    ):
        classes = torch.arange(scores.shape[1], device=labels.device)
        labels = (labels[:, None] == classes).to(scores.dtype)
        weights = weights[:, None].expand_as(scores)
    return loss(scores, labels, weights, avg_factor=avg_factor)


def box_loss(
    loss: nn.Module,
    found: torch.Tensor,
    wanted: torch.Tensor,
    weights: torch.Tensor,
    avg_factor: torch.Tensor | float,
) -> torch.Tensor:
    """mmdet's loss of offsets or corners (N, 4) under weights (N,)."""
    from mmdet.models import losses

    asking = ('L1Loss', 'SmoothL1Loss', *OVERLAPS)
    if type(loss) in [getattr(losses, name) for name in asking] and loss.reduction == 'mean':
        # With weights they ask first whether there is any.
        each = loss(found, wanted, reduction_override='none')
        if each.dim() > 1:  # of each number, not of each box
            weights = weights[:, None]
        return (each * weights).sum() / (avg_factor + EPS)
    return loss(found, wanted, weights[:, None].expand_as(found), avg_factor=avg_factor)
