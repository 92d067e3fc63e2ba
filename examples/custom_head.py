"""A head of one's own: configs/det/vit_custom_head.py uses it."""

import torch
from mmdet.models import RetinaHead
from mmdet.registry import MODELS
from timm.layers import SqueezeExcite


@MODELS.register_module()
class SERetinaHead(RetinaHead):
    """mmdet's RetinaHead, with squeeze-and-excitation (any module will do) before it."""

    def _init_layers(self) -> None:
        super()._init_layers()
        self.attention = SqueezeExcite(self.in_channels)

    def forward_single(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Classify and place the anchors of one level, (N, C, H, W)."""
        return super().forward_single(self.attention(x))
