"""Windowed attention for plain ViTs: most blocks look into windows, a few at the whole map.

Li et al., Exploring Plain Vision Transformer Backbones for Object Detection (ViTDet),
https://arxiv.org/abs/2203.16527. timm's blocks stay as they are: only what their attention is given
changes. Where windows do not divide the map, those at its right and bottom are smaller, so nothing
is padded and nothing has to be masked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from mmengine.logging import print_log
from torch import nn

from vitmm.errors import BackboneError
from vitmm.models.backbones.measure import measure_maps
from vitmm.models.backbones.partition import Tile, tiles
from vitmm.models.backbones.settings import is_whole
from vitmm.models.backbones.twin import Twin, ask_once

_BIASES = ('_get_rel_pos_bias', 'get_bias')  # as timm's attentions and their parts call it
_GRID = '_vitmm_grid'
_CUT = '_vitmm_cut'


@dataclass
class Windows:
    """What the windowed blocks of one model share.

    Attributes:
        size: of a window, in tokens.
        patch: pixels of a token's side.
        grid: (height, width) of the present map, in tokens.
        kept: asks which tokens of the whole map the present window has, to cut biases by.
    """

    size: int
    patch: int
    grid: tuple[int, int] = (0, 0)
    kept: Callable[[], torch.Tensor] | None = None

    def tell(self, images: torch.Tensor) -> torch.Tensor:
        """Take the grid from images (N, C, H, W) on their way to the model."""
        height, width = images.shape[-2:]
        self.grid = (height // self.patch, width // self.patch)
        return images


def put_windows(
    model: nn.Module, size: int, global_blocks: int | Sequence[int], model_name: str, **settings
) -> Windows | None:
    """Let the attention of all but some blocks of a plain ViT look into windows only, in place.

    Class and register tokens are part of every window; what comes of them is averaged over the
    windows, each counting as many times as it has tokens. Other models are left as they are, so
    that a recipe with windows takes any backbone; this is logged.

    Args:
        model: a timm model, pruned or not.
        size: of a window, in tokens.
        global_blocks: how many blocks look at the whole map, evenly spaced, the last one among them
            (ViTDet has 4; of fewer, all); or which, negative ones counted from the last.
        model_name: its name.
        settings: what it was made with.

    Returns:
        What has to be told of the images (:meth:`Windows.tell`) before the model sees them; None
        if the model is no plain ViT.

    Raises:
        BackboneError: a size or a block that there is not, or patches that are dropped.
    """
    if not is_whole(size) or size < 1:
        raise BackboneError(f'window_size={size!r}: give a number of tokens, 1 or more.')
    if settings.get('patch_drop_rate'):
        raise BackboneError('window_size needs all patches: leave out patch_drop_rate.')
    reason = ask_once('windows', _other, model_name, settings)
    if reason:
        print_log(f'{model_name} {reason}: no windows (window_size={size}).', 'current')
        return None
    whole = _choose_global(global_blocks, len(model.blocks))
    windows = Windows(size, measure_maps(model_name, **settings).strides[-1])
    for number, block in enumerate(model.blocks):
        if number in whole:
            continue
        # Not closures: a copy of the model (EMA) must call its own layers.
        for part in block.attn.modules():
            for name in _BIASES:
                if hasattr(part, name):
                    setattr(part, name, partial(_cut_bias, getattr(part, name), windows))
        block.attn.forward = partial(_attend, block.attn.forward, windows)
        block.register_forward_pre_hook(partial(_recall_grid, windows))
    return windows


def _choose_global(blocks: int | Sequence[int], depth: int) -> set[int]:
    if isinstance(blocks, int):
        if blocks < 0:
            raise BackboneError(f'global_blocks={blocks}: give 0 or more, or a list of blocks.')
        count = min(blocks, depth)
        return {round((i + 1) * depth / count) - 1 for i in range(count)}
    chosen = {i + depth if i < 0 else i for i in blocks}
    if not chosen <= set(range(depth)):
        raise BackboneError(
            f'global_blocks={tuple(blocks)}: there are {depth} blocks, 0 to {depth - 1}.'
        )
    return chosen


def _other(twin: Twin) -> str:
    """Why the model is no plain ViT; '' if it is one."""
    blocks = getattr(twin.model, 'blocks', None)
    if not blocks or not all(hasattr(block, 'attn') for block in blocks):
        return 'has no chain of blocks with attention'
    seen: list[tuple[int, ...]] = []
    handles = [
        block.attn.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape)))
        for block in blocks
    ]
    try:
        (_, *grid) = twin.maps(twin.native)[-1]
    finally:
        for handle in handles:
            handle.remove()
    prefix = getattr(twin.model, 'num_prefix_tokens', 0)
    tokens = grid[0] * grid[1] + prefix
    if len(seen) != len(blocks) or any(len(s) != 3 or s[1] != tokens for s in seen):
        return 'does not keep one map of tokens throughout'
    return ''


def _recall_grid(windows: Windows, block: nn.Module, args: tuple) -> None:
    """A block that is run again in the backward pass gets the same input: its map is that one's."""
    tokens = args[0]
    if not torch.compiler.is_compiling():
        windows.grid = tokens.__dict__.setdefault(_GRID, windows.grid)


@torch.compiler.disable  # windows are cut otherwise at each size: a graph for each would be made
def _attend(forward: Callable, windows: Windows, tokens: torch.Tensor, *args, **kwargs) -> Any:
    """Attention within windows. ``tokens``: (N, prefix + height * width, C)."""
    height, width = windows.grid
    if height <= windows.size and width <= windows.size:
        return forward(tokens, *args, **kwargs)
    count = tokens.shape[0]
    prefix = tokens.shape[1] - height * width
    first, cells = tokens[:, :prefix], tokens[:, prefix:].unflatten(1, (height, width))

    def within(tile: Tile) -> torch.Tensor:
        """What the attention makes of a tile: (N, windows, prefix + cells, C)."""

        def fit(value: Any) -> Any:
            if not isinstance(value, torch.Tensor) or value.dim() < 2:
                return value
            if value.shape[-2:] == (tokens.shape[1],) * 2:  # of each pair of tokens: biases
                return _submatrix(value, windows.kept())
            if value.shape[-2] == height * width:  # of each cell: rotations
                return _cut_rotations(value, tile, windows.grid, count)
            return value

        parts = tile.cut(cells)
        number = parts.shape[1]
        if prefix:
            parts = torch.cat([first[:, None].expand(-1, number, -1, -1), parts], dim=2)
        windows.kept = partial(tile.first_window, width, prefix, tokens.device)
        try:
            others = [fit(value) for value in args]
            named = {key: fit(value) for key, value in kwargs.items()}
            return forward(parts.flatten(0, 1), *others, **named).unflatten(0, (count, number))
        finally:
            windows.kept = None

    mean, rows = 0, []
    for band in tiles(height, width, windows.size):
        row = []
        for tile in band:
            parts = within(tile)
            if prefix:
                share = tile.tall * tile.wide / (height * width)
                mean = mean + share * parts[:, :, :prefix].sum(1)
            row.append(tile.join(parts[:, :, prefix:]))
        rows.append(torch.cat(row, dim=2) if len(row) > 1 else row[0])
    cells = (torch.cat(rows, dim=1) if len(rows) > 1 else rows[0]).flatten(1, 2)
    return torch.cat([mean, cells], dim=1) if prefix else cells


def _cut_rotations(
    table: torch.Tensor, tile: Tile, grid: tuple[int, int], count: int
) -> torch.Tensor:
    """A table (height * width, D) or (heads, height * width, D) for each window of a tile.

    Every block keeps what it is given for its backward pass, so blocks that share a table must
    share what is cut out of it too. It lives as long as the table. Without gradients each block
    cuts anew, and nothing is kept.

    Returns:
        (count * windows, 1 or heads, cells, D).
    """
    kept = {}
    if torch.is_grad_enabled() and not table.requires_grad:  # learned ones are each block's own
        kept = table.__dict__.setdefault(_CUT, kept)
    if any(way[0] != count for way in kept):
        kept.clear()
    if (count, tile) not in kept:
        parts = tile.cut(table.unflatten(-2, grid)).movedim(-3, 0)
        if parts.dim() == 3:
            parts = parts.unsqueeze(1)  # for all heads
        kept[count, tile] = parts.expand(count, *parts.shape).flatten(0, 1)
    return kept[count, tile]


def _cut_bias(get: Callable, windows: Windows) -> torch.Tensor:
    bias = get()
    return bias if windows.kept is None else _submatrix(bias, windows.kept())


def _submatrix(matrix: torch.Tensor, kept: torch.Tensor) -> torch.Tensor:
    return matrix[..., kept[:, None], kept]
