"""How images of any size get onto the grid that a model takes, and its maps off it again."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from vitmm.models.cells import cells


@dataclass(frozen=True)
class Canvas:
    """What a model asks of the size of its images; sizes are (height, width) in pixels.

    Attributes:
        native: the size that the model was made for.
        multiple: images are padded (zeros, bottom and right) to a whole number of these.
        minimum: and at least to this.
        tiled: the grid cannot move at all: the image is cut into tiles of ``native``, which run
            as one batch, and their maps are stitched.
    """

    native: tuple[int, int]
    multiple: tuple[int, int] = (1, 1)
    minimum: tuple[int, int] = (1, 1)
    tiled: bool = False

    @property
    def policy(self) -> str:
        """In a word: ``'any'`` size, whole ``'cells'``, whole ``'natives'``, or ``'tiles'``."""
        if self.tiled:
            return 'tiles'
        if self.multiple == (1, 1):
            return 'any'
        return 'natives' if self.multiple == self.native else 'cells'

    def size_for(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size (H, W) of the canvas that images of ``size`` are laid onto."""
        # Asked for only where it matters: torch.export would refuse the native size from then on.
        if self._rounded(self.native) != self.native == size:
            return size
        return self._rounded(size)

    def _rounded(self, size: tuple[int, int]) -> tuple[int, int]:
        height, width = (
            max(cells(side, m) * m, least)
            for side, m, least in zip(size, self.multiple, self.minimum, strict=True)
        )
        return height, width

    def lay(self, images: torch.Tensor) -> torch.Tensor:
        """Pad images (N, C, H, W) to the canvas; cut into (N * tiles, C, *native) if tiled."""
        height, width = images.shape[-2:]
        bottom, right = self.size_for((height, width))
        if (bottom, right) != (height, width):
            images = F.pad(images, (0, right - width, 0, bottom - height))
        if not self.tiled:
            return images
        h, w = self.native
        tiles = images.unflatten(-1, (right // w, w)).unflatten(-3, (bottom // h, h))
        return tiles.permute(0, 2, 4, 1, 3, 5).flatten(0, 2)

    def lift(
        self, maps: Sequence[torch.Tensor], strides: Sequence[int], size: tuple[int, int]
    ) -> list[torch.Tensor]:
        """Bring the maps of what :meth:`lay` made of images of ``size`` (H, W) to their size.

        Returns:
            One map (N, C_i, ceil(H / strides[i]), ceil(W / strides[i])) per map.
        """
        canvas = self.size_for(size)
        rows, columns = self._tiles(canvas)
        lifted = []
        for m, stride in zip(maps, strides, strict=True):
            if rows * columns > 1:
                m = m.unflatten(0, (-1, rows, columns)).permute(0, 3, 1, 4, 2, 5)
                m = m.flatten(4, 5).flatten(2, 3)
            whole = tuple(cells(side, stride) for side in canvas)
            if m.shape[-2:] != whole:
                if rows * columns > 1:  # cells that do not divide a tile: bring them to the pitch
                    m = F.interpolate(m, whole, mode='bilinear', align_corners=False)
                else:  # convolutions without padding lose cells all round
                    m = _centre(m, *whole)
            lifted.append(m[..., : cells(size[0], stride), : cells(size[1], stride)])
        return lifted

    def fold(self, tokens: torch.Tensor, stride: int, size: tuple[int, int]) -> torch.Tensor:
        """Make a map of tokens (N, L, C), row by row, of what :meth:`lay` made of ``size``."""
        canvas = self.native if self.tiled else self.size_for(size)
        rows, columns = (cells(side, stride) for side in canvas)
        return tokens.transpose(1, 2).unflatten(2, (rows, columns))

    def average(self, tokens: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """One vector (N, C) an image of ``size`` (H, W), of one for each tile, if it was cut."""
        rows, columns = self._tiles(self.size_for(size))
        return tokens.unflatten(0, (-1, rows * columns)).mean(1) if rows * columns > 1 else tokens

    def _tiles(self, canvas: tuple[int, int]) -> tuple[int, int]:
        rows, columns = (
            c // n if self.tiled else 1 for c, n in zip(canvas, self.native, strict=True)
        )
        return rows, columns

    def fit(self, images: torch.Tensor) -> torch.Tensor:
        """Bring images (N, C, H, W) to a size that the model takes as one picture, to classify.

        Where a grid cannot move, that is the native size, and the image is resized to it.
        """
        if self.policy in ('any', 'cells'):
            return self.lay(images)
        if images.shape[-2:] == self.native:
            return images
        return F.interpolate(
            images, self.native, mode='bilinear', align_corners=False, antialias=True
        )


def _centre(m: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Put a map (N, C, h, w) into the middle of (height, width): border cells repeated, or cut."""
    down, across = height - m.shape[-2], width - m.shape[-1]
    m = m[..., : min(height, m.shape[-2]), : min(width, m.shape[-1])]
    down, across = max(down, 0), max(across, 0)
    padding = (across // 2, across - across // 2, down // 2, down - down // 2)
    return F.pad(m, padding, mode='replicate')
