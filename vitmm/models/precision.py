"""What autocast leaves in bfloat16 and needs more: boxes, regions of maps, losses, scores."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from mmengine.runner import autocast
from torch import nn
from torch.utils._pytree import tree_map

# Where heads hand their outputs over to losses and to post-processing: mmdet's and mmseg's, the
# second stages of mmdet, mmpretrain's.
_METHODS = (
    'loss_by_feat',
    'predict_by_feat',
    'loss_and_target',
    '_get_loss',
    '_get_predictions',
)


def use_full_precision_in_losses(model: nn.Module) -> None:
    """Let the heads' losses and post-processing compute in float32 under autocast, in place.

    Exponentials of box offsets, IoUs, and sums over all pixels lose too much in bfloat16; autocast
    knows the operators of PyTorch, and on a CPU fewer than on a GPU, but not where a loss begins.

    Args:
        model: any model of mmdet, mmseg or mmpretrain.
    """
    for module in model.modules():
        # Where mmdet cuts regions out it rounds them to the type of the maps: to 4 pixels at 600.
        cuts = ('forward',) if hasattr(module, 'roi_layers') else ()
        for name in (*_METHODS, *cuts):
            if hasattr(module, name):
                # Not a closure: a copy of the module (EMA) must call its own.
                setattr(module, name, partial(_in_float32, getattr(module, name)))


def _in_float32(function: Callable, *args: Any, **kwargs: Any) -> Any:
    # A size would become a plain tuple, and mmseg asks which of the two it is.
    args, kwargs = tree_map(_widen, (args, kwargs), is_leaf=lambda one: isinstance(one, torch.Size))
    with autocast(enabled=False):
        return function(*args, **kwargs)


def _widen(value: Any) -> Any:
    narrow = isinstance(value, torch.Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if narrow else value
