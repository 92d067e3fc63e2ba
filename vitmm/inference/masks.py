"""Results as images whose values mean something: classes, instances, millimetres."""

import io
from pathlib import Path

import numpy as np
from mmengine.structures import BaseDataElement
from PIL import Image

from vitmm.errors import ConfigError
from vitmm.inference.files import write_image
from vitmm.inference.inputs import Item
from vitmm.inference.palette import colours
from vitmm.inference.predictor import Predictor
from vitmm.whole_files import write_whole

_MOST = 65.535  # metres in 16 bits of millimetres


class MaskWriter:
    """Writes a PNG of each image's size; of a video, one a frame in a folder of its name.

    - ``seg``, in ``masks/``: indexed, the value is the label, with the palette of the data set.
      ``classes.txt`` beside them names the labels, as data sets of masks have it.
    - ``det``, in ``masks/``: 16 bits, the value is the number of the instance above ``score`` from
      1 in the order of the results, the surest where several overlap, 0 none.
    - ``depth``, in ``depth/``: 16 bits, the value is in millimetres; or ``.npy``, (H, W) float32 in
      metres, where a model sees farther than 65.535 m.

    Args:
        out: the folder.
        predictor: of the task seg, depth, or det with masks.
        score: 0 to 1.

    Raises:
        ConfigError: results without masks.
    """

    def __init__(self, out: Path, predictor: Predictor, score: float = 0.3) -> None:
        self.task, self.score = predictor.task, score
        if self.task == 'cls' or (self.task == 'det' and not predictor.gives_masks):
            raise ConfigError('masks: this model gives none.')
        self.folder = out / ('depth' if self.task == 'depth' else 'masks')
        self.places = (self.folder,)
        self.palette = colours(predictor.palette, predictor.classes)
        head = getattr(predictor.model, 'decode_head', None)
        self.far = not getattr(head, 'max_depth', np.inf) <= _MOST
        if self.task == 'seg':
            names = ''.join(f'{name}\n' for name in predictor.classes)
            write_whole(self.folder / 'classes.txt', names)

    def add(self, item: Item, sample: BaseDataElement) -> None:
        """Write one image's masks."""
        name = item.media.stem if item.frame is None else f'{item.media.stem}/{item.frame:06d}'
        path = self.folder / f'{name}.png'
        if self.task == 'seg':
            self._segments(path, sample.pred_sem_seg.data[0].numpy())
        elif self.task == 'det':
            write_image(path, self._instances(sample))
        else:
            self._metres(path, sample.pred_depth_map.data[0].numpy())

    def close(self) -> None:
        """Nothing is left to do."""

    def _segments(self, path: Path, segments: np.ndarray) -> None:
        if len(self.palette) > 256:
            write_image(path, segments.astype(np.uint16))
            return
        image = Image.fromarray(segments.astype(np.uint8))
        image.putpalette(np.array(self.palette, np.uint8).tobytes())
        buffer = io.BytesIO()
        image.save(buffer, 'png')
        write_whole(path, buffer.getvalue())

    def _instances(self, sample: BaseDataElement) -> np.ndarray:
        found = sample.pred_instances[sample.pred_instances.scores > self.score]
        image = np.zeros(sample.ori_shape[:2], np.uint16)
        masks = np.asarray(found.masks, bool)
        for number in np.argsort(found.scores.numpy(), kind='stable'):
            image[masks[number]] = number + 1
        return image

    def _metres(self, path: Path, metres: np.ndarray) -> None:
        if self.far:
            buffer = io.BytesIO()
            np.save(buffer, metres.astype(np.float32))
            write_whole(path.with_name(f'{path.stem}.npy'), buffer.getvalue())
        else:
            write_image(path, np.rint(metres.clip(0, _MOST) * 1000).astype(np.uint16))
