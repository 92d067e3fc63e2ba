"""What a feature map holds, as pictures of one channel."""

import torch


def norms(cells: torch.Tensor) -> torch.Tensor:
    """The Euclidean norm of the vector of each cell: (C, h, w) to (h, w)."""
    return cells.float().norm(dim=0)


def top_channels(cells: torch.Tensor, number: int) -> list[tuple[int, torch.Tensor]]:
    """The channels that tell most: those of the largest variance over the map, first the largest.

    Args:
        cells: (C, h, w).
        number: of channels; no more than there are.

    Returns:
        The number of each and its (h, w).
    """
    spread = cells.float().flatten(1).var(1, correction=0)
    chosen = spread.topk(min(number, len(cells))).indices.tolist()
    return [(n, cells[n].float()) for n in chosen]
