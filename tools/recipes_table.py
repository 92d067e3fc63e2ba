"""Train the starter recipes on the embedded data set and print the README's table.

python tools/recipes_table.py [CONFIG ...]; a recipe that is done is not trained again.
"""

import argparse
import json
import operator
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The metric of a task, and the least that a right model of any of our recipes must reach.
METRICS = {
    'det': ('coco/bbox_mAP', 0.45),
    'seg': ('mIoU', 65.0),
    'cls': ('accuracy/top1', 90.0),
    'depth': ('abs_rel', 0.2),
}
ERRORS = ('abs_rel',)  # the less the better: the floor is the most that a right model may have
# Heads of masks are measured by their masks; on few photographs boxes are found, but loose.
OTHERS = {
    'cls/resnet_multilabel': ('multi-label/mAP', 90.0),
    'det/convnext_dino': ('coco/bbox_mAP', 0.4),
    'det/convnext_mask_rcnn': ('coco/segm_mAP', 0.5),
    'det/resnet_deformable_detr': ('coco/bbox_mAP', 0.4),
    'det/resnet_mask2former': ('coco/segm_mAP', 0.4),
    'det/swin_cascade_mask_rcnn': ('coco/segm_mAP', 0.5),
    'det/trees_dino': ('coco/bbox_mAP_50', 0.1),
    'det/trees_faster_rcnn': ('coco/bbox_mAP_50', 0.1),
    'det/trees_retinanet': ('coco/bbox_mAP_50', 0.1),
    'det/vit_vitdet': ('coco/segm_mAP', 0.5),
    'seg/lite0_linear_probe': ('mIoU', 55.0),  # of features that were never trained on it
}
# Need data or weights that no package brings.
ELSEWHERE = ('timm_classifier', 'swin_cifar10')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train the starter recipes; print a table.')
    parser.add_argument('configs', nargs='*', help='recipes (default: all of configs/*/)')
    parser.add_argument('--work-dir', default='work_dirs/recipes', help='where the runs go')
    return parser.parse_args()


def train(config: Path, folder: Path) -> dict:
    """Train one recipe in a process of its own, unless it is done; return its figures."""
    from vitmm.apis.scalars import last_scores

    result = folder / 'result.json'
    if not result.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, str(ROOT / 'tools/train.py'), str(config)]
        with (folder / 'output.txt').open('w') as output:
            done = subprocess.run(
                [*command, '--work-dir', str(folder)], stdout=output, stderr=subprocess.STDOUT
            )
        if done.returncode:
            sys.exit(f'error: {config} failed; see {folder / "output.txt"}')
        log = max(folder.glob('*/vis_data/scalars.json'), key=lambda path: path.stat().st_mtime)
        result.write_text(json.dumps(last_scores(log), indent=2))
    return json.loads(result.read_text())


def main() -> None:
    args = parse_args()
    configs = [Path(c) for c in args.configs] or [
        path
        for task in METRICS
        for path in sorted((ROOT / 'configs' / task).glob('*.py'))
        if not path.stem.startswith(ELSEWHERE)
    ]
    rows, below = [], []
    for number, config in enumerate(configs, 1):
        print(f'[{number}/{len(configs)}] {config.stem} ...', file=sys.stderr, flush=True)
        task = config.resolve().parent.name
        metric, floor = OTHERS.get(f'{task}/{config.stem}', METRICS[task])
        result = train(config, Path(args.work_dir) / config.stem)
        rows.append(
            f'| `{config.resolve().relative_to(ROOT)}` | {metric.rpartition("/")[2]} | '
            f'{result[metric]:.3g} | {floor:g} |'
        )
        worse = operator.gt if metric in ERRORS else operator.lt
        if worse(result[metric], floor):
            below.append(config.stem)
    print('| recipe | metric | measured | floor |\n| --- | --- | ---: | ---: |')
    print('\n'.join(rows))
    print(f'\nMeasured on {platform.machine()} with {_cores()} cores, Python {sys.version[:6]}.')
    if below:
        sys.exit(f'error: below their floor: {", ".join(below)}')


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


if __name__ == '__main__':
    main()
