"""mmseg 1.2's losses where they stop: weighted classes beside ignored pixels, focal loss on a CPU.

Can go when ``cross_entropy`` looks up no weight for ``ignore_index``, and ``FocalLoss`` keeps all
classes of its targets (``target[:, :num_classes]``).
"""

from functools import wraps
from types import ModuleType

import torch
from torch.nn import functional as F

from vitmm.compat.after_import import after_import


def install() -> None:
    """Correct both when mmseg is imported; harmless when repeated."""
    after_import('mmseg.models.losses.cross_entropy_loss', _correct_cross_entropy)
    after_import('mmseg.models.losses.focal_loss', _correct_focal_loss)


def _correct_cross_entropy(module: ModuleType) -> None:
    stock = module.cross_entropy

    @wraps(stock)
    def cross_entropy(
        pred,
        label,
        weight=None,
        class_weight=None,
        reduction='mean',
        avg_factor=None,
        ignore_index=-100,
        avg_non_ignore=False,
    ):
        if class_weight is not None and avg_factor is None and reduction == 'mean':
            # What is ignored weighs nothing, as in torch's mean; that of a class that is ignored
            # counts unless avg_non_ignore, as in mmseg's.
            inside = (label >= 0) & (label < len(class_weight))
            if avg_non_ignore:
                inside &= label != ignore_index
            weights = class_weight[label.clamp(0, len(class_weight) - 1)]
            avg_factor = torch.where(inside, weights, 0).sum()
        elif avg_non_ignore and avg_factor is None and reduction == 'mean':
            # mmseg's number, of which it makes one of Python's: a wait for the GPU.
            avg_factor = (label != ignore_index).sum()
        return stock(
            pred, label, weight, class_weight, reduction, avg_factor, ignore_index, avg_non_ignore
        )

    module.cross_entropy = cross_entropy


def _correct_focal_loss(module: ModuleType) -> None:
    stock = module.FocalLoss.forward

    @wraps(stock)
    def forward(
        self,
        pred,
        target,
        weight=None,
        avg_factor=None,
        reduction_override=None,
        ignore_index=255,
        **kwargs,
    ):
        classes = pred.shape[1]
        if pred.is_cuda or not self.use_sigmoid or pred.shape == target.shape or classes == 1:
            return stock(
                self, pred, target, weight, avg_factor, reduction_override, ignore_index, **kwargs
            )
        reduction = reduction_override or self.reduction
        valid = target != ignore_index
        labels = torch.where(valid, target, 0).flatten()
        one_hot = F.one_hot(labels, classes + 1)[:, :classes]  # behind the last is background
        loss = self.loss_weight * module.py_sigmoid_focal_loss(
            pred.movedim(1, -1).reshape(-1, classes),
            one_hot,
            None,
            weight,
            gamma=self.gamma,
            alpha=self.alpha,
            class_weight=self.class_weight,
            valid_mask=valid.view(-1, 1),
            reduction=reduction,
            avg_factor=avg_factor,
        )
        if reduction == 'none':
            loss = loss.reshape(*target.shape, classes).movedim(-1, 1)
        return loss

    module.FocalLoss.forward = forward
