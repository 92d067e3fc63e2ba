"""How windows of one size lie on a map of tokens, where they need not divide it."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Tile:
    """A part of a map that windows of one size divide, in tokens.

    Attributes:
        top, bottom, left, right: of the part; ``bottom`` and ``right`` lie behind its last token.
        tall, wide: of a window.
    """

    top: int
    bottom: int
    left: int
    right: int
    tall: int
    wide: int

    def cut(self, cells: torch.Tensor) -> torch.Tensor:
        """(..., height, width, C) of the map to (..., windows, tall * wide, C), a copy.

        A view, which strips one cell wide would be, keeps all of the map for the backward pass.
        """
        cells = cells[..., self.top : self.bottom, self.left : self.right, :]
        cells = cells.unflatten(-2, (-1, self.wide)).unflatten(-4, (-1, self.tall))
        cells = cells.transpose(-4, -3).clone(memory_format=torch.contiguous_format)
        return cells.flatten(-3, -2).flatten(-4, -3)

    def join(self, parts: torch.Tensor) -> torch.Tensor:
        """(..., windows, tall * wide, C) to (..., height, width, C) of the tile."""
        across = (self.right - self.left) // self.wide
        parts = parts.unflatten(-2, (self.tall, self.wide)).unflatten(-4, (-1, across))
        return parts.transpose(-4, -3).flatten(-3, -2).flatten(-4, -3)

    def first_window(self, width: int, prefix: int, device: torch.device) -> torch.Tensor:
        """The tokens of the map's first window of this size, the prefix before them.

        Biases go by how far two tokens are from each other, so they are the same in every window.
        """
        rows = torch.arange(self.tall, device=device)[:, None] * width
        cells = (rows + torch.arange(self.wide, device=device)).flatten() + prefix
        return torch.cat([torch.arange(prefix, device=device), cells])


def tiles(height: int, width: int, size: int) -> list[list[Tile]]:
    """Rows of tiles: the whole windows, and beside and below them what is left.

    Args:
        height, width: of the map, in tokens.
        size: of a window.
    """

    def split(length: int) -> list[tuple[int, int, int]]:
        whole = length // size * size
        spans = [(0, whole, size), (whole, length, length - whole)]
        return [span for span in spans if span[0] < span[1]]

    return [
        [Tile(top, bottom, left, right, tall, wide) for left, right, wide in split(width)]
        for top, bottom, tall in split(height)
    ]
