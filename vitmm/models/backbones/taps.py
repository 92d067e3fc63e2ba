"""Which of a model's feature maps a backbone hands over."""

import math
from collections.abc import Sequence

from vitmm.errors import BackboneError


def choose_taps(reductions: Sequence[float], targets: Sequence[int]) -> list[int]:
    """Pick one map per target stride: the nearest in scale, and the deepest of that scale.

    Where several targets are nearest to the same stride (a plain ViT has stride 16 throughout),
    they share the maps of that stride evenly, the last target taking the deepest: blocks 3, 6,
    9 and 12 of a ViT with 12 blocks, as ViTDet's ablations, BEiT and MAE take them.

    Args:
        reductions: the stride of each map that the model has, shallow to deep.
        targets: the strides that are wanted, fine to coarse.

    Returns:
        An index into ``reductions`` per target; repeated where the model has too few maps.

    Raises:
        BackboneError: no target, or one that is no stride.
    """
    if not targets or not all(target > 0 for target in targets):
        raise BackboneError(
            f'out_strides={tuple(targets)}: give at least one, in pixels, as (4, 8, 16, 32).'
        )

    def nearest(target: int) -> float:
        return min(set(reductions), key=lambda stride: (abs(math.log2(stride / target)), -stride))

    strides = [nearest(target) for target in targets]
    taps = []
    for position, stride in enumerate(strides):
        available = [index for index, have in enumerate(reductions) if have == stride]
        sharing = strides.count(stride)
        rank = position - strides.index(stride) + 1
        taps.append(available[max(math.ceil(rank * len(available) / sharing) - 1, 0)])
    return taps


def given_taps(indices: Sequence[int], count: int, model_name: str) -> list[int]:
    """Indices of maps that somebody chose, counted from the first.

    Args:
        indices: ascending; negative ones count from the last.
        count: of the maps that the model has.
        model_name: for the message.

    Raises:
        BackboneError: none, out of range, or not ascending.
    """
    taps = [i + count if i < 0 else i for i in indices]
    if not taps or not all(0 <= i < count for i in taps) or taps != sorted(taps):
        raise BackboneError(
            f"out_indices={tuple(indices)}: '{model_name}' has {count} feature maps, so give "
            f'ascending indices from 0 to {count - 1} (or {-count} to -1).'
        )
    return taps
