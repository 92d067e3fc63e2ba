"""What a region proposal network proposes, decoded for all images at once."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.ops import nms
from mmdet.models.dense_heads import RPNHead
from mmdet.models.task_modules.prior_generators import AnchorGenerator
from mmengine.structures import InstanceData
from torch import nn

from vitmm.models.halts.avoiding import overrides_none, replace
from vitmm.models.halts.dense import clip, decode, decodes_plainly, grid_priors

_MANY = 10_000  # boxes, from which on mmcv suppresses level by level: all pairs want memory


def avoid(module: nn.Module) -> None:
    """Replace how a region proposal network makes boxes of its maps."""
    same = ('predict_by_feat', '_predict_by_feat_single', '_bbox_post_process')
    if (
        overrides_none(module, RPNHead, *same)
        and module.use_sigmoid_cls
        and decodes_plainly(module.bbox_coder)
        and type(module.prior_generator) is AnchorGenerator
    ):
        replace(module, 'predict_by_feat', _predict_by_feat)


def _predict_by_feat(
    head: RPNHead,
    cls_scores: Sequence[torch.Tensor],
    bbox_preds: Sequence[torch.Tensor],
    score_factors: Sequence[torch.Tensor] | None = None,
    batch_img_metas: Sequence[dict] | None = None,
    cfg: Any = None,
    rescale: bool = False,
    with_nms: bool = True,
) -> list[InstanceData]:
    """``RPNHead.predict_by_feat``: levels (N, anchors, H, W), (N, anchors * 4, H, W)."""
    cfg = head.test_cfg if cfg is None else cfg
    known = cfg.get('nms') or {}
    plain = known.keys() == {'type', 'iou_threshold'} and known['type'] == 'nms'
    if score_factors is not None or rescale or not with_nms or not plain:
        stock = type(head).predict_by_feat
        return stock(
            head, cls_scores, bbox_preds, score_factors, batch_img_metas, cfg, rescale, with_nms
        )
    sizes, device = [scores.shape[-2:] for scores in cls_scores], cls_scores[0].device
    levels = zip(
        cls_scores, bbox_preds, grid_priors(head.prior_generator, sizes, device), strict=True
    )
    best = [_best(*level, cfg.get('nms_pre', -1)) for level in levels]
    counts = [scores.shape[1] for scores, _, _ in best]
    scores, deltas, priors = (torch.cat(parts, dim=1) for parts in zip(*best, strict=True))
    boxes = decode(head.bbox_coder, priors, deltas)
    images = zip(boxes, scores, batch_img_metas, strict=True)
    return [_proposals(head, *image, counts, cfg) for image in images]


def _best(
    scores: torch.Tensor, deltas: torch.Tensor, priors: torch.Tensor, most: int
) -> tuple[torch.Tensor, ...]:
    """A level's best ``most``, all if 0 or less: scores (N, K), offsets and priors (N, K, 4)."""
    scores = scores.detach().permute(0, 2, 3, 1).flatten(1).sigmoid()
    deltas = deltas.detach().permute(0, 2, 3, 1).reshape(*scores.shape, 4)
    if not 0 < most < scores.shape[1]:
        return scores, deltas, priors.expand_as(deltas)
    scores, order = scores.sort(dim=1, descending=True)
    order = order[:, :most]
    deltas = deltas.take_along_dim(order[..., None], dim=1)
    return scores[:, :most], deltas, priors[order]


def _proposals(
    head: RPNHead,
    boxes: torch.Tensor,
    scores: torch.Tensor,
    meta: dict,
    counts: Sequence[int],
    cfg: Any,
) -> InstanceData:
    """Of boxes (M, 4) and scores (M,), ``counts`` a level, those that no better one covers."""
    clip(head.bbox_coder, boxes, meta['img_shape'])
    sizes = boxes[:, 2:] - boxes[:, :2]
    # -1, mmdet's «no matter how small», lets those of no size pass.
    least = cfg.get('min_bbox_size', -1)
    valid = (sizes > least).all(dim=1) if least >= 0 else torch.ones_like(scores, dtype=torch.bool)
    many = boxes.device.type == 'cpu' or len(boxes) >= _MANY
    suppress = by_level if many else at_once
    kept = suppress(boxes, scores, valid, counts, cfg['nms']['iou_threshold'])
    kept = kept[: cfg['max_per_img']]
    labels = torch.zeros_like(kept)
    return InstanceData(bboxes=boxes[kept], scores=scores[kept], labels=labels)


def at_once(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    valid: torch.Tensor,
    counts: Sequence[int],
    threshold: float,
) -> torch.Tensor:
    """What is kept, best first, by one call, whose number of results is all that is read."""
    numbers = [torch.full((n,), float(i), device=boxes.device) for i, n in enumerate(counts)]
    # What is too small lies, with one box more, on a level of its own, one upon the other: of these
    # one is kept, and comes last.
    small = torch.full((1,), float(len(counts)), device=boxes.device)
    apart = torch.where(valid[:, None], boxes, 0.0).max() + 1
    whole = torch.stack([apart * 0, apart * 0, apart, apart])[None]
    levels = torch.cat([torch.where(valid, torch.cat(numbers), small), small])
    laid = torch.cat([torch.where(valid[:, None], boxes, whole), whole])
    laid = laid + (levels * apart)[:, None]
    ranks = torch.cat([torch.where(valid, scores, -1.0), scores.new_full((1,), -1.0)])
    return nms(laid, ranks, threshold)[1][:-1]


def by_level(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    valid: torch.Tensor,
    counts: Sequence[int],
    threshold: float,
) -> torch.Tensor:
    """The same, level by level: a CPU compares each box with each."""
    kept, start = [], 0
    apart = boxes[valid].max() + 1 if valid.any() else 0
    for level, count in enumerate(counts):
        own = start + valid[start : start + count].nonzero()[:, 0]
        kept.append(own[nms(boxes[own] + level * apart, scores[own], threshold)[1]])
        start += count
    kept = torch.cat(kept)
    return kept[scores[kept].argsort(descending=True, stable=True)]
