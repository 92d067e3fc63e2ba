"""What the network shall learn, drawn on what it sees, and in words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.structures import BaseDataElement, PixelData
from torch.nn import functional as F

from vitmm.datasets.loading import IGNORED
from vitmm.inference.drawing import task_visualizer
from vitmm.models.backbones.masked import LeaveOut

_SHORT = 224  # pixels: smaller pictures are enlarged by a whole number, so that text can be read
_KEYS = {'gt_instances': 'det', 'gt_sem_seg': 'seg', 'gt_depth_map': 'depth', 'gt_label': 'cls'}
_MAPS = {'gt_sem_seg': IGNORED, 'gt_depth_map': 0}  # and what stands where nothing is known


class TruthDrawing:
    """Draws ground truth by the visualizer of the task's own codebase.

    Args:
        config: resolved.
        meta: the data set's ``metainfo``.
        resized_first: annotations are loaded behind the resizing, as OpenMMLab's test pipelines
            do, and are still in the pixels of the file.
    """

    def __init__(
        self, config: Mapping[str, Any], meta: Mapping[str, Any], resized_first: bool
    ) -> None:
        self.config, self.resized_first = config, resized_first
        self.classes, self.palette = meta.get('classes'), meta.get('palette')
        self.visualizers: dict[str, Any] = {}

    def __call__(
        self, picture: np.ndarray, sample: BaseDataElement | None
    ) -> tuple[np.ndarray, str]:
        """Draw one sample.

        Args:
            picture: (H, W, 3) uint8 RGB, as the network sees it.
            sample: mmdet's, mmseg's or mmpretrain's data sample, as the preprocessor leaves it.

        Returns:
            The drawn picture, (k H, k W, 3) with a whole k, of depth twice as high, of masked
            pretraining twice as wide; and what is on it, in words.
        """
        times = max(1, -(-_SHORT // min(picture.shape[:2])))
        large = picture.repeat(times, 0).repeat(times, 1)
        task = next((t for key, t in _KEYS.items() if sample is not None and key in sample), None)
        if task is None:
            return self._masked(picture, large, times)
        if task == 'cls':
            words, classes = self._shares(sample)
            return self._visualizer('cls').visualize_cls(
                large, _only_labels(sample), classes, draw_pred=False
            ), words
        placed = sample.cpu().clone()
        self._place(placed, times, large.shape[:2])
        visualizer = self._visualizer(task)
        visualizer.add_datasample('', large, placed, draw_gt=True, draw_pred=False)
        words = {'det': self._boxes, 'seg': self._regions, 'depth': _depths}[task](placed)
        return visualizer.get_image(), words

    def _visualizer(self, task: str) -> Any:
        if task not in self.visualizers:
            # mmdet's and mmseg's usual 0.8 hides the image.
            settings = {'alpha': 0.5} if task in ('det', 'seg') else {}
            self.visualizers[task] = task_visualizer(
                self.config, task, self.classes, self.palette, **settings
            )
        return self.visualizers[task]

    def _place(self, sample: BaseDataElement, times: int, size: Sequence[int]) -> None:
        """Bring annotations to the pixels of the enlarged picture, ``size`` (H, W)."""
        if 'bboxes' in sample.get('gt_instances', ()):  # test sets may have no annotations
            scale = sample.get('scale_factor') if self.resized_first else None
            width, height = scale if scale is not None else (1, 1)
            instances = sample.gt_instances
            boxes = getattr(instances.bboxes, 'tensor', instances.bboxes)
            factors = boxes.new_tensor([width, height, width, height])
            instances.bboxes = boxes * factors * times
            if 'masks' in instances:
                rows, columns = instances.masks.height, instances.masks.width
                inner = round(rows * height * times), round(columns * width * times)
                inner = tuple(map(min, inner, size))
                instances.masks = instances.masks.resize(inner).pad(tuple(size))
        for key, nothing in _MAPS.items():
            if key in sample:
                name = next(iter(sample.get(key).keys()))  # 'data', or mmdet's 'sem_seg'
                data = torch.as_tensor(sample.get(key).get(name))
                rows, columns = data.shape[-2:]
                inner = tuple(side * times for side in sample.img_shape[:2])
                if (rows * times, columns * times) == tuple(size):  # padded with the image
                    inner = tuple(size)
                # PixelData holds to the size that it has.
                sample.set_field(PixelData(**{name: _fit(data, inner, size, nothing)}), key)

    def _shares(self, sample: BaseDataElement) -> tuple[str, list[str] | None]:
        """Labels in words, and names of the classes with the shares that mixing gave them."""
        names = list(self.classes) if self.classes else None
        score = sample.get('gt_score')
        if score is None or bool(((score == 0) | (score == 1)).all()):
            labels = sample.gt_label.flatten().tolist()
            return ', '.join(self._name(label) for label in labels) or 'no label', names
        known = names or [str(label) for label in range(len(score))]
        told = [f'{name} {share:.2f}' for name, share in zip(known, score.tolist(), strict=True)]
        mixed = score.topk(min(4, len(score)))
        sample.set_gt_label(mixed.indices[mixed.values >= 0.005])
        return ', '.join(told[label] for label in sample.gt_label.tolist()), told

    def _boxes(self, sample: BaseDataElement) -> str:
        if 'labels' not in sample.gt_instances:
            return 'no annotations'
        labels = sample.gt_instances.labels.tolist()
        ignored = sample.get('ignored_instances')
        more = f', {len(ignored)} ignored' if ignored is not None and len(ignored) else ''
        masks = ' with masks' if 'masks' in sample.gt_instances and labels else ''
        counts = Counter(self._name(label) for label in labels)
        named = ', '.join(f'{name} {count}' for name, count in counts.most_common())
        boxes = f'{len(labels)} box{"es" if len(labels) != 1 else ""}{masks}'
        return f'{boxes}{f" ({named})" if named else ""}{more}'

    def _regions(self, sample: BaseDataElement) -> str:
        values, counts = sample.gt_sem_seg.data.unique(return_counts=True)
        shares = zip(values.tolist(), (counts / counts.sum()).tolist(), strict=True)
        return ', '.join(
            f'{"ignored" if value == IGNORED else self._name(value)} {share:.0%}'
            for value, share in shares
        )

    def _masked(self, picture: np.ndarray, large: np.ndarray, times: int) -> tuple[np.ndarray, str]:
        """Beside the image, what a masked autoencoder sees of it; another draw than training's."""
        model = self.config['model']
        ratio = (model.get('backbone') or {}).get('mask_ratio')
        neck = model.get('neck')
        side = neck.get('patch_size') if isinstance(neck, Mapping) else None
        if not ratio or not side:
            return large, 'no labels'
        rows, columns = (-(-length // side) for length in picture.shape[:2])
        choose = LeaveOut(ratio, 0, False)
        choose.armed = True
        choose(torch.zeros(1, rows * columns, 1))
        mask = choose.mask.reshape(rows, columns).numpy().astype(bool)
        mask = mask.repeat(side * times, 0).repeat(side * times, 1)
        seen = large.copy()
        seen[mask[: large.shape[0], : large.shape[1]]] = 128
        return np.hstack([large, seen]), f'{mask.mean():.0%} left out'

    def _name(self, label: int) -> str:
        return self.classes[label] if self.classes and label < len(self.classes) else str(label)


def _only_labels(sample: BaseDataElement) -> BaseDataElement:
    return type(sample)().set_gt_label(sample.gt_label)


def _fit(
    data: torch.Tensor, inner: Sequence[int], size: Sequence[int], nothing: float
) -> torch.Tensor:
    """Resize (1, h, w) to ``inner`` by nearest neighbours, then pad it to ``size``."""
    data = data.reshape(1, *data.shape[-2:])
    found = F.interpolate(data[None].float(), tuple(inner), mode='nearest')[0].to(data.dtype)
    found = found[:, : size[0], : size[1]]
    return F.pad(found, (0, size[1] - found.shape[2], 0, size[0] - found.shape[1]), value=nothing)


def _depths(sample: BaseDataElement) -> str:
    depth = sample.gt_depth_map.data
    known = depth[depth > 0]
    if not len(known):
        return 'nothing measured'
    return f'{known.min():.2f} to {known.max():.2f} m, {len(known) / depth.numel():.0%} measured'
