"""Training that does not make a GPU wait: mmdet's and mmseg's own results by other operators."""

from vitmm.models.halts.avoiding import avoid_halts

__all__ = ['avoid_halts']
