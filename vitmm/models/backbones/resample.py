"""Tensors that depend on a model's size, resampled to it as timm resamples its own."""

import torch
from timm.layers import (
    resample_abs_pos_embed,
    resample_abs_pos_embed_nhwc,
    resample_patch_embed,
    resize_rel_pos_bias_table,
)
from timm.models import get_model_traits
from timm.models._manipulate import adapt_input_conv
from torch import Tensor, nn


def resample(key: str, value: Tensor, shape: torch.Size, model: nn.Module) -> Tensor:
    """Bring a tensor to a shape, if it is of the kinds that depend on the size of the images.

    These are position embeddings, tables of relative positions, patch kernels and the stem's
    input channels; axes of length one come and go with any.

    Args:
        key: its name in the model.
        value: as loaded.
        shape: of the model's tensor.
        model: unpruned, on any device; its grid, windows and stems are read.

    Returns:
        A tensor of that shape, or ``value`` where the two do not belong together.
    """
    if value.shape == shape:
        return value
    try:
        fitted = _resample(key, value, shape, model)
    except (RuntimeError, ValueError, NotImplementedError, AttributeError, AssertionError):
        return value  # timm's functions refuse in these ways
    return fitted if fitted.shape == shape else value


def solid(shape: torch.Size) -> list[int]:
    """The axes of a shape that are longer than one."""
    return [side for side in shape if side > 1]


def _resample(key: str, value: Tensor, shape: torch.Size, model: nn.Module) -> Tensor:
    owner, _, leaf = key.rpartition('.')
    if solid(value.shape) == solid(shape):
        return value.reshape(shape)
    if value.dim() != len(shape):
        return value
    if leaf == 'relative_position_bias_table':
        window = model.get_submodule(owner).window_size
        return resize_rel_pos_bias_table(value, window, shape)
    if leaf == 'pos_embed' and value.dim() == 4:
        return resample_abs_pos_embed_nhwc(value, list(shape[1:3]))
    if leaf == 'pos_embed':
        height, width = model.patch_embed.grid_size
        return resample_abs_pos_embed(
            value, [height, width], num_prefix_tokens=shape[1] - height * width
        )
    if value.dim() != 4:
        return value
    if key == 'patch_embed.proj.weight' and value.shape[2:] != shape[2:]:
        value = resample_patch_embed(value, list(shape[2:]))
    traits = get_model_traits(model)
    stems = traits.get('first_conv') or ()
    if owner in ((stems,) if isinstance(stems, str) else stems) and value.shape[1] != shape[1]:
        in_chans = traits['in_chans']
        folded = shape[1] // in_chans  # pixels that a stem has folded into channels
        value = adapt_input_conv(in_chans, value, value.shape[1] // folded)
    return value
