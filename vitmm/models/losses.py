"""Losses of classification."""

import torch
from torch import nn
from torch.nn import functional as F

from vitmm.errors import ConfigError
from vitmm.registry import MODELS


@MODELS.register_module()
class CrossEntropyLoss(nn.Module):
    """PyTorch's cross entropy as mmpretrain's heads call it: of classes or of mixed labels.

    mmpretrain has one loss for classes, one for mixed labels, and a third that smooths them and
    makes a GPU wait for the largest label.

    Args:
        label_smoothing: 0 to 1: so much of each label is spread over all classes alike
            (https://arxiv.org/abs/1512.00567).
        loss_weight: factor.

    Raises:
        ConfigError: another ``label_smoothing``.
    """

    def __init__(self, label_smoothing: float = 0.0, loss_weight: float = 1.0) -> None:
        super().__init__()
        if not 0 <= label_smoothing <= 1:
            raise ConfigError(f'label_smoothing is from 0 to 1, not {label_smoothing}.')
        self.label_smoothing = label_smoothing
        self.loss_weight = loss_weight

    def forward(
        self, cls_score: torch.Tensor, label: torch.Tensor, avg_factor: float | None = None
    ) -> torch.Tensor:
        """The mean over the images.

        Args:
            cls_score: logits, (N, classes).
            label: classes (N,), or the share of each class (N, classes).
            avg_factor: divides the sum; N by default.
        """
        losses = F.cross_entropy(
            cls_score, label, reduction='none', label_smoothing=self.label_smoothing
        )
        return self.loss_weight * losses.sum() / (avg_factor or len(losses))
