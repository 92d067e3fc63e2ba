"""Plain training loops, as torchvision's references and timm's train.py write them.

Each does what the recipe beside it does: the same images, augmentations, batch, optimiser, clipping
and warm-up. ``clock.begins()`` ends the wait for data, ``clock.ends()`` the iteration.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import nn

CLIP, RATE, DECAY, WARMUP = 1.0, 1e-3, 0.05, 100  # as in configs/_base_/schedules/adamw.py
CLASSES = 6  # of the shapes data set


def torchvision(job: dict, clock) -> None:
    """Faster R-CNN or RetinaNet: transforms v2, DataLoader, AdamW."""
    from torch.utils.data import DataLoader

    device = torch.device(job['device'])
    model = _detector(job).to(device).train()
    data = _coco(Path(job['data_root']), background=job['head'] != 'retinanet')
    loader = DataLoader(
        data,
        batch_sampler=ByShape(data, job['batch']),
        num_workers=job['workers'],
        collate_fn=_columns,
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=WARMUP)
    clock.model = model
    for images, targets in loader:
        clock.begins()
        images = [image.to(device) for image in images]
        targets = [{k: v.to(device) for k, v in target.items()} for target in targets]
        with torch.autocast(device.type, torch.bfloat16, enabled=job['precision'] == 'bf16'):
            losses = model(images, targets)
            loss = sum(losses.values())
        told = {name: value.item() for name, value in losses.items()}  # the references log each
        if not math.isfinite(loss.item()):
            raise FloatingPointError(f'the losses are {told}')
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        schedule.step()
        clock.ends()


def _detector(job: dict) -> nn.Module:
    from torchvision.models.detection import FasterRCNN, RetinaNet
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.ops import MultiScaleRoIAlign
    from torchvision.ops.feature_pyramid_network import LastLevelP6P7

    sizes = dict(min_size=job['image_size'], max_size=job['image_size'])
    backbone = dict(
        backbone_name=job['model'], weights=None, trainable_layers=5, norm_layer=nn.BatchNorm2d
    )
    if job['head'] == 'retinanet':
        pyramid = resnet_fpn_backbone(
            **backbone, returned_layers=[2, 3, 4], extra_blocks=LastLevelP6P7(256, 256)
        )
        return RetinaNet(pyramid, CLASSES, **sizes)
    return FasterRCNN(
        resnet_fpn_backbone(**backbone),
        CLASSES + 1,
        rpn_post_nms_top_n_train=1000,
        box_roi_pool=MultiScaleRoIAlign(['0', '1', '2', '3'], 7, sampling_ratio=0),
        **sizes,
    )


def _coco(root: Path, background: bool):
    from torchvision.datasets import CocoDetection, wrap_dataset_for_transforms_v2
    from torchvision.transforms import v2

    transforms = v2.Compose(
        [
            v2.ToImage(),
            v2.RandomHorizontalFlip(0.5),
            v2.ToDtype(torch.float32, scale=True),
            v2.SanitizeBoundingBoxes(),
            Labels(0 if background else -1),
        ]
    )
    data = CocoDetection(
        root / 'JPEGImages', root / 'coco' / 'instances_train.json', transforms=transforms
    )
    data.ids = [i for i in data.ids if data.coco.getAnnIds(i)]
    return wrap_dataset_for_transforms_v2(data, target_keys=['boxes', 'labels'])


class Labels(nn.Module):
    """Move the labels: 1 is COCO's first category, and 0 the first that RetinaNet learns."""

    def __init__(self, offset: int) -> None:
        super().__init__()
        self.offset = offset

    def forward(self, image: torch.Tensor, target: dict) -> tuple[torch.Tensor, dict]:
        """Pass the image on, and the target with other labels."""
        return image, target | {'labels': target['labels'] + self.offset}


class ByShape:
    """Batches of images of one orientation, shuffled, as both reference recipes make them.

    Args:
        data: a wrapped CocoDetection.
        batch: images in each; what does not fill a batch is left out.
    """

    def __init__(self, data, batch: int) -> None:
        infos = data.coco.loadImgs(data.ids)
        self.wide = [info['width'] >= info['height'] for info in infos]
        self.batch = batch

    def __iter__(self) -> Iterator[list[int]]:
        waiting: dict[bool, list[int]] = {True: [], False: []}
        for index in torch.randperm(len(self.wide)).tolist():
            group = waiting[self.wide[index]]
            group.append(index)
            if len(group) == self.batch:
                yield group[:]
                group.clear()


def _columns(samples: Sequence[tuple]) -> tuple[tuple, ...]:
    return tuple(zip(*samples, strict=True))


def timm(job: dict, clock) -> None:
    """timm's own training of a classifier on an image folder, as its train.py goes about it."""
    from timm import create_model, utils
    from timm.data import create_dataset, create_loader, resolve_data_config
    from timm.models import model_parameters
    from timm.optim import create_optimizer_v2
    from timm.scheduler import create_scheduler_v2

    device = torch.device(job['device'])
    model = create_model(job['model'], num_classes=CLASSES, **job['model_kwargs'])
    statistics = resolve_data_config({}, model=model)
    model = model.to(device).train()
    loader = create_loader(
        create_dataset('', root=str(Path(job['data_root'], 'imagefolder', 'train'))),
        input_size=(3, job['image_size'], job['image_size']),
        batch_size=job['batch'],
        is_training=True,
        scale=job['scale'],
        ratio=(3 / 4, 4 / 3),
        hflip=0.5,
        color_jitter=0.0,
        interpolation='bicubic',
        mean=statistics['mean'],
        std=statistics['std'],
        num_workers=job['workers'],
        device=device,
    )
    optimizer = create_optimizer_v2(model, opt='adamw', lr=RATE, weight_decay=DECAY)
    schedule, _ = create_scheduler_v2(
        optimizer,
        num_epochs=10,
        warmup_epochs=1,
        updates_per_epoch=len(loader),
        step_on_epochs=False,
    )
    criterion = nn.CrossEntropyLoss().to(device)
    seen = utils.AverageMeter()
    clock.model = model
    optimizer.zero_grad()
    for updates, (images, labels) in enumerate(loader, start=1):
        clock.begins()
        with torch.autocast(device.type, torch.bfloat16, enabled=job['precision'] == 'bf16'):
            loss = criterion(model(images), labels)
        loss.backward()
        utils.dispatch_clip_grad(model_parameters(model), value=CLIP, mode='norm')
        optimizer.step()
        optimizer.zero_grad()
        seen.update(loss.item(), images.size(0))
        schedule.step_update(num_updates=updates, metric=seen.avg)
        clock.ends()
