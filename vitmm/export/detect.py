"""Detection and instance segmentation as a graph."""

import torch
from torch import Tensor, nn


class Detect(nn.Module):
    """A prepared image -> boxes (1, K, 4), scores (1, K), labels (1, K), masks.

    Args:
        model: mmdet's detector of one or two stages, or with queries.

    Raises:
        ConfigError: another detector, or a head that cannot be exported.
    """

    batches = False  # NMS of several images at once would need numbers beyond float32

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        import torchvision  # noqa: F401  (registers the kernels; its import takes seconds)
        from mmdet.models.detectors import DetectionTransformer, MaskFormer

        if isinstance(model, MaskFormer):
            from vitmm.export.masks import QueryMasks as Kind
        elif isinstance(model, DetectionTransformer):
            from vitmm.export.queries import QueryBoxes as Kind
        else:
            from vitmm.export.stages import StagedBoxes as Kind
        self.find = Kind(model)
        self.limits = getattr(self.find, 'limits', '')
        self.outputs = ('boxes', 'scores', 'labels', *(['masks'] if self.find.masks else []))
        told = (
            'boxes (1, K, 4) x1 y1 x2 y2 in pixels of the input, scores (1, K), labels (1, K), '
            'best first, the rest of K filled with score 0 and label -1'
        )
        self.results = '; '.join(filter(None, (told, self.find.masks)))

    def forward(self, images: Tensor, size: tuple[int, int]) -> tuple[Tensor, ...]:
        boxes, scores, labels, *masks = self.find(images, size)
        real = scores >= 0
        boxes = torch.where(real[:, None], boxes, 0.0)
        scores, labels = torch.where(real, scores, 0.0), torch.where(real, labels, -1)
        return boxes[None], scores[None], labels[None], *(one[None] for one in masks)
