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
    from vitmm.compat.mmcv_ops.common import widen

    function = module.MultiScaleDeformableAttnFunction
    stock = function.apply

    @wraps(stock)
    def apply(value, shapes, starts, points, weights, im2col_step):
        wide = widen(value), shapes, starts, widen(points), widen(weights), im2col_step
        return stock(*wide).to(value.dtype)

    function.apply = apply
