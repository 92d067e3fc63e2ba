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
from vitmm.models.halts.dense import borders, clip, decode, decodes_plainly, grid_priors

_MANY = 10_000  # boxes, from which on mmcv suppresses level by level: all pairs want memory


def avoid(module: nn.Module) -> None:
    """Replace how a region proposal network makes boxes of its maps."""
    same = ('predict_by_feat', '_predict_by_feat_single', '_bbox_post_process')
    if (
        overrides_none(module, RPNHead, *same)
        and module.use_sigmoid_cls
        and decodes_plainly(module.bbox_coder)
        and type(module.prior_generator) is AnchorGenerator
        and not module.prior_generator.use_box_type
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
    boxes = clip(head.bbox_coder, boxes, borders(batch_img_metas, device)[:, None])
    sizes = boxes[..., 2:] - boxes[..., :2]
    # -1, mmdet's «no matter how small», lets those of no size pass.
    least = cfg.get('min_bbox_size', -1)
    valid = (sizes > least).all(dim=-1) if least >= 0 else torch.ones_like(scores, dtype=torch.bool)
    many = device.type == 'cpu' or scores.shape[1] >= _MANY
    suppress = by_level if many else at_once
    found = suppress(boxes, scores, valid, counts, cfg['nms']['iou_threshold'])
    proposals = []
    for own, ranks, kept in zip(boxes, scores, found, strict=True):
        kept = kept[: cfg['max_per_img']]
        labels = torch.zeros_like(kept)
        proposals.append(InstanceData(bboxes=own[kept], scores=ranks[kept], labels=labels))
    return proposals


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


def at_once(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    valid: torch.Tensor,
    counts: Sequence[int],
    threshold: float,
) -> list[torch.Tensor]:
    """Of each image's boxes (N, M, 4), ``counts`` a level, those that no better one covers.

    An image is one call, whose number of results is all that is read.

    Args:
        boxes: corners, pixels.
        scores: (N, M).
        valid: (N, M) of bool: which of them count.
        counts: how many of the M are of a level; boxes of two levels do not cover each other.
        threshold: the overlap from which on they do.

    Returns:
        Which are kept of each image, best first.
    """
    levels = [scores.new_full((n,), float(i)) for i, n in enumerate(counts)]
    # What is too small lies, with one box more, on a level of its own, one upon the other: of these
    # one is kept, and comes last.
    small = scores.new_full((1,), float(len(counts)))
    levels = torch.where(valid, torch.cat(levels), small)
    levels = torch.cat([levels, small.expand(len(levels), 1)], dim=1)
    apart = torch.where(valid[..., None], boxes, 0.0).amax(dim=(1, 2)) + 1
    none = torch.zeros_like(apart)
    whole = torch.stack([none, none, apart, apart], dim=-1)[:, None]
    laid = torch.cat([torch.where(valid[..., None], boxes, whole), whole], dim=1)
    laid = laid + (levels * apart[:, None])[..., None]
    ranks = torch.nn.functional.pad(torch.where(valid, scores, -1.0), (0, 1), value=-1.0)
    return [nms(*image, threshold)[1][:-1] for image in zip(laid, ranks, strict=True)]


def by_level(
    boxes: torch.Tensor,
    scores: torch.Tensor,
    valid: torch.Tensor,
    counts: Sequence[int],
    threshold: float,
) -> list[torch.Tensor]:
    """The same, level by level: a CPU compares each box with each."""
    found = []
    for own, ranks, counting in zip(boxes, scores, valid, strict=True):
        kept, start = [], 0
        apart = own[counting].max() + 1 if counting.any() else 0
        for level, count in enumerate(counts):
            some = start + counting[start : start + count].nonzero()[:, 0]
            kept.append(some[nms(own[some] + level * apart, ranks[some], threshold)[1]])
            start += count
        kept = torch.cat(kept)
        found.append(kept[ranks[kept].argsort(descending=True, stable=True)])
    return found
