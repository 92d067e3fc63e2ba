"""Sizes of the levels that deformable attention looks at: known on the CPU, and so not read."""

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.ops import MultiScaleDeformableAttention
from mmcv.ops.multi_scale_deform_attn import (
    MultiScaleDeformableAttnFunction,
    multi_scale_deformable_attn_pytorch,
)
from mmdet.models.detectors import DeformableDETR
from mmdet.models.layers.transformer import DeformableDetrTransformerEncoder
from torch import nn

from vitmm.models.deformable import points, values
from vitmm.models.halts.avoiding import overrides_none, replace
from vitmm.models.halts.lists import Sending


def avoid(module: nn.Module) -> None:
    """Replace what asks a tensor for the sizes."""
    if overrides_none(module, DeformableDETR, 'pre_transformer', 'gen_encoder_output_proposals'):
        replace(module, 'pre_transformer', _pre_transformer)
        replace(module, 'gen_encoder_output_proposals', _proposals)
    if overrides_none(module, DeformableDetrTransformerEncoder, 'get_encoder_reference_points'):
        replace(module, 'get_encoder_reference_points', _reference_points)
    if type(module) is MultiScaleDeformableAttention:
        replace(module, 'forward', _attend)


def _pre_transformer(
    detector: DeformableDETR, mlvl_feats: Sequence[torch.Tensor], *args: Any, **kwargs: Any
) -> tuple[dict, dict]:
    """``DeformableDETR.pre_transformer``; the sizes are known besides."""
    with Sending():
        inputs = type(detector).pre_transformer(detector, mlvl_feats, *args, **kwargs)
    # It is the same tensor for the encoder and the decoder.
    inputs[0]['spatial_shapes'].known = [tuple(level.shape[-2:]) for level in mlvl_feats]
    return inputs


def _known(spatial_shapes: torch.Tensor) -> torch.Tensor | list[tuple[int, int]]:
    """(height, width) of the levels (L, 2), as numbers where they are known."""
    return getattr(spatial_shapes, 'known', spatial_shapes)


def _proposals(
    detector: DeformableDETR,
    memory: torch.Tensor,
    memory_mask: torch.Tensor | None,
    spatial_shapes: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """``DeformableDETR.gen_encoder_output_proposals``."""
    # It takes numbers too, but makes them of the memory's type, in which sizes may not be exact.
    exact = memory_mask is not None or memory.dtype in (torch.float32, torch.float64)
    sizes = _known(spatial_shapes) if exact else spatial_shapes
    return type(detector).gen_encoder_output_proposals(detector, memory, memory_mask, sizes)


def _reference_points(
    encoder: DeformableDetrTransformerEncoder, spatial_shapes: torch.Tensor, *args: Any, **kwargs
) -> torch.Tensor:
    """``DeformableDetrTransformerEncoder.get_encoder_reference_points``."""
    sizes = _known(spatial_shapes)
    return type(encoder).get_encoder_reference_points(sizes, *args, **kwargs)


def _attend(
    attention: MultiScaleDeformableAttention,
    query: torch.Tensor,
    key: torch.Tensor | None = None,
    value: torch.Tensor | None = None,
    identity: torch.Tensor | None = None,
    query_pos: torch.Tensor | None = None,
    key_padding_mask: torch.Tensor | None = None,
    reference_points: torch.Tensor | None = None,
    spatial_shapes: torch.Tensor | None = None,
    level_start_index: torch.Tensor | None = None,
    **kwargs: Any,
) -> torch.Tensor:
    """``MultiScaleDeformableAttention.forward``, which asks a GPU whether the sizes fit."""
    known = getattr(spatial_shapes, 'known', None)
    if (
        known is None
        or query.device.type not in ('cpu', 'cuda')
        or reference_points.shape[-1] not in (2, 4)
        or 'residual' in kwargs  # an old name, which mmcv warns of
    ):
        given = key, value, identity, query_pos, key_padding_mask, reference_points
        given = query, *given, spatial_shapes, level_start_index
        return type(attention).forward(attention, *given, **kwargs)
    kept = query if identity is None else identity
    value = query if value is None else value
    query = query if query_pos is None else query + query_pos
    if not attention.batch_first:
        query, value = query.transpose(0, 1), value.transpose(0, 1)
    assert sum(height * width for height, width in known) == value.shape[1]
    value = values(attention, value, key_padding_mask)
    where, weights = points(attention, query, reference_points, spatial_shapes.flip(-1))
    if query.is_cuda:
        attended = MultiScaleDeformableAttnFunction.apply(
            value, spatial_shapes, level_start_index, where, weights, attention.im2col_step
        )
    else:
        attended = multi_scale_deformable_attn_pytorch(value, known, where, weights)
    attended = attention.output_proj(attended)
    if not attention.batch_first:
        attended = attended.transpose(0, 1)
    return attention.dropout(attended) + kept
