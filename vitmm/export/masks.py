"""Queries that find masks: Mask2Former, for instances and for classes of pixels."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vitmm.errors import ConfigError
from vitmm.export.nms import at_most


class QueryMasks(nn.Module):
    """mmdet's Mask2Former with the instances of MaskFormerFusionHead, for one image.

    Args:
        model: with the attention of :mod:`.attention`.

    Raises:
        ConfigError: another head or pixel decoder, or a model that gives no instances.
    """

    masks = 'masks (1, K, H, W), true on the object'

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        from mmdet.models.dense_heads import Mask2FormerHead
        from mmdet.models.seg_heads import MaskFormerFusionHead

        from vitmm.export.attention import PixelDecoder

        head, fusion = model.panoptic_head, model.panoptic_fusion_head
        for part, kind in (
            (head, Mask2FormerHead),
            (getattr(head, 'pixel_decoder', None), PixelDecoder),
            (fusion, MaskFormerFusionHead),
        ):
            if type(part) is not kind:
                raise ConfigError(
                    f'{type(model).__name__} with {type(part).__name__} cannot be exported: '
                    'Mask2FormerHead with MSDeformAttnPixelDecoder and MaskFormerFusionHead can be.'
                )
        if not fusion.test_cfg.get('instance_on', False):
            raise ConfigError(
                f'{type(model).__name__} cannot be exported for panoptic results, whose number of '
                'segments no graph can know; its instances can be: --cfg-options '
                'model.test_cfg.instance_on=True.'
            )
        self.model, self.settings = model, fusion.test_cfg
        self.things = fusion.num_things_classes

    def forward(self, images: Tensor, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Images (1, C, H, W) -> boxes (K, 4), scores, -1 for none, labels, masks (K, H, W)."""
        maps = self.model.extract_feat(images)
        logits, masks = _read(self.model.panoptic_head, maps, images.shape[-2:])
        masks = masks[0, :, : size[0], : size[1]]
        scores = logits[0].softmax(-1)[:, :-1]
        classes = scores.shape[1]
        count = at_most(self.settings.get('max_per_image', 100), scores.numel())
        scores, index = scores.flatten().topk(count)
        labels, masks = index % classes, masks[index // classes]
        inside = masks > 0
        area = inside.sum((1, 2))
        sure = (masks.sigmoid() * inside).sum((1, 2)) / (area + 1e-6)
        real = (area > 0) & (labels < self.things)
        scores, order = torch.where(real, scores * sure, -1.0).topk(count)
        inside = (inside & real[:, None, None])[order]
        return _bounds(inside), scores, labels[order], inside


def segments(
    head: nn.Module, maps: tuple[Tensor, ...], metas: list[dict[str, Any]], _: Any
) -> Tensor:
    """Scores (N, classes, H, W) of mmseg's Mask2FormerHead; its ``predict`` copies sizes."""
    logits, masks = _read(head, maps, metas[0]['pad_shape'])
    return torch.einsum('bqc,bqhw->bchw', logits.softmax(-1)[..., :-1], masks.sigmoid())


def _read(head: nn.Module, maps: tuple[Tensor, ...], size: Any) -> tuple[Tensor, Tensor]:
    """Logits of classes (N, Q, classes + 1) and of masks (N, Q, H, W), of the last layer."""
    logits, masks = (layers[-1] for layers in head(maps, None))
    return logits, F.interpolate(masks, size, mode='bilinear', align_corners=False)


def _bounds(masks: Tensor) -> Tensor:
    """Boxes (K, 4) x1 y1 x2 y2 in pixels around masks (K, H, W)."""
    sides = []
    for held in (masks.any(1), masks.any(2)):  # along x, along y
        at = torch.arange(held.shape[1])
        sides.append(
            (torch.where(held, at, held.shape[1]).amin(1), torch.where(held, at + 1, 0).amax(1))
        )
    (left, right), (top, bottom) = sides
    return torch.stack([left, top, right, bottom], -1).float()
