"""mmseg's accuracy of pixels, counted where the logits are."""

from functools import wraps
from typing import Any

import torch

from vitmm.models.halts.dense import EPS


def install() -> None:
    """Put it in the place of the one that mmseg's heads call; harmless when repeated."""
    from mmseg.models.decode_heads import decode_head

    if not hasattr(decode_head.accuracy, '__wrapped__'):
        stock = decode_head.accuracy

        @wraps(stock)
        def accuracy(
            pred: torch.Tensor,
            target: torch.Tensor,
            *args: Any,
            ignore_index: int | None = None,
            **kwargs: Any,
        ) -> Any:
            if args or kwargs or not len(pred):
                return stock(pred, target, *args, ignore_index=ignore_index, **kwargs)
            return pixel_accuracy(pred, target, ignore_index)

        decode_head.accuracy = accuracy


def pixel_accuracy(
    logits: torch.Tensor, labels: torch.Tensor, ignore_index: int | None = None
) -> torch.Tensor:
    """The share of pixels whose label has the largest logit.

    Args:
        logits: (N, classes, H, W).
        labels: (N, H, W).
        ignore_index: the label of pixels that do not count.

    Returns:
        0 to 100, (1,).
    """
    counts = labels != ignore_index if ignore_index is not None else torch.ones_like(labels).bool()
    right = (logits.argmax(dim=1) == labels) & counts
    share = (right.sum() + EPS) / (counts.sum() + EPS)
    return 100 * share[None]
