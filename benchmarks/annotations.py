"""How long a start takes with annotations of COCO's size, beside mmdet's own of the same recipe.

python benchmarks/annotations.py [--images 118287] [--repeats 3]

Seconds from the command to the end of the first iteration of RetinaNet with a ResNet-18. The file
is made up (full_size.py): 7 objects an image, 24 points each; images are a few files under many
names.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import full_size
import numpy as np
from start import ROOT, TRAIN, seconds
from stock import write_stock

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
        keys = write(root / 'data', args.images)
        recipe, stock = root / 'recipe.py', root / 'stock.py'
        bases = ('models/retinanet', 'datasets/det/coco', 'schedules/adamw', 'runtime/det')
        lines = [
            f'_base_ = {[f"{ROOT}/configs/_base_/{base}.py" for base in bases]}',
            "model = dict(backbone=dict(model_name='resnet18'))",
            "custom_imports = dict(imports=['first_iteration'])",
            "custom_hooks = [dict(type='mmengine.FirstIterationHook')]",
            *(f'{key} = {value!r}' for key, value in keys.items()),
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


def write(root: Path, images: int) -> dict:
    """Write images and annotations; return the keys that point the base ``coco`` to them."""
    keys = full_size.write_data(root, 'det', images)
    fewer = full_size.annotations(np.random.default_rng(1), max(images // 24, 1))  # as in COCO
    (root / 'val.json').write_text(json.dumps(fewer))
    return keys | {'val_ann': 'val.json', 'image_scale': (160, 160)}


if __name__ == '__main__':
    main()
