"""Maps of several levels as one sequence of cells, in sizes that are numbers.

mmdet puts these sizes into tensors and makes lengths of them again, which no exporter can follow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

Size = tuple[int, int]


@dataclass
class Levels:
    """The geometry of maps, finest or coarsest first.

    Attributes:
        sizes: (h, w) of each in cells.
        inside: (h, w) of what is no padding in each.
    """

    sizes: list[Size]
    inside: list[Size]

    @classmethod
    def of(cls, maps: Sequence[Tensor], size: Size, padded: Size) -> 'Levels':
        """Of maps (N, C, h, w) of images of ``size``, (H, W) in pixels, in those of ``padded``."""
        sizes = [(one.shape[-2], one.shape[-1]) for one in maps]
        if tuple(size) == tuple(padded):
            return cls(sizes, sizes)
        # A cell belongs to the image where its nearest pixel does.
        return cls(
            sizes,
            [(-(-size[0] * h // padded[0]), -(-size[1] * w // padded[1])) for h, w in sizes],
        )

    def masks(self) -> list[Tensor | None]:
        """(1, h, w) of each, True on padding; None where there is no padding at all."""
        if self.inside is self.sizes:
            return [None] * len(self.sizes)
        return [
            ((torch.arange(h) >= top)[:, None] | (torch.arange(w) >= left))[None]
            for (h, w), (top, left) in zip(self.sizes, self.inside, strict=True)
        ]

    def centres(self) -> Tensor:
        """x and y of the cells, (1, cells, 2), 0 to 1 over the images."""
        found = []
        for (h, w), (height, width) in zip(self.sizes, self.inside, strict=True):
            y, x = (torch.arange(h) + 0.5) / height, (torch.arange(w) + 0.5) / width
            found.append(torch.stack(torch.meshgrid(x, y, indexing='xy'), -1).reshape(-1, 2))
        return torch.cat(found)[None]

    def shares(self) -> Tensor:
        """The part of width and height that is no padding, (1, levels, 2), 0 to 1."""
        return (_numbers(self.inside) / _numbers(self.sizes))[None]

    def extents(self) -> Tensor:
        """Width and height in cells, (levels, 2)."""
        return _numbers(self.sizes)


def sequence(
    maps: Sequence[Tensor],
    masks: Sequence[Tensor | None],
    encoding: nn.Module,
    embeddings: Tensor,
) -> tuple[Tensor, Tensor]:
    """Cells and where they are, (N, cells, C) both.

    Args:
        maps: (N, C, h, w).
        masks: of :class:`Levels`.
        encoding: of mmdet, of the places on a map.
        embeddings: (levels, C).
    """
    places = [
        encoding(mask, one).flatten(2).transpose(1, 2) + embedding
        for mask, one, embedding in zip(masks, maps, embeddings, strict=True)
    ]
    cells = [one.flatten(2).transpose(1, 2) for one in maps]
    return torch.cat(cells, 1), torch.cat(places, 1)


def _numbers(sizes: list[Size]) -> Tensor:
    """(levels, 2) float32, width before height."""
    # A tensor of numbers that --dynamic leaves open would fix them.
    flat = [torch.full((), side, dtype=torch.float32) for h, w in sizes for side in (w, h)]
    return torch.stack(flat).reshape(-1, 2)
