"""The score of a class, as a scalar that gradients go back from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement
from torch import nn

from vitmm.errors import ConfigError

MOST = 3  # classes that are chosen where the user names none


@dataclass
class Scores:
    """What a model says of one image.

    Attributes:
        classes: the labels that it finds, the surest first, at most three.
        words: how sure it is of each label, for people.
        scalars: of labels with something to go back from.
        boxes: (k, 4) x1 y1 x2 y2 in pixels of the network's input, by label, of detectors.
        regions: (H, W) bool, by label, of segmentation.
    """

    classes: list[int] = field(default_factory=list)
    words: dict[int, str] = field(default_factory=dict)
    scalars: dict[int, torch.Tensor] = field(default_factory=dict)
    boxes: dict[int, np.ndarray] = field(default_factory=dict)
    regions: dict[int, np.ndarray] = field(default_factory=dict)


def score(
    model: nn.Module,
    task: str,
    inputs: torch.Tensor,
    sample: BaseDataElement,
    labels: Sequence[int] | None = None,
    threshold: float = 0.3,
) -> Scores:
    """Run a model on one image and score classes.

    - Classification: the logit of the class.
    - Detection: the sum of the head's own class logits wherever they say the class with a
      probability of ``threshold`` or more (cells and anchors of a dense head, proposals of the
      last RoI head, queries), before any suppression; the one surest where none does.
    - Segmentation: the sum of the class's logit over the pixels that are predicted as it.

    Args:
        model: mmdet's, mmseg's or mmpretrain's, in eval mode.
        task: ``'cls'``, ``'det'`` or ``'seg'``.
        inputs: (1, C, H, W) as the network gets it.
        sample: its data sample.
        labels: the classes to score; by default those that the model finds.
        threshold: of detections, 0 to 1.

    Raises:
        ConfigError: a model whose scores are not known.
    """
    makers = {'cls': _classification, 'det': _detection, 'seg': _segmentation}
    if task not in makers:
        raise ConfigError(
            f'gradcam: a model of {task} has no classes to score: leave gradcam out of --what, or '
            '--what out for all that there is.'
        )
    return makers[task](model, inputs, sample, labels, threshold)


def _classification(
    model: nn.Module, inputs: torch.Tensor, sample: Any, labels: Any, threshold: float
) -> Scores:
    logits = model(inputs, mode='tensor')
    if not isinstance(logits, torch.Tensor) or logits.dim() != 2:
        raise ConfigError(f'gradcam: {type(model.head).__name__} gives no logits of classes.')
    logits = logits[0].float()
    several = 'MultiLabel' in type(model.head).__name__
    shares = logits.detach().sigmoid() if several else logits.detach().softmax(0)
    found = shares.argsort(descending=True)[: MOST if several else 1].tolist()
    chosen = found if labels is None else labels
    return Scores(
        classes=found,
        words={label: f'{shares[label]:.2f}' for label in chosen},
        scalars={label: logits[label] for label in chosen},
    )


def _detection(
    model: nn.Module,
    inputs: torch.Tensor,
    sample: BaseDataElement,
    labels: Sequence[int] | None,
    threshold: float,
) -> Scores:
    head, told = _class_head(model), []
    handles = [h.register_forward_hook(lambda _, __, output: told.append(output)) for h in head]
    try:
        (predicted,) = model.predict(inputs, [sample], rescale=False)
    finally:
        for handle in handles:
            handle.remove()
    if not told:
        raise ConfigError(f'gradcam: the class head of {type(model).__name__} did not run.')
    logits, probabilities = class_logits(told[-1], head[-1])
    found = predicted.pred_instances.detach()
    found = found[found.scores >= threshold]
    best = {
        label: found.scores[found.labels == label].max().item()
        for label in found.labels.unique().tolist()
    }
    classes = sorted(best, key=lambda label: -best[label])[:MOST]
    scores = Scores(classes=classes)
    for label in classes if labels is None else labels:
        boxes = getattr(found.bboxes, 'tensor', found.bboxes)[found.labels == label]
        scores.boxes[label] = boxes.cpu().numpy()
        sure = probabilities[:, label] >= threshold
        if not sure.any():
            sure = probabilities[:, label] == probabilities[:, label].max()
        scores.scalars[label] = logits[:, label][sure].sum()
        count = len(boxes)
        scores.words[label] = (
            f'{count} box{"es" if count != 1 else ""}, best {best[label]:.2f}'
            if count
            else f'none above {threshold:g}, the surest scored'
        )
    return scores


def _class_head(model: nn.Module) -> list[nn.Module]:
    """The modules that say the classes, the last stage last."""
    for path in ('roi_head.bbox_head', 'bbox_head', 'panoptic_head'):
        found: Any = model
        for name in path.split('.'):
            found = getattr(found, name, None)
        if isinstance(found, nn.ModuleList):
            return list(found)
        if found is not None:
            return [found]
    raise ConfigError(
        f'gradcam: {type(model).__name__} has neither a dense head, nor an RoI head, nor queries.'
    )


def class_logits(output: Any, head: nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """What a head of mmdet says of the classes, before suppression.

    Args:
        output: of its ``forward``, classes first: a list of (N, anchors * k, H, W) by level; (R, k)
            of RoIs; (layers, N, Q, k), or a list of (N, Q, k) by layer, the last of which counts.
        head: tells ``num_classes``.

    Returns:
        Logits and probabilities of all classes for all that it speaks of, (M, num_classes) each.

    Raises:
        ConfigError: an output of another form.
    """
    told = output[0] if isinstance(output, tuple | list) else output
    classes = head.num_classes
    rows = None
    if isinstance(told, tuple | list) and all(m.dim() == 4 for m in told):
        width = getattr(head, 'cls_out_channels', classes)
        if all(m.shape[1] % width == 0 for m in told):
            rows = [m.unflatten(1, (-1, width)).movedim(2, -1).reshape(-1, width) for m in told]
            rows = torch.cat(rows)
    elif isinstance(told, tuple | list) and told[-1].dim() == 3:
        rows = told[-1].flatten(0, 1)
    elif isinstance(told, torch.Tensor) and told.dim() in (2, 4):
        rows = told if told.dim() == 2 else told[-1].flatten(0, 1)
    if rows is None or rows.shape[1] not in (classes, classes + 1):
        raise ConfigError(f'gradcam: {type(head).__name__} gives no logits of classes.')
    rows = rows.float()
    apart = rows.shape[1] == classes + 1 and not getattr(head, 'use_sigmoid_cls', False)
    shares = rows.detach().softmax(1) if apart else rows.detach().sigmoid()
    return rows[:, :classes], shares[:, :classes]


def _segmentation(
    model: nn.Module,
    inputs: torch.Tensor,
    sample: BaseDataElement,
    labels: Sequence[int] | None,
    threshold: float,
) -> Scores:
    logits = model.encode_decode(inputs, [sample.metainfo])[0].float()
    height, width = sample.get('img_shape', inputs.shape[-2:])[:2]
    logits = logits[:, :height, :width]  # without padding
    if len(logits) == 1:  # one class against the rest
        logits = torch.cat([-logits, logits])
    predicted = logits.detach().argmax(0)
    shares = torch.bincount(predicted.flatten(), minlength=len(logits)) / predicted.numel()
    classes = [n for n in shares.argsort(descending=True).tolist() if shares[n] > 0][:MOST]
    scores = Scores(classes=classes)
    for label in classes if labels is None else labels:
        region = predicted == label
        scores.regions[label] = region.cpu().numpy()
        scores.words[label] = f'{shares[label]:.0%} of the pixels' if region.any() else 'nowhere'
        if region.any():
            scores.scalars[label] = logits[label][region].sum()
    return scores
