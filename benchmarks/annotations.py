"""How long a start takes with annotations of COCO's size, beside mmdet's own of the same recipe.

python benchmarks/annotations.py [--images 118287] [--repeats 3]

Seconds from the command to the end of the first iteration of RetinaNet with a ResNet-18. The file
is made up: 7.3 objects an image, in the sizes of COCO's, 28 points each (530 MB for 118,287
images); images are a few files under many names.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from full_size import SHAPES
from start import ROOT, TRAIN, seconds
from stock import write_stock

FILES = 32
CATEGORIES = 80
# The stock side: pycocotools as it is, not as vitmm has it.
STOCK = """
import sys
import vitmm
import first_iteration
from mmengine.config import Config
from mmengine.runner import Runner
from pycocotools.coco import COCO

COCO.__init__ = COCO.__init__.__wrapped__
Runner.from_cfg(Config.fromfile(sys.argv[1])).train()
"""


def main() -> None:
    parser = argparse.ArgumentParser(description='Time the start with large annotation files.')
    parser.add_argument('--images', type=int, default=118287, help='to train on (COCO: 118287)')
    parser.add_argument('--repeats', type=int, default=3, help='of each, in turn')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        options = write_data(root / 'data', args.images)
        recipe, stock = root / 'recipe.py', root / 'stock.py'
        bases = ('models/retinanet', 'datasets/det/coco', 'schedules/adamw', 'runtime/det')
        lines = [
            f'_base_ = {[f"{ROOT}/configs/_base_/{base}.py" for base in bases]}',
            "model = dict(backbone=dict(model_name='resnet18'))",
            "custom_imports = dict(imports=['first_iteration'])",
            "custom_hooks = [dict(type='mmengine.FirstIterationHook')]",
            *(f'{key} = {value!r}' for key, value in options.items()),
        ]
        recipe.write_text('\n'.join(lines))
        backbone = dict(type='mmdet.ResNet', depth=18, out_indices=(1, 2, 3))
        write_stock(recipe, {'work_dir': f'{root}/stock'}, stock, backbone)
        commands = {
            'vitmm': [*TRAIN, str(recipe), '--work-dir', f'{root}/run'],
            'mmdet': [sys.executable, '-c', STOCK, str(stock)],
        }
        for command in commands.values():  # files into the page cache
            seconds(command)
        rounds = []
        for number in range(args.repeats):
            rounds.append({name: seconds(command) for name, command in commands.items()})
            print(f'[{number + 1}/{args.repeats}] {rounds[-1]}', file=sys.stderr)
    ratios = sorted(one['vitmm'] / one['mmdet'] for one in rounds)
    ours, theirs = (statistics.median(one[name] for one in rounds) for name in commands)
    print('| images | vitmm, s | mmdet, s | ratio | from, to |')
    print('| ---: | ---: | ---: | ---: | --- |')
    print(
        f'| {args.images} | {ours:.1f} | {theirs:.1f} | {statistics.median(ratios):.3f} | '
        f'{ratios[0]:.3f} to {ratios[-1]:.3f} |'
    )


def write_data(root: Path, images: int) -> dict:
    """Write images and annotations; return the keys that point the base ``coco`` to them."""
    rng = np.random.default_rng(0)
    (root / 'files').mkdir(parents=True)
    for number in range(FILES):
        width, height = SHAPES[number % len(SHAPES)]
        noise = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
        cv2.imwrite(str(root / 'files' / f'{number}.jpg'), noise)
    options = {'data_root': str(root), 'image_scale': (160, 160)}
    for split, count in (('train', images), ('val', max(images // 24, 1))):
        (root / split).mkdir()
        listed, boxes = [], []
        for number in range(count):
            name = f'{number:012d}.jpg'
            os.link(root / 'files' / f'{number % FILES}.jpg', root / split / name)
            width, height = SHAPES[number % len(SHAPES)]
            listed.append(dict(id=number, file_name=name, width=width, height=height))
            for _ in range(rng.poisson(7.3)):
                boxes.append(annotation(rng, len(boxes) + 1, number, width, height))
        content = dict(
            images=listed,
            annotations=boxes,
            categories=[dict(id=number, name=f'class {number}') for number in range(CATEGORIES)],
        )
        (root / f'{split}.json').write_text(json.dumps(content))
        options |= {f'{split}_ann': f'{split}.json', f'{split}_images': f'{split}/'}
    return options


def annotation(rng: np.random.Generator, number: int, image: int, width: int, height: int) -> dict:
    """One object: an ellipse of a few points in a box of any size."""
    left, top = rng.uniform(0, width - 60), rng.uniform(0, height - 60)
    wide, high = rng.uniform(8, width - left), rng.uniform(8, height - top)
    angles = np.sort(rng.uniform(0, 2 * np.pi, max(4, int(rng.exponential(28)))))
    across = left + wide / 2 * (1 + np.cos(angles))
    down = top + high / 2 * (1 + np.sin(angles))
    return dict(
        id=number,
        image_id=image,
        category_id=int(rng.integers(CATEGORIES)),
        bbox=[round(side, 2) for side in (left, top, wide, high)],
        area=round(wide * high * np.pi / 4, 4),
        iscrowd=0,
        segmentation=[np.stack([across, down], 1).round(2).ravel().tolist()],
    )


if __name__ == '__main__':
    main()
