"""Any segmentation head, as a head of depth."""

from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn import functional as F

from vitmm.models.precision import widen
from vitmm.registry import MODELS


@MODELS.register_module()
class DepthHead(BaseModule):
    """Turn the one map of a mmseg head into metres, for mmseg's DepthEstimator.

    The depth is a sigmoid between 0 and ``max_depth``, the loss that of Eigen et al.,
    https://arxiv.org/abs/1406.2283, as mmseg's VPDDepthHead has them; that head itself is made for
    the four maps of a diffusion model.

    Args:
        head: config of a mmseg decode head; its ``num_classes`` and losses are of no account.
        max_depth: metres.
        loss: of depth against depth, (N, 1, H, W) both.
        init_cfg: MMEngine's.
    """

    num_classes = out_channels = 1

    def __init__(
        self,
        head: dict[str, Any],
        max_depth: float = 10.0,
        loss: dict[str, Any] | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.head = MODELS.build({**head, 'num_classes': 1, 'out_channels': 1, 'threshold': 0.5})
        self.align_corners = self.head.align_corners
        self.max_depth = max_depth
        self.loss_decode = MODELS.build(loss or dict(type='mmseg.SiLogLoss'))

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Return depth in metres, (N, 1, h, w), at the size that the head gives.

        At least in float32: bfloat16 would round it to 6 cm at 10 m.
        """
        return widen(self.head(maps)).sigmoid() * self.max_depth

    def loss(self, maps: tuple[Tensor, ...], samples: list, train_cfg: Any = None) -> dict:
        """The loss over the measured pixels, where the truth is above 0."""
        truth = torch.stack([sample.gt_depth_map.data for sample in samples])
        depth = self._resize(self(maps), truth.shape[-2:])
        return {'loss_depth': self.loss_decode(depth, truth)}

    def predict(self, maps: tuple[Tensor, ...], metas: list[dict], test_cfg: Any = None) -> Tensor:
        """Depth in metres, (N, 1, H, W), at the size of the padded images."""
        return self.head.predict_by_feat(self(maps), metas)

    def _resize(self, depth: Tensor, size: tuple[int, int]) -> Tensor:
        return F.interpolate(depth, size, mode='bilinear', align_corners=self.align_corners)
