"""How many cells of a stride cover a side."""

import math


def cells(side: int, stride: float) -> int:
    """The quotient, rounded up.

    By operators of integers where it can be: ``math.ceil`` of a side that is a symbol is none that
    torch.export can write.
    """
    return -(-side // stride) if isinstance(stride, int) else math.ceil(side / stride)
