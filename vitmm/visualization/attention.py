"""The attention of any backbone, laid onto its image.

Where a token lies is not asked of the model. The value of a token depends on the cells of
the map that the token was made of, and on no other. So the gradient of (attention received x value)
with respect to that map, divided by the gradient of the value, is the attention on every cell,
however the cells were padded, shifted, cut into windows or pooled. Where that is not one factor a
cell (attention among channels), there is no picture, and this is said.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from vitmm.errors import BackboneError
from vitmm.visualization.attending import Attended
from vitmm.visualization.placing import Layout, Placing

_OFF = 0.05  # the share of a gradient that may differ from one factor a cell (bfloat16: 0.0001)
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
            f'{name} has no attention (no softmax over tokens) that could be shown: choose of '
            'features, gradcam and pca with --what.'
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
    keys = found.mean.shape[-1]
    for one in found.maps:
        for layout in placing.layouts(one.shape) if one.requires_grad else ():
            first = placing.class_token and (layout.prefix > 0 or found.queries == 1)
            rows = found.first if first else found.mean
            cells, there = _carry(found.value, rows * keys, one, layout)
            if cells is None:
                continue
            heads, pitch = placing.lift(cells)
            covered, _ = placing.lift(there[:, None].to(heads))
            who = 'class token' if first else f'mean of {found.queries} queries'
            return heads[0], covered[0, 0], who, pitch
    raise BackboneError(
        f'the attention of {found.module} is not one among cells of the image (but among channels, '
        'or of what neighbouring cells share): choose another --block, or features, gradcam and '
        'pca with --what.'
    )


def _carry(
    value: torch.Tensor, rows: torch.Tensor, anchor: torch.Tensor, layout: Layout
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """What each cell of ``anchor`` receives, (N, heads, h, w), of ``rows`` (B, heads, K).

    And whether a value is made of it, (N, h, w). None where the value of a token is made of more
    than its own cell.
    """
    seed = torch.Generator().manual_seed(0)
    probe = torch.randn(value.shape[-1], generator=seed).to(value)
    noise = torch.randn(rows[:, :1].shape, generator=seed).to(value)

    def gradient(factors: torch.Tensor) -> torch.Tensor | None:
        outputs = (factors[..., None].to(value) * probe).expand_as(value)
        (found,) = torch.autograd.grad(value, anchor, outputs, retain_graph=True, allow_unused=True)
        return None if found is None else layout.apply(found.float())

    plain = gradient(torch.ones_like(noise))
    if plain is None or not plain.any():
        return None, None
    length = plain.square().sum(1).clamp_min(torch.finfo(torch.float32).tiny)

    def divide(found: torch.Tensor) -> torch.Tensor:
        return (found * plain).sum(1) / length

    noisy = gradient(noise)
    rest = noisy - divide(noisy)[:, None] * plain
    if rest.square().sum() > _OFF * noisy.square().sum():
        return None, None
    heads = [divide(gradient(rows[:, n : n + 1])) for n in range(rows.shape[1])]
    return torch.stack(heads, 1), plain.any(1)


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
