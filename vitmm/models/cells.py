"""How many cells of a stride cover a side."""


def cells(side: int, stride: int) -> int:
    """The quotient, rounded up: by operators that torch.export can write where sides are symbols.

    ``math.ceil`` is none.
    """
    return -(-side // stride)
