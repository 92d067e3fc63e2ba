"""Where in a tensor the values of attention come from, by gradients."""

from collections.abc import Callable

import torch

from vitmm.visualization.placing import Layout

_OFF = 0.05  # the share of a gradient that may differ from one factor a cell (bfloat16: 0.0001)
_ALIKE = 0.5  # correlation; of tokens in another order it is about 0
_ASKED = 12  # keys of a coarse map whose places are looked at


def carry(
    value: torch.Tensor,
    rows: torch.Tensor,
    anchor: torch.Tensor,
    to_cells: Callable[[torch.Tensor], torch.Tensor],
) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """What each cell of a tensor receives of what is given to the values.

    Args:
        value: (B, heads, K, d).
        rows: (B, heads, K), what each is given.
        anchor: that the values may have been made of.
        to_cells: of a tensor of its shape: (N, C, …), vectors of cells.

    Returns:
        (N, heads, …), and whether a value is made of the cell, (N, …). None where the value of a
        token is made of more than its own cells.
    """
    seed = torch.Generator().manual_seed(0)
    probe = torch.randn(value.shape[-1], generator=seed).to(value)
    noise = torch.randn(rows[:, :1].shape, generator=seed).to(value)

    def gradient(factors: torch.Tensor) -> torch.Tensor | None:
        outputs = (factors[..., None].to(value) * probe).expand_as(value)
        found = _gradient(value, anchor, outputs)
        return None if found is None else to_cells(found)

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


def same_places(tokens: torch.Tensor, source: torch.Tensor) -> bool:
    """Whether each token goes on from the one at its place in ``source``, both (…, C).

    So it is where blocks add to what they are given; not where windows are shifted between them.
    """
    seed = torch.Generator().manual_seed(0)
    probe = torch.randn(tokens.shape[-1], generator=seed).to(tokens)
    noise = torch.randn(tokens.shape[:-1], generator=seed).to(tokens)
    plain, noisy = (
        _gradient(tokens, source, factors[..., None] * probe)
        for factors in (torch.ones_like(noise), noise)
    )
    if plain is None:
        return False
    factors = (noisy * plain).sum(-1) / plain.square().sum(-1).clamp_min(1e-30)
    pair = torch.stack([factors.flatten(), noise.flatten().float()])
    return bool(torch.corrcoef(pair)[0, 1] > _ALIKE)


def in_order(value: torch.Tensor, coarse: Layout, anchor: torch.Tensor, fine: Layout) -> bool:
    """Whether the values, (B, heads, K, d), are cells of a map over ``anchor``, row by row.

    For some of them it is looked where in ``anchor`` they come from: about their own place.
    """
    (rows, columns), keys = coarse.grid, coarse.grid[0] * coarse.grid[1]
    if coarse.order != 'NLC' or keys < 4:
        return False
    for key in torch.linspace(0, keys - 1, min(keys, _ASKED)).long().tolist():
        outputs = torch.zeros_like(value)
        outputs[:, :, coarse.prefix + key] = 1
        found = _gradient(value, anchor, outputs)
        if found is None:
            return False
        power = fine.apply(found).square().sum((0, 1))
        if not power.any():
            return False
        power = power / power.sum()
        for axis, (place, cells) in enumerate(((key // columns, rows), (key % columns, columns))):
            along = power.sum(1 - axis)
            middles = (torch.arange(len(along), device=along.device) + 0.5) * cells / len(along)
            if abs(float((along * middles).sum()) - place - 0.5) > 1:
                return False
    return True


def _gradient(
    output: torch.Tensor, anchor: torch.Tensor, outputs: torch.Tensor
) -> torch.Tensor | None:
    """Float32, or None where the one is not made of the other."""
    (found,) = torch.autograd.grad(output, anchor, outputs, retain_graph=True, allow_unused=True)
    return None if found is None else found.float()
