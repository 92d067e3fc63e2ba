"""Detectors of one stage, and R-CNNs."""

from torch import Tensor, nn

from vitmm.errors import ConfigError
from vitmm.export.dense import DenseBoxes
from vitmm.export.regions import Regions


class StagedBoxes(nn.Module):
    """mmdet's SingleStageDetector and TwoStageDetector, for one image.

    Raises:
        ConfigError: another detector, or a head that cannot be exported.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        from mmdet.models.detectors import SingleStageDetector, TwoStageDetector

        two = isinstance(model, TwoStageDetector)
        owner = TwoStageDetector if two else SingleStageDetector
        if type(model).predict is not getattr(owner, 'predict', None):
            raise ConfigError(
                f'{type(model).__name__} cannot be exported: detectors of one stage, R-CNNs, '
                'DeformableDETR, DINO and Mask2Former can be.'
            )
        if two and not (model.with_rpn and model.with_roi_head):
            raise ConfigError(
                f'{type(model).__name__} cannot be exported without RPN and RoI head.'
            )
        self.model = model
        self.first = DenseBoxes(model.rpn_head if two else model.bbox_head, proposals=two)
        self.second = Regions(model.roi_head) if two else None
        self.masks = None
        if two and self.second.masks is not None:
            self.masks = 'masks (1, K, h, w), 0 to 1, each over its own box'

    def forward(self, images: Tensor, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """Images (1, C, H, W) -> boxes (K, 4), scores (K,), -1 for none, labels, masks."""
        maps = self.model.extract_feat(images)
        boxes, scores, labels = self.first(maps, size)
        if self.second is None:
            return boxes, scores, labels
        return self.second(maps, boxes, scores >= 0, size)
