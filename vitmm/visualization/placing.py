"""Where the cells of a map, and the tokens inside a model, lie in the image."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Layout:
    """How a tensor holds one vector for each cell of a grid.

    Attributes:
        order: ``'NCHW'``, ``'NHWC'`` or ``'NLC'`` (row by row, after tokens that are no cells).
        grid: (height, width) in cells.
        prefix: how many tokens go before the cells.
    """

    order: str
    grid: tuple[int, int]
    prefix: int = 0

    def apply(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the tensor as (N, C, height, width)."""
        if self.order == 'NHWC':
            return tensor.permute(0, 3, 1, 2)
        if self.order == 'NLC':
            return tensor[:, self.prefix :].transpose(1, 2).unflatten(2, self.grid)
        return tensor


@dataclass(frozen=True)
class Placing:
    """How one image lies before the model inside a backbone; sizes are (height, width) in pixels.

    Attributes:
        size: of the image as the backbone gets it.
        inner: of the image, or of each tile, as the model gets it.
        tiles: (rows, columns) that the image is cut into, one batch.
        stretched: the image is resized to ``inner``; else it is padded at the right and bottom.
        whole: ``inner`` holds whole cells; else those at the right and bottom may reach over it.
        prefix: class and register tokens before those of the cells.
        class_token: the first of them tells of the whole image.
    """

    size: tuple[int, int]
    inner: tuple[int, int]
    tiles: tuple[int, int] = (1, 1)
    stretched: bool = False
    whole: bool = False
    prefix: int = 0
    class_token: bool = False

    @classmethod
    def of(cls, backbone: nn.Module, size: tuple[int, int]) -> 'Placing':
        """How a backbone, of ours or any other, lays images of ``size``."""
        canvas = getattr(backbone, 'canvas', None)
        model = getattr(backbone, 'model', backbone)
        token = getattr(model, 'cls_token', None) is not None
        told = dict(prefix=getattr(model, 'num_prefix_tokens', int(token)), class_token=token)
        if canvas is None:
            return cls(size, size, **told)
        told['whole'] = canvas.policy != 'any'
        if backbone.output != 'maps' and canvas.policy not in ('any', 'cells'):
            return cls(size, canvas.native, stretched=True, **told)
        whole = canvas.size_for(size)
        if not canvas.tiled:
            return cls(size, whole, **told)
        rows, columns = (w // n for w, n in zip(whole, canvas.native, strict=True))
        return cls(size, canvas.native, (rows, columns), **told)

    def layouts(self, shape: torch.Size) -> Iterator[Layout]:
        """The ways in which a tensor of this shape may hold cells of the image, likely ones first.

        None for what holds windows, channels or something else.
        """
        if len(shape) not in (3, 4) or shape[0] != self.tiles[0] * self.tiles[1]:
            return
        if len(shape) == 4:
            for order, grid in (('NCHW', shape[2:]), ('NHWC', shape[1:3])):
                if self._fits(*grid):
                    yield Layout(order, tuple(grid))
            return
        for prefix in dict.fromkeys((self.prefix, 0, 1, 2)):
            cells = shape[1] - prefix
            grids = [(h, cells // h) for h in range(1, cells + 1) if cells % h == 0]
            grids = [grid for grid in grids if self._fits(*grid)]
            if grids:
                yield Layout('NLC', min(grids, key=self._skew), prefix)

    def _skew(self, grid: tuple[int, int]) -> float:
        tall, wide = (side / cells for side, cells in zip(self.inner, grid, strict=True))
        return max(tall, wide) / min(tall, wide)

    def _fits(self, height: int, width: int) -> bool:
        """Whether cells would be as high as wide, but for one cell at the border."""
        tall, wide = self.inner[0] / height, self.inner[1] / width
        if min(tall, wide) < 1:
            return False
        return abs(self.inner[0] / wide - height) <= 1 and abs(self.inner[1] / tall - width) <= 1

    def lift(self, cells: torch.Tensor) -> tuple[torch.Tensor, tuple[float, float]]:
        """Bring what the model made of an image, (tiles, C, h, w), onto the image.

        Returns:
            A map (1, C, h', w'), and the pixels (down, across) of ``size`` from one cell to the
            next; the last cells may reach over the border.
        """
        rows, columns = self.tiles
        if rows * columns > 1:
            cells = cells.unflatten(0, (1, rows, columns)).permute(0, 3, 1, 4, 2, 5)
            cells = cells.flatten(4, 5).flatten(2, 3)
        height, width = cells.shape[-2:]
        if self.stretched:
            return cells, (self.size[0] / height, self.size[1] / width)
        whole = self.inner[0] * rows, self.inner[1] * columns
        if self.whole:
            return cells, (whole[0] / height, whole[1] / width)
        return cells, pitch_of(whole, (height, width))


def pitch_of(size: tuple[int, int], grid: tuple[int, int]) -> tuple[float, float]:
    """Pixels (down, across) from cell to cell of a map of ceil(size / stride) cells.

    The stride is a power of two where one fits; a map that no stride fits covers ``size``.
    """
    stride = 2 ** max(0, round(torch.tensor(size[0] / grid[0]).log2().item()))
    if all(-(-side // stride) == cells for side, cells in zip(size, grid, strict=True)):
        return float(stride), float(stride)
    return size[0] / grid[0], size[1] / grid[1]
