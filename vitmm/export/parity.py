"""How far an export is from PyTorch's own results, on real images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmengine.structures import BaseDataElement
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_iou

from vitmm.export.files import Run
from vitmm.inference.inputs import find_media
from vitmm.inference.predictor import Predictor
from vitmm.inference.scope import in_scope
from vitmm.models.cells import cells


@dataclass
class Limits:
    """What is borne: scores 0 to 1, boxes in pixels, shares of pixels 0 to 1.

    Of depth, a share of it: at ten metres a millimetre, the step of what ``tools/infer.py`` writes.
    """

    scores: float = 1e-3
    boxes: float = 1e-3
    labels: float = 1e-4
    masks: float = 1e-3
    depth: float = 1e-4
    near: float = 1e-4  # a score so close to the threshold may fall on either side of it
    swapped: float = 0.0  # share of detections; of two boxes about as good one suppresses the other


HALF = Limits(scores=2e-2, boxes=1.0, labels=1e-2, masks=2e-2, depth=2e-2, near=2e-2, swapped=0.05)


@dataclass
class Parity:
    """The largest differences over all images.

    Attributes:
        images: how many.
        found: by name, as :class:`Limits` has them.
        detections: of PyTorch; None where the task has none.
        unmatched: detections of one side that the other has not.
        swapped: detections for which the other side kept an overlapping box of the same score, by
            ``Limits.near``.
    """

    images: int = 0
    found: dict[str, float] = field(default_factory=dict)
    detections: int | None = None
    unmatched: int = 0
    swapped: int = 0

    def note(self, name: str, value: float) -> None:
        """Take a difference into account; what is no number counts as infinite."""
        value = float('inf') if value != value else value
        self.found[name] = max(self.found.get(name, 0.0), value)

    def beyond(self, limits: Limits) -> list[str]:
        """What is larger than it may be, in words."""
        bad = [
            f'{name} differ by {value:.2g} (limit {getattr(limits, name):.2g})'
            for name, value in self.found.items()
            if value > getattr(limits, name)
        ]
        bad += [f'{self.unmatched} detections differ'] if self.unmatched else []
        if self.swapped > limits.swapped * (self.detections or 0):
            bad.append(f'{self.swapped} of {self.detections} detections are other boxes')
        return bad

    def __str__(self) -> str:
        units = dict(
            boxes='pixels', labels='of the pixels', masks='of the pixels', depth='of the depth'
        )
        told = [f'{n} {v:.2e} {units.get(n, "")}'.rstrip() for n, v in self.found.items()]
        if self.detections is not None:
            told.append(f'{self.unmatched} of {self.detections} detections unmatched')
        if self.swapped:
            told.append(f'{self.swapped} other boxes of the same score')
        return ', '.join(told)

    @property
    def empty(self) -> bool:
        """Whether nothing was compared: no detection of one side met one of the other."""
        return not self.found


def compare(
    predictor: Predictor,
    run: Run,
    outputs: tuple[str, ...],
    images: Iterable[str | Path],
    size: tuple[int, int] | None,
    multiple: int,
    least: int,
    limits: Limits,
) -> Parity:
    """Run the export and ``model.test_step`` on the same pixels.

    Args:
        predictor: PyTorch's side, in float32.
        run: the export.
        outputs: names of its results.
        images: files, folders and globs; each goes through the recipe's test pipeline first.
        size: (H, W) that the export takes, None for any: then the images keep theirs, padded to
            whole multiples.
        multiple: of pixels.
        least: height and width in pixels of images of any size.
        limits: what is borne.

    Raises:
        DataError: an image that cannot be read.
    """
    parity = Parity()
    for item in predictor.stream(find_media([str(image) for image in images])):
        pixels = predictor.pipeline(item)['inputs']
        shape = size or [max(least, cells(side, multiple) * multiple) for side in pixels.shape[-2:]]
        pixels = _fit(pixels, shape, predictor.model.data_preprocessor)
        rgb = pixels.flip(0) if predictor.channels == 3 else pixels
        found = dict(zip(outputs, run(rgb[None].float()), strict=True))
        _PAIRS[predictor.task](parity, _test_step(predictor, pixels), found, predictor, limits)
        parity.images += 1
    return parity


def _fit(pixels: Tensor, size: Sequence[int], preprocessor: Any) -> Tensor:
    """Shrink an image (C, H, W) onto ``size`` if it is larger, and fill up with the mean pixel."""
    height, width = pixels.shape[-2:]
    scale = min(1.0, size[0] / height, size[1] / width)
    if scale < 1:
        smaller = [max(1, int(side * scale)) for side in (height, width)]
        dtype = pixels.dtype
        pixels = F.interpolate(pixels[None].float(), smaller, mode='bilinear', antialias=True)[0]
        pixels = pixels.round().to(dtype)
        height, width = smaller
    mean = getattr(preprocessor, 'mean', torch.zeros(1, 1, 1)).flatten().round().to(pixels.dtype)
    canvas = mean.flip(0).view(-1, 1, 1).expand(len(pixels), *size).clone()
    canvas[:, :height, :width] = pixels
    return canvas


def _test_step(predictor: Predictor, pixels: Tensor) -> BaseDataElement:
    """PyTorch's own results for pixels (C, H, W), through the model's whole post-processing."""
    if predictor.task == 'cls':
        from mmpretrain.structures import DataSample as Sample
    elif predictor.task in ('seg', 'depth'):
        from mmseg.structures import SegDataSample as Sample
    else:
        from mmdet.structures import DetDataSample as Sample
    shape = tuple(pixels.shape[-2:])
    meta = dict(img_shape=shape, ori_shape=shape, pad_shape=shape, scale_factor=(1.0, 1.0))
    data = dict(inputs=[pixels], data_samples=[Sample(metainfo=dict(img_id=0, **meta))])
    with in_scope(predictor.config.get('default_scope')), torch.no_grad():
        return predictor.model.test_step(data)[0]


def _scores(parity: Parity, sample: Any, found: dict[str, Tensor], *_) -> None:
    parity.note('scores', _most(sample.pred_score - found['scores'][0]))


def _labels(parity: Parity, sample: Any, found: dict[str, Tensor], *_) -> None:
    different = sample.pred_sem_seg.data[0] != found['labels'][0]
    parity.note('labels', different.float().mean().item())


def _depth(parity: Parity, sample: Any, found: dict[str, Tensor], *_) -> None:
    depth = sample.pred_depth_map.data[0]
    parity.note('depth', _most((found['depth'][0] - depth) / depth.abs().clamp(min=1e-3)))


def _detections(
    parity: Parity,
    sample: Any,
    found: dict[str, Tensor],
    predictor: Predictor,
    limits: Limits,
) -> None:
    """Match detections of one class, best first, with the nearest box of those left."""
    ours = sample.pred_instances
    real = found['labels'][0] >= 0
    boxes, scores, labels = (found[name][0][real] for name in ('boxes', 'scores', 'labels'))
    masks = found['masks'][0][real] if 'masks' in found and 'masks' in ours else None
    around = masks is not None and masks.dtype == torch.bool  # boxes are those of the masks
    left = torch.ones(len(boxes), dtype=torch.bool)
    parity.detections = (parity.detections or 0) + len(ours)
    lost = []
    for number, (box, score, label) in enumerate(
        zip(ours.bboxes, ours.scores, ours.labels, strict=True)
    ):
        away = (boxes - box).abs().amax(1) + (scores - score).abs()
        away = away.masked_fill(~left | (labels != label), float('inf'))
        if not len(away) or (at := int(away.argmin())) < 0 or away[at] > 10 * limits.boxes + 1:
            lost.append(score.item())
            continue
        left[at] = False
        moved, near = _most(boxes[at] - box), _most(scores[at] - score) <= limits.near
        if limits.swapped and near and moved > limits.boxes and _overlap(boxes[at], box):
            parity.swapped += 1
            continue
        different = 0.0
        if masks is not None:
            theirs = ours.masks[number]
            pasted = _paste(masks[at], boxes[at], theirs.shape, predictor)
            different = (pasted != theirs).float().mean().item()
        if not around or not different:  # one pixel on its rim moves the box of a mask by one
            parity.note('boxes', moved)
        parity.note('scores', _most(scores[at] - score))
        if masks is not None:
            parity.note('masks', different)
    # What just passes a threshold, or is the last of so many, may be missing on either side.
    least = min([*ours.scores.tolist(), *scores.tolist()], default=0.0)
    lost += scores[left].tolist()
    parity.unmatched += sum(score > least + limits.near for score in lost)


def _overlap(one: Tensor, other: Tensor) -> bool:
    """Whether suppression may keep only one of two boxes."""
    return box_iou(one[None], other[None]).item() >= 0.5


def _paste(mask: Tensor, box: Tensor, shape: tuple[int, int], predictor: Predictor) -> Tensor:
    """A mask over its box as a mask of the image, by mmdet's own function; others are one."""
    if mask.dtype == torch.bool:
        return mask
    from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

    whole, _ = _do_paste_mask(mask[None, None], box[None], *shape, skip_empty=False)
    return whole[0] >= predictor.model.roi_head.test_cfg.mask_thr_binary


_PAIRS: dict[str, Any] = {'cls': _scores, 'seg': _labels, 'det': _detections, 'depth': _depth}


def _most(difference: Tensor) -> float:
    return difference.abs().max().item() if difference.numel() else 0.0
