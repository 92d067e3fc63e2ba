"""Mask2Former's pixel decoder, which knows the sizes of its maps and does not read them."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import torch
from mmdet.models.layers import MSDeformAttnPixelDecoder
from torch import nn

from vitmm.models.deformable import finer
from vitmm.models.halts.avoiding import overrides_none, replace, send_numbers


def avoid(module: nn.Module) -> None:
    """Replace its forward pass."""
    if overrides_none(module, MSDeformAttnPixelDecoder, 'forward'):
        replace(module, 'forward', _forward)


def _forward(
    decoder: MSDeformAttnPixelDecoder, feats: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """``MSDeformAttnPixelDecoder.forward``: levels (N, C, H, W) -> masks' map, maps by size."""
    device, images = feats[0].device, len(feats[0])
    attended = range(decoder.num_input_levels)[::-1][: decoder.num_encoder_levels]  # smallest first
    sizes = [tuple(feats[level].shape[-2:]) for level in attended]
    inputs, positions, places = [], [], []
    for index, (level, (height, width)) in enumerate(zip(attended, sizes, strict=True)):
        inputs.append(decoder.input_convs[index](feats[level]).flatten(2))
        unpadded = torch.zeros(images, height, width, dtype=torch.bool, device=device)
        own = decoder.level_encoding.weight[index].view(1, -1, 1, 1)
        positions.append((decoder.postional_encoding(unpadded) + own).flatten(2))
        grid = decoder.point_generator.single_level_grid_priors(
            (height, width), level, device=device
        )
        pixels = np.array([width, height], dtype=np.float32) * decoder.strides[level]
        places.append(grid / send_numbers(pixels, device))
    counts = [height * width for height, width in sizes]
    shapes = send_numbers(np.array(sizes), device)
    shapes.known = sizes
    memory = decoder.encoder(
        query=torch.cat(inputs, dim=-1).transpose(1, 2),
        query_pos=torch.cat(positions, dim=-1).transpose(1, 2),
        key_padding_mask=torch.zeros(images, sum(counts), dtype=torch.bool, device=device),
        spatial_shapes=shapes,
        reference_points=torch.cat(places)[None, :, None].repeat(images, 1, len(sizes), 1),
        level_start_index=send_numbers(np.array([0, *accumulate(counts[:-1])]), device),
        valid_ratios=torch.ones(images, len(sizes), 2, device=device),
    )
    return finer(decoder, memory, sizes, feats)
