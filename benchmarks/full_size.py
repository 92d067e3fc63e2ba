"""The rows of iterations.py --full-size: models and images as large as people train them.

COCO's sizes of images at 1024 pixels, crops of 512, batches for a GPU of 80 GB. The images are
noise that takes a photograph's room as JPEG, some dozens of files under many names.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
from loader import CLASSES, photograph

BASES = Path(__file__).resolve().parent.parent / 'configs' / '_base_'
SHAPES = ((640, 480), (480, 640), (640, 427), (427, 640))  # w, h
FILES = 32
OBJECTS = 7  # an image, as in COCO
DET = ('datasets/det/coco', 'schedules/adamw', 'runtime/det')
SEG = ('datasets/seg/folder', 'schedules/adamw', 'runtime/seg')
# row -> bases, our recipe, batch, side of the images
OURS = {
    'det/vit_base_retinanet': (
        ('models/retinanet', *DET),
        # As many levels as mmseg's neck for plain ViTs can make.
        dict(backbone=dict(model_name='vit_base_patch16_224'), out_strides=(8, 16, 32, 64)),
        8,
        1024,
    ),
    'det/swin_tiny_mask_rcnn': (
        ('models/mask_rcnn', *DET),
        dict(
            backbone=dict(
                model_name='swin_tiny_patch4_window7_224',
                model_kwargs=dict(always_partition=True),  # windows shift everywhere, as in mmdet
                out_norm='layer',
            )
        ),
        8,
        1024,
    ),
    'seg/convnext_tiny_upernet': (
        ('models/upernet', *SEG),
        dict(backbone=dict(model_name='convnext_tiny', out_norm='layer')),
        16,
        512,
    ),
}
# row -> the stock backbone, and a neck for what our FeaturePyramid does beside passing maps on
STOCK = {
    'det/vit_base_retinanet': dict(
        backbone=dict(
            type='mmpretrain.VisionTransformer',
            arch='base',
            out_indices=(2, 5, 8, 11),
            out_type='featmap',
            final_norm=False,
        ),
        neck=dict(type='mmseg.Feature2Pyramid', embed_dim=768, rescales=[2, 1, 0.5, 0.25]),
    ),
    'det/swin_tiny_mask_rcnn': dict(
        backbone=dict(type='mmdet.SwinTransformer', drop_path_rate=0.1)
    ),
    'seg/convnext_tiny_upernet': dict(
        backbone=dict(
            type='mmpretrain.ConvNeXt',
            arch='tiny',
            out_indices=(0, 1, 2, 3),
            gap_before_final_norm=False,
        )
    ),
}


def prepare(
    name: str,
    folder: Path,
    iterations: int,
    workers: int,
    batch: int | None = None,
    size: int | None = None,
) -> tuple[Path, dict, int, int]:
    """Write a row's recipe, and images for so many iterations.

    Args:
        name: of the row.
        folder: where it is written.
        iterations: that the epoch is to have.
        workers: of the loader.
        batch: images of an iteration; by default the row's.
        size: longer side of the images; by default the row's.

    Returns:
        The recipe, the options that point it to them, the batch and the size.
    """
    batch, size = batch or OURS[name][2], size or OURS[name][3]
    # Some images more than are used: the last batch of an orientation may stay unfilled.
    root = folder / f'{name.replace("/", "_")}_data'
    options = write_data(root, name[:3], batch * (iterations + 2)) | sizes(name, size)
    options |= {'train_dataloader.batch_size': batch, 'train_dataloader.num_workers': workers}
    return write_recipe(name, folder), options, batch, size


def write_recipe(name: str, folder: Path) -> Path:
    """Write the recipe of a row: bases, a backbone, strides."""
    parts, settings, _, _ = OURS[name]
    lines = [f'_base_ = {[str(BASES / f"{part}.py") for part in parts]}']
    lines += [f'model = dict(backbone={settings["backbone"]!r})']
    if 'out_strides' in settings:
        lines += [f'out_strides = {settings["out_strides"]!r}']
    file = folder / f'{name.replace("/", "_")}.py'
    file.write_text('\n'.join(lines) + '\n')
    return file


def sizes(name: str, size: int) -> dict:
    """The options for images of this side: crops of it in segmentation, from twice to half."""
    if name.startswith('seg'):
        return {'image_scale': (4 * size, size), 'crop_size': (size, size)}
    return {'image_scale': (size, size)}


def write_data(root: Path, task: str, number: int) -> dict:
    """Write images with boxes and outlines (det) or masks (seg) under so many names.

    Returns:
        The options that point a recipe to them.
    """
    random = np.random.default_rng(0)
    folders = [root / 'i', *([root / 'm'] if task == 'seg' else [])]
    for folder in folders:
        folder.mkdir(parents=True)
    for index in range(min(FILES, number)):
        width, height = SHAPES[index % len(SHAPES)]
        image = photograph(random, width, height)
        cv2.imwrite(str(root / 'i' / f'{index:05}.jpg'), image, [cv2.IMWRITE_JPEG_QUALITY, 92])
        if task == 'seg':
            mask = random.integers(0, CLASSES, (9, 12), np.uint8)
            mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
            cv2.imwrite(str(root / 'm' / f'{index:05}.png'), mask)
    for folder in folders:
        for file in sorted(folder.iterdir()):
            for index in range(int(file.stem) + FILES, number, FILES):
                os.link(file, folder / f'{index:05}{file.suffix}')
    if task == 'seg':
        names = '\n'.join(f'class {i}' for i in range(CLASSES))
        (root / 'classes.txt').write_text(names)
        options = dict(train_images='i', val_images='i', train_masks='m', val_masks='m')
    else:
        (root / 'a.json').write_text(json.dumps(annotations(random, number)))
        options = dict(train_ann='a.json', val_ann='a.json', train_images='i/', val_images='i/')
    return options | {'data_root': str(root)}


def annotations(random: np.random.Generator, number: int) -> dict:
    """COCO's annotations of random boxes; each outline is the ellipse in its box."""
    images, objects = [], []
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1) / 2 + 0.5
    for index in range(number):
        width, height = SHAPES[index % FILES % len(SHAPES)]
        images.append(dict(id=index + 1, width=width, height=height, file_name=f'{index:05}.jpg'))
        sides = np.array([width, height])
        for _ in range(OBJECTS):
            size = (random.uniform(0.07, 0.5, 2) * sides).round(2)  # digits as in COCO
            corner = (random.uniform(0, 1, 2) * (sides - size)).round(2)
            outline = (corner + circle * size).round(2)
            objects.append(
                dict(id=len(objects) + 1, image_id=index + 1, iscrowd=0)
                | dict(category_id=len(objects) % CLASSES + 1, bbox=[*corner, *size])
                | dict(area=size.prod(), segmentation=[outline.ravel().tolist()])
            )
    categories = [dict(id=i + 1, name=f'class {i}') for i in range(CLASSES)]
    return dict(images=images, annotations=objects, categories=categories)
