"""Results drawn on their images, by the visualizer of the task's own codebase."""

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any

import mmcv
import numpy as np
from mmengine import fileio
from mmengine.registry import VISUALIZERS
from mmengine.structures import BaseDataElement
from mmengine.visualization import Visualizer

from vitmm.engine.viewing import to_picture
from vitmm.errors import ConfigError
from vitmm.inference.inputs import Item
from vitmm.inference.palette import colours
from vitmm.inference.predictor import Predictor
from vitmm.inference.stored_model import building

_numbers = count()


class Drawing:
    """Draws as ``tools/test.py --show-dir`` does, without truth.

    Args:
        predictor: of any task.
        score: boxes and masks above it are drawn, 0 to 1.

    Raises:
        ConfigError: the config has no visualizer of the task.
    """

    def __init__(self, predictor: Predictor, score: float = 0.3) -> None:
        self.predictor, self.score = predictor, score
        self.visualizer = task_visualizer(
            predictor.config, predictor.task, predictor.classes, predictor.palette
        )

    def __call__(self, item: Item, sample: BaseDataElement) -> np.ndarray:
        """Return the picture, (H, W, 3) uint8 RGB: depth lies below its image."""
        image = read_picture(item, self.predictor.channels)
        if self.predictor.task == 'cls':
            return self.visualizer.visualize_cls(image, sample, draw_gt=False)
        settings: dict[str, Any] = dict(draw_gt=False)
        if self.predictor.task == 'det':
            settings['pred_score_thr'] = self.score
            sample = surest_on_top(sample)
        self.visualizer.add_datasample(item.label, image, sample, **settings)
        return self.visualizer.get_image()


def surest_on_top(sample: BaseDataElement) -> BaseDataElement:
    """A copy whose detections are in the order of drawing: what is drawn last hides the others."""
    found = sample.pred_instances
    copy = sample.new()
    copy.pred_instances = found[found.scores.argsort()]
    return copy


def task_visualizer(
    config: Mapping[str, Any],
    task: str,
    classes: Sequence[str] | None,
    palette: Sequence[Sequence[int]] | None,
    **settings: Any,
) -> Visualizer:
    """Build the visualizer that a config names, so that it writes no files by itself.

    Args:
        config: resolved.
        task: ``'cls'``, ``'det'``, ``'seg'`` or ``'depth'``.
        classes: names, by label.
        palette: a colour (R, G, B) of each class, 0 to 255, or None.
        settings: of the visualizer, where the config does not say otherwise.

    Raises:
        ConfigError: the config has no visualizer of the task.
    """
    settings |= dict(config.get('visualizer') or {})
    # Under a name of its own: visualizers of one name are one.
    settings.update(vis_backends=None, name=f'infer_{next(_numbers)}')
    with building(config):
        visualizer = VISUALIZERS.build(settings) if 'type' in settings else None
    method = 'visualize_cls' if task == 'cls' else 'add_datasample'
    if not hasattr(visualizer, method) or type(visualizer).__name__ == 'Visualizer':
        raise ConfigError('pictures: the config has no visualizer of mmdet, mmseg or mmpretrain.')
    # MMEngine would keep it, and the last picture in it, as long as the process lives.
    type(visualizer)._instance_dict.pop(visualizer.instance_name)
    visualizer.dataset_meta = dict(classes=classes, palette=colours(palette, classes))
    return visualizer


def read_picture(item: Item, channels: int) -> np.ndarray:
    """The image of an item as one looks at it, (H, W, 3) uint8 RGB."""
    if item.image is None:
        backend = dict(backend='vitmm_picture', channels=channels)
        content = fileio.get(item.media.path, backend_args=backend)
        return mmcv.imfrombytes(content, channel_order='rgb')
    image = item.image if item.image.ndim == 3 else item.image[..., None]
    picture = to_picture(image)
    return np.ascontiguousarray(picture[..., ::-1]) if image.shape[2] == 3 else picture
