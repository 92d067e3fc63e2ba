"""Detectors of one stage, and the proposals of two."""

from typing import Any

import torch
from torch import Tensor, nn

from vitmm.errors import ConfigError
from vitmm.export.nms import at_most, best, check_nms


class DenseBoxes(nn.Module):
    """mmdet's ``BaseDenseHead.predict``, for one image, in shapes that are known beforehand.

    Args:
        head: of mmdet, which decodes as BaseDenseHead (or, with ``proposals``, RPNHead) does.
        proposals: it tells objects from ground, and levels do not suppress each other.

    Raises:
        ConfigError: a head that decodes in a way of its own.
    """

    def __init__(self, head: nn.Module, proposals: bool = False) -> None:
        super().__init__()
        from mmdet.models.dense_heads import RPNHead
        from mmdet.models.dense_heads.base_dense_head import BaseDenseHead

        kind, base = type(head), RPNHead if proposals else BaseDenseHead
        own = [
            name
            for name, owner in (
                ('predict', BaseDenseHead),
                ('predict_by_feat', BaseDenseHead),
                ('_predict_by_feat_single', base),
                ('_bbox_post_process', base),
            )
            if getattr(kind, name, None) is not getattr(owner, name)
        ]
        if own or getattr(head.loss_cls, 'custom_cls_channels', False):
            raise ConfigError(
                f'{kind.__name__} cannot be exported: it decodes its boxes in a way of its own '
                f'({", ".join(own) or "loss_cls"}). RetinaNet, FCOS, ATSS and heads of their kind '
                'can be, and R-CNNs.'
            )
        self.head, self.proposals, self.settings = head, proposals, head.test_cfg
        check_nms(self.settings.nms)

    def forward(self, maps: tuple[Tensor, ...], size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Maps (1, C, h, w) -> boxes (K, 4), scores (K,), -1 where there is none, labels (K,)."""
        found = [[level.float() for level in part] for part in self.head(maps)]
        priors = self.head.prior_generator.grid_priors(
            [level.shape[-2:] for level in found[0]], dtype=torch.float32, device='cpu'
        )
        levels = [
            self._level(number, priors[number], *parts)
            for number, parts in enumerate(zip(*found, strict=True))
        ]
        chosen, deltas, scores, groups, candidates = (
            torch.cat(part) for part in zip(*levels, strict=True)
        )
        boxes = plain(self.head.bbox_coder.decode(chosen, deltas, max_shape=size))
        least = self.settings.get('min_bbox_size', -1)
        if least >= 0:
            candidates = candidates & ((boxes[:, 2:] - boxes[:, :2]) > least).all(1)
        count = self.settings.max_per_img
        order, scores = best(boxes, scores, groups, candidates, self.settings.nms, count)
        return boxes[order], scores, groups[order]

    def _level(
        self, number: int, priors: Tensor, logits: Tensor, deltas: Tensor, *factors: Tensor
    ) -> tuple[Tensor, ...]:
        """The best of one level: priors, deltas, scores, groups and which are candidates."""
        head = self.head
        rows = logits[0].permute(1, 2, 0).reshape(-1, head.cls_out_channels)
        scores = rows.sigmoid() if head.use_sigmoid_cls else rows.softmax(-1)[:, :-1]
        classes = scores.shape[1]
        limit = at_most(self.settings.get('nms_pre', -1), scores.numel())
        scores, index = scores.flatten().topk(limit)
        anchor = index // classes
        deltas = deltas[0].permute(1, 2, 0).reshape(-1, head.bbox_coder.encode_size)[anchor]
        if self.proposals:
            groups, candidates = torch.full_like(index, number), torch.ones_like(index).bool()
        else:
            groups = index % classes
            candidates = scores > self.settings.get('score_thr', 0)  # before the factor
        if factors:
            scores = scores * factors[0][0].permute(1, 2, 0).reshape(-1).sigmoid()[anchor]
        return plain(priors)[anchor], deltas, scores, groups, candidates


def plain(boxes: Any) -> Tensor:
    """Boxes as a tensor, where mmdet wraps them."""
    return boxes if isinstance(boxes, Tensor) else boxes.tensor
