"""Second stages: boxes and masks of proposals."""

from typing import Any

import torch
from torch import Tensor, nn

from vitmm.errors import ConfigError
from vitmm.export.dense import plain
from vitmm.export.nms import best, check_nms


class Regions(nn.Module):
    """mmdet's StandardRoIHead and CascadeRoIHead, for one image.

    Args:
        head: one of the two; subclasses that predict in a way of their own are refused.

    Raises:
        ConfigError: another head, or parts of it.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        from mmdet.models.roi_heads import CascadeRoIHead, StandardRoIHead
        from mmdet.models.roi_heads.bbox_heads.bbox_head import BBoxHead
        from mmdet.models.roi_heads.mask_heads import FCNMaskHead

        if type(head) not in (StandardRoIHead, CascadeRoIHead):
            raise _refusal(head, 'StandardRoIHead and CascadeRoIHead can be')
        self.settings, self.shared = (
            head.test_cfg,
            head.shared_head if head.with_shared_head else None,
        )
        check_nms(self.settings.nms)
        self.boxes = _stages(head.bbox_head)
        self.box_maps = nn.ModuleList(RoIMaps(one) for one in _stages(head.bbox_roi_extractor))
        self.masks = self.mask_maps = None
        if head.with_mask:
            self.masks = _stages(head.mask_head)
            if head.mask_roi_extractor is None or getattr(head, 'share_roi_extractor', False):
                self.mask_maps = self.box_maps
            else:
                extractors = _stages(head.mask_roi_extractor)
                self.mask_maps = nn.ModuleList(RoIMaps(one) for one in extractors)
        for one in self.boxes:
            own = type(one)._predict_by_feat_single is not BBoxHead._predict_by_feat_single
            if own or one.custom_cls_channels or not one.with_reg:
                raise _refusal(one, 'heads that predict as BBoxHead does can be')
        for one in self.masks or ():
            if type(one) is not FCNMaskHead:
                raise _refusal(one, 'FCNMaskHead can be')

    def forward(
        self, maps: tuple[Tensor, ...], proposals: Tensor, real: Tensor, size: tuple[int, int]
    ) -> tuple[Tensor, ...]:
        """Maps and proposals (P, 4) -> boxes (K, 4), scores (K,), labels (K,), masks (K, h, w).

        Args:
            maps: (1, C, h, w) each, of the neck.
            proposals: x1 y1 x2 y2 in pixels.
            real: (P,) which of them are any.
            size: (H, W) of the image.
        """
        logits = []
        for number, (head, roi_maps) in enumerate(zip(self.boxes, self.box_maps, strict=True)):
            cls_score, deltas = head(self._shared(roi_maps(maps, proposals)))
            cls_score, deltas = cls_score.float(), deltas.float()
            logits.append(cls_score)
            if number + 1 < len(self.boxes):
                label = cls_score[:, :-1].argmax(1)
                meta = {'img_shape': size}
                proposals = plain(head.regress_by_class(proposals, label, deltas, meta))
        scores = (sum(logits) / len(logits)).softmax(-1)[:, :-1]
        classes = scores.shape[1]
        each = 1 if head.reg_class_agnostic else classes
        boxes = plain(
            head.bbox_coder.decode(
                proposals.repeat_interleave(each, 0), deltas.reshape(-1, 4), max_shape=size
            )
        )
        boxes = boxes.reshape(-1, each, 4).expand(-1, classes, 4).reshape(-1, 4)
        labels = torch.arange(classes).expand_as(scores).reshape(-1)
        candidates = ((scores > self.settings.score_thr) & real[:, None]).flatten()
        order, scores = best(
            boxes,
            scores.flatten(),
            labels,
            candidates,
            self.settings.nms,
            self.settings.max_per_img,
        )
        boxes, labels = boxes[order], labels[order]
        if self.masks is None:
            return boxes, scores, labels
        return boxes, scores, labels, self._masks(maps, boxes, labels)

    def _masks(self, maps: tuple[Tensor, ...], boxes: Tensor, labels: Tensor) -> Tensor:
        """Masks (K, h, w), 0 to 1, of these classes, the mean of all stages."""
        found = []
        for head, roi_maps in zip(self.masks, self.mask_maps, strict=True):
            logits = head(self._shared(roi_maps(maps, boxes))).float()
            if head.class_agnostic:
                found.append(logits[:, 0].sigmoid())
            else:
                where = labels[:, None, None, None].expand(-1, 1, *logits.shape[2:])
                found.append(logits.gather(1, where)[:, 0].sigmoid())
        return sum(found) / len(found)

    def _shared(self, maps: Tensor) -> Tensor:
        return maps if self.shared is None else self.shared(maps)


class RoIMaps(nn.Module):
    """mmdet's SingleRoIExtractor: each box reads the level that its size belongs to.

    Raises:
        ConfigError: another extractor, or maxima in place of averages.
    """

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor

        layers = extractor.roi_layers
        if type(extractor) is not SingleRoIExtractor or any(
            type(one).__name__ != 'RoIAlign' or one.pool_mode != 'avg' for one in layers
        ):
            raise _refusal(extractor, 'SingleRoIExtractor with RoIAlign of averages can be')
        self.extractor = extractor

    def forward(self, maps: tuple[Tensor, ...], boxes: Tensor) -> Tensor:
        """Maps (1, C, h, w) each and boxes (K, 4) -> (K, C, a, b)."""
        layers = self.extractor.roi_layers
        rois = torch.cat([boxes.new_zeros(boxes.shape[0], 1), boxes], 1)
        level = self.extractor.map_roi_levels(rois, len(layers))
        total: Any = 0
        for number, (layer, one) in enumerate(zip(layers, maps, strict=False)):
            # All boxes on all levels keep the shapes; a box of no size costs next to nothing.
            here = level == number
            part = torch.ops.torchvision.roi_align(
                one.float(),
                torch.where(here[:, None], rois, 0.0),
                layer.spatial_scale,
                *layer.output_size,
                layer.sampling_ratio,
                layer.aligned,
            )
            total = total + torch.where(here[:, None, None, None], part, 0.0)
        return total.to(maps[0].dtype)


def _stages(part: nn.Module) -> nn.ModuleList:
    return part if isinstance(part, nn.ModuleList) else nn.ModuleList([part])


def _refusal(part: nn.Module, can: str) -> ConfigError:
    return ConfigError(f'{type(part).__name__} cannot be exported: {can}.')
