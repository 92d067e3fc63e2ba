"""Three lines of Python from a checkpoint to results."""

import copy
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.logging import print_log
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from tqdm import tqdm

from vitmm.apis.switches import test_with_tta
from vitmm.datasets.errors import DataError
from vitmm.errors import ConfigError
from vitmm.inference.device import pick_device
from vitmm.inference.inputs import Item, Media, Video, array_items, count_items, find_media
from vitmm.inference.pipeline import Pipeline
from vitmm.inference.scope import in_scope
from vitmm.inference.stored_model import StoredModel, building, read_model, task_of
from vitmm.models.precision import use_full_precision_in_losses


class Predictor:
    """A trained model of any task, for images.

    ::

        predictor = Predictor('work_dirs/vit_retinanet/epoch_4.pth')
        for path, result in predictor('images/*.jpg'):
            print(path, result.pred_instances.scores)

    Args:
        checkpoint: a ``.pth`` file, or a folder that ``tools/publish_model.py`` wrote.
        config: a config file; by default the config in the checkpoint.
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'``, …; ``'auto'`` is the GPU where there is one.
        amp: mixed precision (bfloat16).
        tta: test-time augmentation, as the config's ``tta_model`` and ``tta_pipeline`` say.
        options: ``{'dotted.key': value}`` over the config.
        keep_logits: leave ``seg_logits``, (classes, H, W), in the results of segmentation; not with
            ``tta``, which has some for each view.

    Attributes:
        task: ``'cls'``, ``'det'``, ``'seg'`` or ``'depth'``.
        classes: names, by label; None for depth.
        palette: a colour (R, G, B) of each class, 0 to 255, or None.
        model: OpenMMLab's, in eval mode, on its device.
        config: the resolved config.
        pipeline: what an image goes through on its way to the model.
        channels: of the images that it takes.
        skipped: messages about the bad inputs that the last call passed over.

    Raises:
        VitmmError: whatever the user can mend, in one message.
    """

    def __init__(
        self,
        checkpoint: str | os.PathLike,
        config: str | os.PathLike | None = None,
        *,
        device: str = 'auto',
        amp: bool = False,
        tta: bool = False,
        options: Mapping[str, Any] | None = None,
        keep_logits: bool = False,
    ) -> None:
        stored = read_model(Path(checkpoint), config and Path(config), options)
        self._set_up(stored, device, amp, tta, keep_logits)

    @classmethod
    def of(cls, stored: StoredModel, *, device: str = 'auto', amp: bool = False) -> 'Predictor':
        """A predictor of what has been read already."""
        self = cls.__new__(cls)
        self._set_up(stored, device, amp, False, False)
        return self

    def _set_up(
        self, stored: StoredModel, device: str, amp: bool, tta: bool, keep_logits: bool
    ) -> None:
        testing = stored.config
        if tta:
            if keep_logits:
                raise ConfigError('tta joins classes, not logits: leave out keep_logits or tta.')
            testing = copy.deepcopy(testing)
            test_with_tta(testing)
        self.amp, self.keep_logits = amp, keep_logits
        self.skipped: list[str] = []
        self.config, self.device = stored.config, pick_device(device)
        self.model = self._tested = stored.build().to(self.device)
        self.classes, self.palette = stored.classes, stored.palette
        self.task = task_of(self.model)
        if self.classes is None and self.task in ('det', 'seg'):
            raise ConfigError(f'{stored.path} names no classes: give --config of its training.')
        self.pipeline = Pipeline(testing)
        self.channels = self.pipeline.channels
        if tta:
            with building(self.config):
                self._tested = MODELS.build({**testing.model, 'module': self.model})
        if amp:
            use_full_precision_in_losses(self.model)

    @property
    def gives_masks(self) -> bool:
        """Whether a detector cuts objects out."""
        told = getattr(self.model, 'with_mask', False)
        return bool(told or getattr(self.model.data_preprocessor, 'pad_mask', False))

    def __call__(
        self,
        inputs: str | os.PathLike | np.ndarray | Iterable[str | os.PathLike | np.ndarray],
        batch_size: int = 8,
        *,
        progress: bool = False,
        skip_bad: bool = False,
    ) -> Iterator[tuple[str, BaseDataElement]]:
        """Predict, batch by batch, while the results are asked for.

        Args:
            inputs: paths of images, folders and videos, globs, or arrays: (H, W, 3) in OpenCV's
                order, BGR, or (H, W, channels) in a model of other channels, of uint8, uint16 or
                floats from 0 to 1, which count as they do in files. One or many.
            batch_size: images that go through the model together, those that are padded to one
                size: no result depends on its neighbours.
            progress: show a bar.
            skip_bad: pass over images that cannot be read, and note them in ``skipped``.

        Yields:
            The path (``'clip.mp4#12'`` for a frame, the number for an array) and OpenMMLab's data
            sample on the CPU: ``pred_instances`` (boxes x1 y1 x2 y2 in pixels, scores 0 to 1,
            labels, masks), ``pred_sem_seg.data`` (1, H, W), ``pred_depth_map.data`` (1, H, W) in
            metres, or ``pred_label`` and ``pred_score`` (classes,).

        Raises:
            DataError: no such input, or one that cannot be read; after the results before it.
        """
        arrays, inputs = _arrays(inputs)
        if arrays:
            items, total = array_items(inputs), len(inputs)
        else:
            media = find_media(inputs)
            items, total = self.stream(media, skip_bad), count_items(media) if progress else None
        found = self.predict(items, batch_size, skip_bad)
        for item, sample in tqdm(found, total=total, unit='image', disable=not progress):
            yield item.label, sample

    def stream(self, media: Iterable[Media], skip_bad: bool = False) -> Iterator[Item]:
        """The images and frames of ``media``, one by one; ``skip_bad`` as in :meth:`predict`."""
        self.skipped = []
        for one in media:
            if not one.is_video:
                yield Item(one)
                continue
            try:
                yield from Video(one)
            except DataError as error:
                self._skip(error, skip_bad)

    def predict(
        self, items: Iterable[Item], batch_size: int = 8, skip_bad: bool = False
    ) -> Iterator[tuple[Item, BaseDataElement]]:
        """Items with their results, in their order; see :meth:`__call__`."""
        if batch_size < 1:
            raise ConfigError(f'batch_size is 1 or more, not {batch_size}.')
        ready = self.prepare(items, skip_bad)
        with ThreadPoolExecutor(1) as ahead:  # reads files while the model computes
            coming = ahead.submit(_take, ready, batch_size)
            while True:
                loaded, error = coming.result()
                last = len(loaded) < batch_size
                if not last:
                    coming = ahead.submit(_take, ready, batch_size)
                samples = self._forward([data for _, data in loaded])
                yield from zip([item for item, _ in loaded], samples, strict=True)
                if error is not None:
                    raise error
                if last:
                    return

    def prepare(
        self, items: Iterable[Item], skip_bad: bool = False
    ) -> Iterator[tuple[Item, dict[str, Any]]]:
        """Items with what the test pipeline makes of them, which collated the model takes."""
        for item in items:
            try:
                yield item, self.pipeline(item)
            except DataError as error:
                self._skip(error, skip_bad)

    def _skip(self, error: DataError, skip_bad: bool) -> None:
        if not skip_bad:
            raise error
        self.skipped.append(str(error))
        print_log(f'{error} Skipped.', logger='current', level=logging.WARNING)

    @torch.no_grad()  # in inference mode results could not be changed in place
    def _forward(self, batch: Sequence[dict[str, Any]]) -> list[BaseDataElement]:
        # No image is padded for another's sake, or its result would depend on its neighbours.
        divisor = getattr(self.model.data_preprocessor, 'pad_size_divisor', 1)
        groups: dict[Any, list[int]] = {}
        for number, data in enumerate(batch):
            groups.setdefault(_padded(data['inputs'], divisor), []).append(number)
        samples: dict[int, BaseDataElement] = {}
        scope = in_scope(self.config.get('default_scope'))
        with scope, torch.autocast(self.device.type, torch.bfloat16, enabled=self.amp):
            for numbers in groups.values():
                found = self._tested.test_step(pseudo_collate([batch[n] for n in numbers]))
                samples.update(zip(numbers, found, strict=True))
        return [self._finish(samples[number]) for number in range(len(batch))]

    def _finish(self, sample: BaseDataElement) -> BaseDataElement:
        if not self.keep_logits and 'seg_logits' in sample:
            del sample.seg_logits  # many times as large as all the rest
        return sample.cpu()


def _take(
    ready: Iterator[tuple[Item, dict[str, Any]]], count: int
) -> tuple[list[tuple[Item, dict[str, Any]]], DataError | None]:
    """The next ``count``, or fewer at the end, and the error that ended them, if any."""
    taken: list[tuple[Item, dict[str, Any]]] = []
    try:
        for one in islice(ready, count):
            taken.append(one)
    except DataError as error:
        return taken, error
    return taken, None


def _padded(
    inputs: torch.Tensor | Sequence[torch.Tensor], divisor: int
) -> tuple[tuple[int, ...], ...]:
    """Sizes of an image, or of each view of it, in whole multiples of ``divisor``."""
    several = [inputs] if isinstance(inputs, torch.Tensor) else inputs
    return tuple(tuple(-(-side // divisor) for side in one.shape[-2:]) for one in several)


def _arrays(inputs: Any) -> tuple[bool, list[Any]]:
    """Whether these are arrays, and each of them."""
    if isinstance(inputs, str | os.PathLike):
        return False, [inputs]
    if isinstance(inputs, np.ndarray) and inputs.ndim < 4:
        return True, [inputs]
    inputs = list(inputs) if isinstance(inputs, Iterable) else [inputs]
    for one in inputs:
        if not isinstance(one, str | os.PathLike | np.ndarray):
            raise DataError(
                f'{type(one).__name__} is neither a path nor an array: '
                'np.asarray(image)[..., ::-1] makes one of a Pillow image, '
                'tensor.permute(1, 2, 0).flip(-1).numpy() of a tensor of RGB.'
            )
    kinds = {isinstance(one, np.ndarray) for one in inputs}
    if len(kinds) > 1:
        raise DataError('give paths or arrays, not both at once.')
    return True in kinds, inputs
