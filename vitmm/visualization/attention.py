"""The attention of any backbone, laid onto its image.

Where a token lies is not asked of the model. The value of a token depends on the cells of
the map that the token was made of, and on no other. So the gradient of (attention received x value)
with respect to that map, divided by the gradient of the value, is the attention on every cell,
however the cells were padded, shifted, cut into windows or pooled. Where that is not one factor a
cell, it is tried whether the tokens go back to such ones, or are a coarser map in order; and where
neither is so (attention among channels), there is no picture, and this is said.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch

from vitmm.errors import BackboneError
from vitmm.visualization.attending import Attended
from vitmm.visualization.carrying import carry, in_order, same_places
from vitmm.visualization.placing import Layout, Placing

_TRIED = 3  # operations, where none is chosen


@dataclass
class AttentionMaps:
    """Attention on one image, in multiples of what even attention would give.

    Attributes:
        title: which, for people.
        heads: (heads, h, w) float32 on the CPU.
        pitch: pixels (down, across) of the network's input from one cell to the next.
    """

    title: str
    heads: torch.Tensor
    pitch: tuple[float, float]


def choose_blocks(modules: Sequence[str], block: int | None, name: str) -> list[int]:
    """The numbers, from 0, of the attention operations that may be shown, the best first.

    Args:
        modules: of all that a backbone ran.
        block: a number, negative from the last; None for the last that can be laid onto the image.
        name: of the backbone.

    Raises:
        BackboneError: there is none at all, or not that one.
    """
    if not modules:
        raise BackboneError(
            f'{name} has no attention (no softmax over tokens) that could be shown: leave '
            'attention out of --what, or --what out for all that there is.'
        )
    if block is None:
        return list(range(len(modules)))[: -_TRIED - 1 : -1]
    if not -len(modules) <= block < len(modules):
        raise BackboneError(
            f'--block {block}: {name} has {len(modules)} blocks with attention, 0 '
            f'({modules[0]}) to {len(modules) - 1} ({modules[-1]}), or -{len(modules)} to -1.'
        )
    return [block % len(modules)]


def lay_attention(found: Sequence[Attended], placing: Placing) -> AttentionMaps:
    """Lay the attention of one module onto the image.

    Shown is what the class token's query gives to each cell, or the mean over all queries where
    there is no class token; in windows, each window's own.

    Args:
        found: its operations, each of other cells.
        placing: of the image.

    Raises:
        BackboneError: what is attended to are no cells of the image.
    """
    total, covered, title, pitch = 0, 0, '', (1.0, 1.0)
    for one in found:
        heads, there, who, pitch = _lay(one, placing)
        total, covered = total + heads, covered + there
        title = title or f'{one.module}, {who}'
    return AttentionMaps(title, (total / covered.clamp_min(1)).float().cpu(), pitch)


def _lay(
    found: Attended, placing: Placing
) -> tuple[torch.Tensor, torch.Tensor, str, tuple[float, float]]:
    """The heads (heads, h, w), where they attend (h, w), whose attention it is, the pitch."""
    for way in (_by_cells, _by_stream, _by_coarse_map):
        for one in (found, *found.others):
            laid = way(one, placing)
            if laid is None:
                continue
            cells, there, first = laid
            heads, pitch = placing.lift(cells)
            covered, _ = placing.lift(there[:, None].to(heads))
            return heads[0], covered[0, 0], _whose(found, first), pitch
    raise BackboneError(
        f'the attention of {found.module} is not one among cells of the image (but among channels, '
        'or of what neighbouring cells share): choose another --block, or leave out --block and '
        '--what for all that there is.'
    )


def _whose(found: Attended, first: bool) -> str:
    if first:
        return 'class token'
    if found.queries == 1:
        return 'its one query'
    return f'mean of {found.queries} {"channels" if found.channels else "queries"}'


_Laid = tuple[torch.Tensor, torch.Tensor, bool]  # (N, heads, h, w), (N, h, w), of a class token


def _by_cells(found: Attended, placing: Placing) -> _Laid | None:
    """Each value is made of the cells of a map, and each cell counts for itself."""
    for one, layout in _anchors(found, placing):
        rows, first = _rows(found, placing, layout)
        cells, there = carry(found.value, rows, one, layout.apply)
        if cells is not None:
            return cells, there, first
    return None


def _by_stream(found: Attended, placing: Placing) -> _Laid | None:
    """The tokens lie as those lay that the first block of their kind was given.

    NesT, MobileViT, Hiera: blocks hand on windows of tokens, which were cut from a map once.
    """
    if found.stream is None:
        return None
    tokens, source, maps = found.stream
    if tokens is source or not (tokens.requires_grad and same_places(tokens, source)):
        return None

    def flat(tensor: torch.Tensor) -> torch.Tensor:
        return tensor.flatten(0, -2).T[None]  # (1, C, tokens)

    rows = torch.cat([found.first, found.mean], 1)
    moved, _ = carry(found.value, rows * found.mean.shape[-1], tokens, flat)
    if moved is None:
        return None
    first, mean = moved.chunk(2, 1)
    value = source.flatten(0, -2)[None, None]
    # Even attention is 1 a token already.
    keys = value.shape[2]
    before = replace(found, first=first / keys, mean=mean / keys, value=value, maps=maps)
    return _by_cells(before, placing)


def _by_coarse_map(found: Attended, placing: Placing) -> _Laid | None:
    """The values are a coarser map row by row, made by overlapping convolutions (MViTv2)."""
    if found.channels or found.value.shape[0] != math.prod(placing.tiles):
        return None
    one, fine = next(_anchors(found, placing), (None, None))
    for layout in placing.layouts(found.value[:, 0].shape) if one is not None else ():
        if in_order(found.value, layout, one, fine):
            rows, first = _rows(found, placing, layout)
            cells = layout.apply(rows.transpose(1, 2))
            return cells, torch.ones_like(cells[:, 0]), first
    return None


def _anchors(found: Attended, placing: Placing) -> Iterator[tuple[torch.Tensor, Layout]]:
    for one in found.maps:
        if one.requires_grad:
            for layout in placing.layouts(one.shape):
                yield one, layout


def _rows(found: Attended, placing: Placing, layout: Layout) -> tuple[torch.Tensor, bool]:
    """What the keys are given, (B, heads, K), evenly 1; and whether by a class token."""
    known = placing.class_token and not found.channels
    first = known and (layout.prefix > 0 or found.queries == 1)
    return (found.first if first else found.mean) * found.mean.shape[-1], first


def rollout(found: Sequence[Sequence[Attended]], placing: Placing) -> AttentionMaps:
    """Attention through all blocks: Abnar and Zuidema, https://arxiv.org/abs/2005.00928.

    The product over blocks of (A + I) / 2, A averaged over heads; its row of the class token, or
    the mean of all rows, on the cells.

    Raises:
        BackboneError: the blocks do not all attend to the same tokens.
    """
    several = [one for ones in found for one in ones]
    shapes = {tuple(one.weights.shape) for one in several}
    last = several[-1]
    layout = next((x for t in last.maps if t.dim() == 3 for x in placing.layouts(t.shape)), None)
    (count, queries, keys) = last.weights.shape
    tokens = layout.prefix + math.prod(layout.grid) if layout else 0
    if len(shapes) > 1 or len(several) > len(found) or queries != keys or keys != tokens:
        raise BackboneError(
            '--rollout multiplies the attention of all blocks: of plain ViTs, without windows, '
            'where every block looks at the same tokens. Leave it out.'
        )
    flow = torch.eye(keys, device=last.weights.device).expand(count, keys, keys)
    for one in several:
        flow = (one.weights @ flow + flow) / 2
    known = placing.class_token and layout.prefix > 0
    rows = (flow[:, 0] if known else flow.mean(1))[..., None] * keys
    cells, pitch = placing.lift(layout.apply(rows))
    title = f'rollout of {len(found)} blocks, {"class token" if known else "mean of queries"}'
    return AttentionMaps(title, cells[0].float().cpu(), pitch)
