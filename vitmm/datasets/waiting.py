"""Which transforms may see an image that is not decoded yet: all others get the array.

OpenMMLab's transforms, and those of users, take ``results['img']`` to OpenCV, to arithmetic, to
Pillow. A :class:`vitmm.datasets.jpeg.JpegImage` is of use to those that resize and crop, and does
no harm to those that do not look at images; it is decoded, whole, before it goes to any other.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
from mmcv import transforms
from mmcv.transforms import BaseTransform
from mmengine.dataset import Compose

from vitmm.datasets.jpeg import JpegImage

# By package and name; what is derived from one of them is another one.
_RESIZING = {
    'mmcv': ('Resize', 'RandomResize', 'RandomChoiceResize'),
    'mmdet': ('Resize', 'FixScaleResize', 'RandomCrop'),
    'mmseg': ('Resize', 'ResizeShortestEdge', 'ResizeToMultiple', 'RandomCrop'),
    'mmpretrain': ('ResizeEdge', 'RandomResizedCrop'),
}
_OTHERS = {
    'mmcv': ('LoadAnnotations', 'Compose', 'RandomChoice', 'RandomApply', 'TestTimeAug'),
    'mmdet': ('LoadAnnotations', 'FilterAnnotations'),
    'mmseg': ('LoadAnnotations',),
    'vitmm': ('CheckedLoad', 'LoadDepth'),
}


def install() -> None:
    """Decode images before such transforms; harmless when repeated."""
    if not hasattr(BaseTransform.__call__, '__wrapped__'):
        BaseTransform.__call__ = _decoding(BaseTransform.__call__)
        Compose.__call__ = _composed(Compose.__call__)
        transforms.Compose.transform = _composed(transforms.Compose.transform)


def may_wait(transform: Any) -> bool:
    """Whether a transform takes an image that is not decoded."""
    kind = type(transform)
    package = kind.__module__.partition('.')[0]
    return kind.__name__ in (*_RESIZING.get(package, ()), *_OTHERS.get(package, ()))


def _decode(results: Any) -> None:
    if isinstance(results, dict):
        for one in (results, *(results.get('mix_results') or ())):
            if isinstance(one.get('img'), JpegImage):
                one['img'] = np.asarray(one['img'])


def _decoding(stock: Callable) -> Callable:
    @wraps(stock)
    def call(self: BaseTransform, results: Any) -> Any:
        if not may_wait(self):
            _decode(results)
        return stock(self, results)

    return call


def _composed(stock: Callable) -> Callable:
    """Any function may be a part; stock transforms were asked above."""

    @wraps(stock)
    def call(self: Compose | transforms.Compose, data: Any) -> Any:
        for transform in self.transforms:
            if not isinstance(transform, BaseTransform):
                _decode(data)
            data = transform(data)
            if data is None:
                return None
        return data

    return call
