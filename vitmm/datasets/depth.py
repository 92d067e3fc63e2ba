"""Loading depth maps with errors that name the file."""

import numpy as np
from mmcv.transforms import BaseTransform

from vitmm.datasets.errors import DataError, reason_of
from vitmm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadDepth(BaseTransform):
    """mmseg's LoadDepthAnnotation, behind which stands a map of the image's size in metres.

    Args:
        unit: metres of one step of the file's integers: 0.001 for millimetres. Where the file says
            0 nothing was measured, and neither losses nor metrics look there.

    Raises:
        DataError: the file is missing, does not decode, has more than one channel, another size
            than the image, or no measured pixel at all.
    """

    def __init__(self, unit: float = 1e-3) -> None:
        self.unit = unit
        self.inner = TRANSFORMS.build(
            dict(type='mmseg.LoadDepthAnnotation', depth_rescale_factor=unit)
        )

    def transform(self, results: dict) -> dict:
        """Load ``results['depth_map_path']`` into ``'gt_depth_map'``, (H, W) float32, metres."""
        path, wanted = results['depth_map_path'], results['img'].shape[:2]
        try:
            results = self.inner.transform(results)
        except Exception as error:  # every decoder fails in its own way
            raise DataError(f'{path} cannot be read ({reason_of(path, error)}).') from error
        depth = results['gt_depth_map']
        if depth.shape != wanted:
            raise DataError(
                f'{path} is {_show(depth.shape)}, its image {_show(wanted)} (H x W): a depth map '
                'has one channel and the size of its image.'
            )
        if not np.any(depth > 0):
            raise DataError(f'{path} has no measured pixel: all of it is 0.')
        return results

    def __repr__(self) -> str:
        return f'LoadDepth(unit={self.unit})'


def _show(shape: tuple[int, ...]) -> str:
    return ' x '.join(map(str, shape))
