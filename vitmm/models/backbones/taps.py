"""Which of a model's feature maps a backbone hands over by default."""

import math
from collections.abc import Sequence


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
    """

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
