"""One training step on made-up images: which parameters the loss itself never reaches."""

from typing import Any

import torch
from mmengine.registry import MODELS
from mmengine.structures import InstanceData, PixelData
from torch import nn

from vitmm.apis.bare_model import light, quiet
from vitmm.apis.check_config.case import Case
from vitmm.apis.class_counts import class_counts
from vitmm.config.model_settings import model_settings

_SIDE = 256  # pixels
_BOXES = [(8, 8, 40, 48), (60, 20, 124, 100), (100, 100, 230, 240), (2, 150, 90, 250)]


def check_step(case: Case) -> None:
    """Build the model with memory, take a loss of two random images back through it.

    Takes as long as a step of the training does on the CPU. Parameters that learn and get no
    gradient are found, unless the config has ``find_unused_parameters=True``: then they are meant.
    """
    if case.model is None or case.get('find_unused_parameters'):
        return
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = MODELS.build(light(model_settings(case.config))).train()
            batch = model.data_preprocessor(_batch(case, model), True)
            loss, _ = model.parse_losses(model(**batch, mode='loss'))
            loss.backward()
    except Exception as error:  # models of another kind of data
        case.left_out.append(f'a training step ({type(error).__name__}: {error})')
        return
    lost: dict[str, list[str]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and parameter.grad is None:
            lost.setdefault(name.split('.')[0], []).append(name)
    for part, names in lost.items():
        more = f' and {len(names) - 1} others' if len(names) > 1 else ''
        case.say(
            'parameters',
            ('model', part) if case.get('model', part) else ('model',),
            f'a training step gives no gradient to {names[0]}{more}',
            'freeze them, take them out, or use them in the loss (DDP would wait for them)',
        )


def _batch(case: Case, model: nn.Module) -> dict[str, Any]:
    """Two random images, with what the model's codebase wants to know of them."""
    channels = len(case.get('model', 'data_preprocessor', 'mean') or 'RGB')
    counts = [number for *_, number in class_counts(case.said['model']) if number]
    classes = min(counts) if counts else 1
    package = next(
        (p for base in type(model).__mro__ if (p := base.__module__.split('.')[0]) in _SAMPLES), ''
    )
    images = [torch.randint(0, 256, (channels, _SIDE, _SIDE), dtype=torch.uint8) for _ in range(2)]
    samples = [_SAMPLES[package](classes, number) for number in range(2)]
    for sample in samples:
        shape = (_SIDE, _SIDE)
        sample.set_metainfo(
            dict(img_shape=shape, ori_shape=shape, pad_shape=shape, scale_factor=(1.0, 1.0))
        )
    return dict(inputs=images, data_samples=samples)


def _classified(classes: int, number: int) -> Any:
    from mmpretrain.structures import DataSample

    return DataSample().set_gt_label(number % classes)


def _detected(classes: int, number: int) -> Any:
    from mmdet.structures import DetDataSample
    from mmdet.structures.mask import BitmapMasks

    masks = torch.zeros(len(_BOXES), _SIDE, _SIDE, dtype=torch.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, _BOXES, strict=True):
        mask[y1:y2, x1:x2] = 1
    sample = DetDataSample()
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(_BOXES, dtype=torch.float32),
        labels=torch.arange(number, number + len(_BOXES)) % classes,
        masks=BitmapMasks(masks.numpy(), _SIDE, _SIDE),
    )
    sample.ignored_instances = InstanceData(
        bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)
    )
    sample.gt_sem_seg = PixelData(sem_seg=torch.randint(0, classes, (1, _SIDE, _SIDE)))
    return sample


def _segmented(classes: int, number: int) -> Any:
    from mmseg.structures import SegDataSample

    sample = SegDataSample()
    sample.gt_sem_seg = PixelData(data=torch.randint(0, classes, (1, _SIDE, _SIDE)))
    sample.gt_depth_map = PixelData(data=1 + torch.rand(1, _SIDE, _SIDE))
    return sample


_SAMPLES = {'mmpretrain': _classified, 'mmdet': _detected, 'mmseg': _segmented}
