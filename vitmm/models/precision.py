"""What autocast leaves in bfloat16 and needs more: boxes, regions of maps, losses, scores."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils._pytree import tree_leaves, tree_map

# Where heads hand their outputs over to losses and to post-processing: mmdet's and mmseg's, the
# second stages of mmdet, mmpretrain's, mmdet's Mask2Former.
_METHODS = (
    'loss_by_feat',
    'predict_by_feat',
    'loss_and_target',
    '_get_loss',
    '_get_predictions',
    'instance_postprocess',
    'panoptic_postprocess',
    'semantic_postprocess',
)
# Of DETR and its kin, what places a box in the whole image. Their heads add to it and take the
# sigmoid before they hand it over: in bfloat16 a box moves by steps of 4 pixels of 1024.
_PLACES = ('fc_reg', 'reg_branches', 'reference_points_fc')
# Where one method of mmseg's is both.
_BOTH = tuple(f'mmseg.models.decode_heads.{name}_head' for name in ('mask2former', 'maskformer'))


def use_full_precision_in_losses(model: nn.Module) -> None:
    """Let the heads' losses and post-processing compute in float32 under autocast, in place.

    Exponentials of box offsets, IoUs, and sums over all pixels lose too much in bfloat16; autocast
    knows the operators of PyTorch, and on a CPU fewer than on a GPU, but not where a loss begins.

    Args:
        model: any model of mmdet, mmseg or mmpretrain.
    """
    for module in [*model.modules()]:
        for layer in _places(module):
            layer.forward = partial(_in_float32, layer.forward)
        # Where mmdet cuts regions out it rounds them to the type of the maps: to 4 pixels at 600.
        cuts = ('forward',) if hasattr(module, 'roi_layers') else ()
        for name in (*_METHODS, *cuts):
            if hasattr(module, name):
                # Not a closure: a copy of the module (EMA) must call its own.
                setattr(module, name, partial(_in_float32, getattr(module, name)))
        if getattr(getattr(type(module), 'predict', None), '__module__', None) in _BOTH:
            module.predict = partial(_predict, module)


def _places(module: nn.Module) -> Iterator[nn.Module]:
    for name in _PLACES:
        found = getattr(module, name, None)
        if isinstance(found, nn.ModuleList):
            yield from found
        elif isinstance(found, nn.Module):
            yield found


def _in_float32(function: Callable, *args: Any, **kwargs: Any) -> Any:
    args, kwargs = _widened((args, kwargs))
    # Of these, for MMEngine's autocast is that of the GPU wherever there is one.
    kinds = {one.device.type for one in tree_leaves((args, kwargs)) if torch.is_tensor(one)}
    with ExitStack() as stack:
        for kind in filter(torch.amp.is_autocast_available, kinds):  # meta has none
            stack.enter_context(torch.autocast(kind, enabled=False))
        return function(*args, **kwargs)


def _predict(head: nn.Module, maps: Sequence[torch.Tensor], *args: Any) -> torch.Tensor:
    """``predict`` of mmseg's Mask2FormerHead: what follows the forward pass, in float32."""
    kind = maps[0].device.type
    half = torch.autocast(
        kind, torch.get_autocast_dtype(kind), enabled=torch.is_autocast_enabled(kind)
    )

    def forward(*given: Any) -> tuple[list[torch.Tensor], ...]:
        with half:
            scores, masks = head(*given)
        return _widened(scores[-1:]), _widened(masks[-1:])  # the last layer is all that is read

    with torch.autocast(kind, enabled=False):
        return type(head).predict(forward, maps, *args)


def _widened(values: Any) -> Any:
    # A size would become a plain tuple, and mmseg asks which of the two it is.
    return tree_map(widen, values, is_leaf=lambda one: isinstance(one, torch.Size))


def widen(value: Any) -> Any:
    """A tensor of 16 bits in float32; anything else as it is."""
    narrow = isinstance(value, torch.Tensor) and value.dtype in (torch.bfloat16, torch.float16)
    return value.float() if narrow else value
