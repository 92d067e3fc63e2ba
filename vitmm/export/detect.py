"""Detection and instance segmentation as a graph."""

import torch
from torch import Tensor, nn

from vitmm.errors import ConfigError
from vitmm.export.dense import DenseBoxes
from vitmm.export.regions import Regions


class Detect(nn.Module):
    """A prepared image -> boxes (1, K, 4), scores (1, K), labels (1, K), masks (1, K, h, w).

    Args:
        model: mmdet's detector of one or two stages.

    Raises:
        ConfigError: another detector, or a head that cannot be exported.
    """

    batches = False  # NMS of several images at once would need numbers beyond float32

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        import torchvision  # noqa: F401  (registers the kernels; its import takes seconds)
        from mmdet.models.detectors import SingleStageDetector, TwoStageDetector

        two = isinstance(model, TwoStageDetector)
        owner = TwoStageDetector if two else SingleStageDetector
        if type(model).predict is not getattr(owner, 'predict', None):
            raise ConfigError(
                f'{type(model).__name__} cannot be exported: detectors of one stage and R-CNNs '
                'can be.'
            )
        if two and not (model.with_rpn and model.with_roi_head):
            raise ConfigError(
                f'{type(model).__name__} cannot be exported without RPN and RoI head.'
            )
        self.model = model
        self.first = DenseBoxes(model.rpn_head if two else model.bbox_head, proposals=two)
        self.second = Regions(model.roi_head) if two else None
        self.outputs = ('boxes', 'scores', 'labels')
        if two and self.second.masks is not None:
            self.outputs += ('masks',)

    def forward(self, images: Tensor, size: tuple[int, int]) -> tuple[Tensor, ...]:
        maps = self.model.extract_feat(images)
        boxes, scores, labels = self.first(maps, size)
        masks: tuple[Tensor, ...] = ()
        if self.second is not None:
            boxes, scores, labels, *masks = self.second(maps, boxes, scores >= 0, size)
        real = scores >= 0
        boxes = torch.where(real[:, None], boxes, 0.0)
        scores, labels = torch.where(real, scores, 0.0), torch.where(real, labels, -1)
        return boxes[None], scores[None], labels[None], *(one[None] for one in masks)
