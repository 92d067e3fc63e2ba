"""mmcv's deformable attention under autocast on a GPU, with its points in single precision.

mmcv 2 rounds the points to the type of the values: in bfloat16, by a third of a cell of a map of
168. Its compiled operator takes no bfloat16 at all. Can go when mmcv does so.
"""

from functools import wraps
from types import ModuleType

from vitmm.compat.after_import import after_import


def install() -> None:
    """Let it attend in single precision at least; harmless when repeated."""
    after_import('mmcv.ops.multi_scale_deform_attn', _correct)


def _correct(module: ModuleType) -> None:
    import torch

    function = module.MultiScaleDeformableAttnFunction
    stock = function.apply

    @wraps(stock)
    def apply(value, shapes, starts, points, weights, im2col_step):
        wide = torch.promote_types(value.dtype, torch.float32)
        found = stock(
            value.to(wide), shapes, starts, points.to(wide), weights.to(wide), im2col_step
        )
        return found.to(value.dtype)

    function.apply = apply
