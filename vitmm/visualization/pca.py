"""Principal components of feature maps over all images, as colours.

As DINOv2 shows its patches, https://arxiv.org/abs/2304.07193: the first three components are red,
green and blue; the foreground is where the first of all is large, and is then coloured alone.
"""

import torch


class Components:
    """The first three principal components of vectors that come image by image.

    Sums are kept, not vectors, in float64: the result is that of all vectors at once, in any order
    of the images, on any device.

    Args:
        level: which map of a backbone the vectors are of; only kept.
    """

    def __init__(self, level: int = -1) -> None:
        self.level, self.count = level, 0
        self.sum: torch.Tensor | float = 0.0
        self.products: torch.Tensor | float = 0.0
        self.border: list[torch.Tensor | float] = [0.0, 0.0]
        self.inner: list[torch.Tensor | float] = [0.0, 0.0]

    def add(self, cells: torch.Tensor, keep: torch.Tensor | None = None) -> None:
        """Take in the map of one image.

        Args:
            cells: (C, h, w).
            keep: (h, w) bool: the cells that count; by default all.
        """
        cells = cells.detach().cpu().double()
        if keep is None:
            edge = torch.ones(cells.shape[1:], dtype=torch.bool)
            edge[1:-1, 1:-1] = False
            for kept, where in ((self.border, edge), (self.inner, ~edge)):
                kept[0] += cells[:, where].sum(1)
                kept[1] += int(where.sum())
        vectors = cells.flatten(1).T if keep is None else cells[:, keep].T
        self.count += len(vectors)
        self.sum = self.sum + vectors.sum(0)
        self.products = self.products + vectors.T @ vectors

    def fit(self) -> None:
        """Find ``mean`` (C,), ``axes`` (3, C) and ``deviations`` (3,) of what was added.

        The sign of an axis is such that its largest entry is positive.
        """
        self.mean = self.sum / max(self.count, 1)
        covariance = self.products / max(self.count, 1) - self.mean[:, None] * self.mean
        values, vectors = torch.linalg.eigh(covariance)
        axes = vectors.T.flip(0)[:3]
        largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
        self.axes = axes * largest.sign()
        self.deviations = values.flip(0)[:3].clamp_min(0).sqrt()

    def project(self, cells: torch.Tensor) -> torch.Tensor:
        """The components of a map (C, h, w): (3, h, w) float64, of fewer channels fewer."""
        centred = cells.detach().cpu().double() - self.mean[:, None, None]
        return torch.einsum('kc,chw->khw', self.axes, centred)

    def foreground(self, cells: torch.Tensor) -> torch.Tensor:
        """Where the first component is above its mean, (h, w) bool.

        The side that is foreground is the one to which the middle of the images tends, rather than
        their border.
        """
        (edge, edges), (middle, cells_within) = self.border, self.inner
        if not cells_within:
            return torch.ones(cells.shape[1:], dtype=torch.bool)
        towards = self.axes[0] @ (middle / cells_within - edge / edges)
        return self.project(cells)[0] * (1 if towards >= 0 else -1) > 0

    def colours(self, cells: torch.Tensor) -> torch.Tensor:
        """A map (C, h, w) as RGB, (h, w, 3) in 0 to 1: 2.5 standard deviations to either side."""
        found = self.project(cells) / (self.deviations[:, None, None] * 5).clamp_min(1e-12) + 0.5
        colours = torch.full((3, *found.shape[1:]), 0.5, dtype=torch.float64)
        colours[: len(found)] = found.clip(0, 1)
        return colours.permute(1, 2, 0).float()
