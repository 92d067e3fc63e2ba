"""The test pipeline, for images of which nothing is known."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.registry import TRANSFORMS

from vitmm.config.kinds import kind_of
from vitmm.datasets.bands import to_255
from vitmm.datasets.errors import DataError, UnreadableError
from vitmm.datasets.sources import leaves
from vitmm.errors import ConfigError, VitmmError
from vitmm.inference.inputs import Item
from vitmm.inference.stored_model import building


class Pipeline:
    """The test pipeline of a config, for images of which nothing is known.

    Args:
        config: resolved.

    Attributes:
        channels: of the images that it takes.
        loader: the step that reads a file.
        transforms: the steps after it.

    Raises:
        ConfigError: there is no test pipeline, or nothing in it loads images.
    """

    def __init__(self, config: Config) -> None:
        loader, rest = split(config)
        self.channels: int = loader.get('channels', 3)
        self.max_value: float | None = loader.get('max_value')
        with building(config):
            self.loader, self.transforms = TRANSFORMS.build(loader), Compose(rest)

    def __call__(self, item: Item) -> dict[str, Any]:
        """What the pipeline makes of an image, which collated the model takes.

        Raises:
            DataError: it cannot be read, or has other channels.
        """
        data: dict[str, Any] = {'img_path': item.label, 'img_id': item.label}
        if item.image is not None:
            image = check_array(item.image, self.channels, item.label, self.max_value)
            data |= {'img': image, 'img_shape': image.shape[:2], 'ori_shape': image.shape[:2]}
            return self.transforms(data)
        try:
            return self.transforms(self._read(data))
        except UnreadableError as error:  # its advice is about data sets
            raise UnreadableError(f'{error.fault}.') from error

    def _read(self, data: dict[str, Any]) -> dict[str, Any]:
        try:
            return self.loader(data)
        except VitmmError:
            raise
        except Exception as error:  # every decoder fails in its own way
            raise UnreadableError.of(data['img_path'], error) from error


def split(config: Config) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The step of the test pipeline that loads the image, and the others but for annotations.

    Raises:
        ConfigError: there is no test pipeline, or nothing in it loads images.
    """
    loader = config.get('test_dataloader') or config.get('val_dataloader') or {}
    if not loader.get('dataset'):
        raise ConfigError('the config has no test_dataloader, whose pipeline images go through.')
    steps = _without_annotations(leaves(loader['dataset'])[0]['pipeline'])
    first = next((i for i, step in enumerate(steps) if _loads_images(step)), None)
    if first is None:
        raise ConfigError('the pipeline of test_dataloader has no step that loads images.')
    load = steps.pop(first)
    if load.get('cache'):
        load['cache'] = None  # for the data of training, which is read every epoch
    return load, steps


def _without_annotations(steps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps but for those that load what is not the image, in ``TestTimeAug`` too."""
    kept = [dict(s) for s in steps if not _name(s).startswith('Load') or _loads_images(s)]
    for step in kept:
        if _name(step) == 'TestTimeAug':
            choices = [_without_annotations(some) for some in step['transforms']]
            step['transforms'] = [some for some in choices if some]
    return kept


def _name(step: dict[str, Any]) -> str:
    """The class of a step, that of the inner one in ``vitmm.CheckedLoad``."""
    name = kind_of(step)
    return _name(step['transform']) if name == 'CheckedLoad' else name


def _loads_images(step: dict[str, Any]) -> bool:
    return _name(step).startswith('Load') and 'Image' in _name(step)


def check_array(
    image: np.ndarray, channels: int, label: str, max_value: float | None = None
) -> np.ndarray:
    """Return ``image`` as (H, W, channels), its values as those of a file: 0 to 255.

    Args:
        image: (H, W) or (H, W, bands); a colour image for a model of one channel is made grey.
        channels: that the model takes.
        label: names it in the error.
        max_value: the value that becomes 255; None is the largest of 8 or 16 bits, and 1 of floats.

    Raises:
        DataError: another number of channels, no pixels, or other values.
    """
    if image.dtype.kind in 'iu' and image.dtype.itemsize > 2 and not max_value:
        raise DataError(
            f'image {label} holds {image.dtype}, of which nobody knows the brightest value: give '
            'uint8, uint16, or floats from 0 to 1.'
        )
    try:
        image = to_255(image, max_value)
    except DataError as error:
        raise DataError(f'image {label} {error}') from error
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim == 3 and image.shape[2] == 3 and channels == 1:
        image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None]
    if image.ndim == 3 and image.shape[2] == 1 and channels == 3:
        image = image.repeat(3, axis=2)
    if image.ndim != 3 or image.shape[2] != channels or not image.size:
        raise DataError(
            f'image {label} has the shape {image.shape}; the model takes (H, W, {channels}).'
        )
    return image
