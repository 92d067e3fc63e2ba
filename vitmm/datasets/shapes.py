"""``shapes``, the embedded data set: drawn by this package, in every format the tasks need.

Detection, instance and semantic segmentation share one copy of the images; classification has
its own. The same seed gives the same bytes (on one machine: another processor's sines may
differ in the last digit), and asking for more images leaves the first ones as they were.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitmm.datasets.draw import CLASSES, draw_portrait, draw_scene
from vitmm.datasets.drawn import write_drawn
from vitmm.datasets.files import write_lines
from vitmm.datasets.formats import coco_annotation, voc_xml, write_jpeg, write_palette_png
from vitmm.registry import FUNCTIONS

if TYPE_CHECKING:
    from tqdm import tqdm

VERSION = 3  # raise it when the same seed no longer gives the same bytes
SPLITS = ('train', 'val', 'cls_train', 'cls_val')  # their places seed the images: append only
# The background, then the classes.
PALETTE = ((0, 0, 0), (230, 60, 60), (70, 160, 240), (250, 200, 50), (90, 200, 100),
           (180, 90, 220), (250, 140, 60))  # fmt: skip


@FUNCTIONS.register_module()
def write_shapes(
    root: str | os.PathLike = 'data/shapes',
    num_train: int = 800,
    num_val: int = 150,
    num_cls_train: int = 1800,
    num_cls_val: int = 300,
    seed: int = 0,
) -> Path:
    """Write the data set into ``root``, unless it is there already.

    Safe to call from several processes at once: one draws, the others wait. Layout::

        JPEGImages/<id>.jpg                    scenes, 160 to 256 pixels a side
        Annotations/<id>.xml                   boxes, Pascal VOC
        ImageSets/{Main,Segmentation}/{train,val}.txt
        SegmentationClass/<id>.png             palette images, 0 is the background
        coco/instances_{train,val}.json        boxes and masks (RLE), COCO
        imagefolder/{train,val}/<class>/*.jpg  one shape an image, 96 to 160 pixels a side
        classes.txt, SegmentationClass/classes.txt (with the background), shapes.json

    Args:
        root: Folder to write.
        num_train: Scenes to train on.
        num_val: Scenes to validate on.
        num_cls_train: Classification images to train on, balanced over the classes.
        num_cls_val: Classification images to validate on.
        seed: Of everything random in it, 0 or more.

    Returns:
        ``root``.

    Raises:
        DataError: ``root`` holds something else, or a set of other counts, seed or version; or a
            number is negative.
    """
    scenes = {'train': num_train, 'val': num_val}
    portraits = {'train': num_cls_train, 'val': num_cls_val}
    counts = scenes | {f'cls_{split}': count for split, count in portraits.items()}

    def draw(folder: Path, bar: tqdm) -> None:
        _write_names(folder)
        for split, count in scenes.items():
            _write_scenes(folder, split, count, seed, bar)
        for split, count in portraits.items():
            _write_portraits(folder, split, count, seed, bar)

    return write_drawn(root, 'shapes', VERSION, seed, counts, draw)


def image_rng(seed: int, split: str, index: int) -> np.random.Generator:
    """The random numbers of one image, whatever the number of images around it."""
    return np.random.default_rng((seed, SPLITS.index(split), index))


def _write_names(folder: Path) -> None:
    for name in ('JPEGImages', 'Annotations', 'SegmentationClass', 'coco',
                 'ImageSets/Main', 'ImageSets/Segmentation'):  # fmt: skip
        (folder / name).mkdir(parents=True)
    write_lines(folder / 'classes.txt', CLASSES)
    write_lines(folder / 'SegmentationClass/classes.txt', ('background', *CLASSES))


def _write_scenes(folder: Path, split: str, count: int, seed: int, bar: tqdm) -> None:
    ids, images, annotations = [], [], []
    for index in range(count):
        id, file_name = f'{split}_{index:05d}', f'{split}_{index:05d}.jpg'
        scene = draw_scene(image_rng(seed, split, index))
        height, width = scene.image.shape[:2]
        names = [CLASSES[label] for label in scene.labels]
        indices = np.zeros((height, width), np.uint8)
        for label, mask in zip(scene.labels, scene.masks, strict=True):
            indices[mask] = label + 1
            annotations.append(
                coco_annotation(len(annotations) + 1, len(images) + 1, label + 1, mask)
            )
        images.append(
            {'id': len(images) + 1, 'file_name': file_name, 'height': height, 'width': width}
        )
        ids.append(id)
        write_jpeg(folder / 'JPEGImages' / file_name, scene.image)
        write_palette_png(folder / f'SegmentationClass/{id}.png', indices, PALETTE)
        xml = voc_xml(file_name, (height, width), names, scene.masks, scene.truncated)
        (folder / f'Annotations/{id}.xml').write_text(xml)
        bar.update()
    categories = [{'id': i + 1, 'name': name} for i, name in enumerate(CLASSES)]
    coco = {'images': images, 'annotations': annotations, 'categories': categories}
    (folder / f'coco/instances_{split}.json').write_text(json.dumps(coco))
    for task in ('Main', 'Segmentation'):
        write_lines(folder / f'ImageSets/{task}/{split}.txt', ids)


def _write_portraits(folder: Path, split: str, count: int, seed: int, bar: tqdm) -> None:
    for name in CLASSES:
        (folder / f'imagefolder/{split}/{name}').mkdir(parents=True)
    for index in range(count):
        label = index % len(CLASSES)
        scene = draw_portrait(image_rng(seed, f'cls_{split}', index), label)
        path = folder / f'imagefolder/{split}/{CLASSES[label]}/{split}_{index:05d}.jpg'
        write_jpeg(path, scene.image)
        bar.update()
