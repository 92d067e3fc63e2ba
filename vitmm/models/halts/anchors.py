"""Losses of anchors: RetinaNet's, a region proposal network's, of all levels and images at once."""

from collections.abc import Sequence

import torch
from mmdet.models.dense_heads import AnchorHead, RPNHead
from mmdet.models.losses import GHMC, GHMR
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from mmdet.models.task_modules.prior_generators import AnchorGenerator
from mmdet.models.task_modules.samplers import PseudoSampler, RandomSampler
from mmdet.structures.bbox import get_box_tensor
from mmengine.structures import InstanceData
from torch import nn

from vitmm.models.halts import samples
from vitmm.models.halts.avoiding import overrides_none, replace
from vitmm.models.halts.dense import box_loss, class_loss, encode, grid_priors

_FAR = -1e6  # pixels: a prior there overlaps with nothing


def avoid(module: nn.Module) -> None:
    """Replace the losses of a head of anchors."""
    same = ('get_anchors', 'get_targets', '_get_targets_single', 'loss_by_feat_single')
    if (
        overrides_none(module, AnchorHead, *same)
        and type(module).loss_by_feat in (AnchorHead.loss_by_feat, RPNHead.loss_by_feat)
        and module.train_cfg
        and module.train_cfg['allowed_border'] < 0
        and not module.reg_decoded_bbox
        and not any(type(loss) in (GHMC, GHMR) for loss in (module.loss_cls, module.loss_bbox))
        and type(module.bbox_coder) is DeltaXYWHBBoxCoder
        and type(module.prior_generator) is AnchorGenerator
        and type(module.sampler) in (PseudoSampler, RandomSampler)
        and not getattr(module.sampler, 'add_gt_as_proposals', False)
    ):
        is_rpn = type(module).loss_by_feat is RPNHead.loss_by_feat
        replace(module, 'loss_by_feat', _rpn_loss if is_rpn else _loss)


def _rpn_loss(head: RPNHead, *args, **kwargs) -> dict[str, torch.Tensor]:
    losses = _loss(head, *args, **kwargs)
    return dict(loss_rpn_cls=losses['loss_cls'], loss_rpn_bbox=losses['loss_bbox'])


def _loss(
    head: AnchorHead,
    cls_scores: Sequence[torch.Tensor],
    bbox_preds: Sequence[torch.Tensor],
    batch_gt_instances: Sequence[InstanceData],
    batch_img_metas: Sequence[dict],
    batch_gt_instances_ignore: Sequence[InstanceData | None] | None = None,
) -> dict[str, torch.Tensor]:
    """``AnchorHead.loss_by_feat``: levels (N, anchors * classes, H, W), (N, anchors * 4, H, W)."""
    sizes = [scores.shape[-2:] for scores in cls_scores]
    device = cls_scores[0].device
    priors = torch.cat(grid_priors(head.prior_generator, sizes, device))
    ignored = batch_gt_instances_ignore or [None] * len(batch_gt_instances)
    images = zip(batch_gt_instances, ignored, batch_img_metas, strict=True)
    targets = [
        _targets(head, priors, inside(head, sizes, meta, device), truth, ignore)
        for truth, ignore, meta in images
    ]
    labels, label_weights, boxes, box_weights, counts = zip(*targets, strict=True)
    avg_factor = torch.stack(counts).sum()
    return {
        'loss_cls': class_loss(
            head.loss_cls,
            flat(cls_scores, head.cls_out_channels),
            torch.cat(labels),
            torch.cat(label_weights),
            avg_factor,
        ),
        'loss_bbox': box_loss(
            head.loss_bbox,
            flat(bbox_preds, 4),
            torch.cat(boxes),
            torch.cat(box_weights),
            avg_factor,
        ),
    }


def flat(levels: Sequence[torch.Tensor], width: int) -> torch.Tensor:
    """Levels (N, anchors * width, H, W) -> (N * all anchors, width), image by image."""
    parts = [level.permute(0, 2, 3, 1).reshape(len(level), -1, width) for level in levels]
    return torch.cat(parts, dim=1).flatten(0, 1)


def inside(
    head: AnchorHead, sizes: Sequence[tuple[int, int]], meta: dict, device: torch.device
) -> torch.Tensor | None:
    """Which anchors (A,) are not of the padding that makes the images equally large; None: all."""
    height, width = meta['pad_shape'][:2]
    strides = head.prior_generator.strides  # (x, y) each
    if all(
        -(-height // y) >= h and -(-width // x) >= w
        for (h, w), (x, y) in zip(sizes, strides, strict=True)
    ):
        return None
    return torch.cat(head.prior_generator.valid_flags(sizes, meta['pad_shape'], device))


def _targets(
    head: AnchorHead,
    priors: torch.Tensor,
    within: torch.Tensor | None,
    truth: InstanceData,
    ignore: InstanceData | None,
) -> tuple[torch.Tensor, ...]:
    """Labels (A,), their weights (A,), offsets (A, 4), weights of boxes (A,), how many count ()."""
    seen = priors if within is None else torch.where(within[:, None], priors, _FAR)
    assigned = head.assigner.assign(InstanceData(priors=seen), truth, ignore)
    owner, labels = assigned.gt_inds, assigned.labels
    if within is not None:
        owner = torch.where(within, owner, -1)
    if isinstance(head.sampler, RandomSampler):
        positive, negative = samples.choose(head.sampler, owner)
        count = positive.sum().clamp(min=1) + negative.sum().clamp(min=1)
    else:
        positive, negative = owner > 0, owner == 0
        count = positive.sum().clamp(min=1)
    pos_weight = head.train_cfg['pos_weight']
    label_weights = positive * (pos_weight if pos_weight > 0 else 1.0) + negative
    labels = torch.where(positive, labels, head.num_classes)
    if len(truth.bboxes):
        boxes = get_box_tensor(truth.bboxes)[(owner - 1).clamp(min=0)]
        offsets = torch.where(positive[:, None], encode(head.bbox_coder, priors, boxes), 0.0)
    else:
        offsets = torch.zeros_like(priors)
    return labels, label_weights.to(priors.dtype), offsets, positive.to(priors.dtype), count
