"""Rows of several images beside each other, as if each had as many: one kernel for all of them."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from vitmm.models.halts.avoiding import send_numbers

# Numbers of pairs of an object and a prior that are made together, at each step: 64 MiB of a GPU,
# and of a CPU what its caches hold.
_PAIRS = {'cpu': 1 << 19, 'cuda': 1 << 24}
OF_OVERLAPS = 4  # numbers of a pair, of corners and points, in mmdet's overlaps and distances


class Padding:
    """Where the rows of N images, of each another number, lie if there are as many places each.

    Args:
        lengths: how many rows an image has.
        device: of the rows.

    Attributes:
        real: (N, M) of bool, M at least 1: which places have a row. An image's own come first.
    """

    def __init__(self, lengths: Sequence[int], device: torch.device) -> None:
        ends = np.cumsum(lengths)
        numbers = np.stack([np.asarray(lengths), ends - lengths])
        counts, starts = send_numbers(numbers, device)[..., None]
        places = torch.arange(max(1, *lengths), device=device)
        self.real = places < counts
        self._rows = torch.where(self.real, starts + places, int(ends[-1]))

    def lay(self, rows: Sequence[torch.Tensor]) -> torch.Tensor:
        """Each image's rows (its number, ...) -> (N, M, ...), with 0 where there is none."""
        first = rows[0]
        return torch.cat([*rows, first.new_zeros(1, *first.shape[1:])])[self._rows]


def groups(
    images: int, objects: int, priors: int, device: torch.device, numbers: int = 1
) -> Iterator[slice]:
    """Slices of a batch, of as many images as may be looked at together: one at least.

    Args:
        images: of the batch.
        objects: the most that an image has.
        priors: of an image.
        device: where they are.
        numbers: that are made of a pair at a time.
    """
    pairs = max(objects, 8) * max(priors, 1)  # boxes and offsets take 8, too
    step = max(1, _most(device) // (numbers * pairs))
    for start in range(0, images, step):
        yield slice(start, start + step)


def fits(numbers: int, device: torch.device) -> bool:
    """Whether so many numbers of pairs may be made together."""
    return numbers <= _most(device)


def _most(device: torch.device) -> int:
    return _PAIRS.get(device.type, _PAIRS['cuda'])
