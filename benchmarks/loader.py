"""The data loader: images a second of one worker, beside OpenMMLab's own pipeline and torchvision.

python benchmarks/loader.py [TASK ...] [--rounds 9] [--workers 0 1 2] [--json FILE]

The training pipelines of the _base_ data sets as the resolved config has them, packing included,
and the same work in torchvision v2 (on tensors, which is its fast way), on JPEGs that are written
first. Each side is a process of its own with one thread, as a worker is; CPU time, in turns. Then
whole data loaders, in wall time, beside the same with MMEngine's pseudo_collate, which hands over
each tensor by itself.
"""

import argparse
import contextlib
import itertools
import json
import os
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from sides import PRELOAD

os.environ['OMP_NUM_THREADS'] = '1'
CONFIGS = Path(__file__).resolve().parent.parent / 'configs'
SIZES = {
    'coco': (640, 480, 12),
    'imagenet': (500, 375, 12),
    'large': (4000, 3000, 3),
}  # w, h, number
CLASSES = 20
# task -> recipe, its data set, and the JPEGs
TASKS = {
    'det': ('det/vit_retinanet.py', 'coco', ('coco', 'large')),
    'seg': ('seg/vit_upernet.py', 'folder', ('coco', 'large')),
    'cls': ('cls/vit_linear.py', 'imagefolder', ('imagenet', 'large')),
}
SIDES = ('vitmm', 'reduce=False', 'image_cache', 'OpenMMLab', 'torchvision')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('tasks', nargs='*', default=list(TASKS), metavar='TASK', help=str([*TASKS]))
    parser.add_argument('--rounds', type=int, default=9, help='how often each side takes its turn')
    parser.add_argument('--seconds', type=float, default=6, help='that whole loaders run for')
    parser.add_argument('--workers', type=int, nargs='*', help='0, 1, 2, 4, ... by default')
    parser.add_argument('--json', type=Path, metavar='FILE')
    args = parser.parse_args()

    import cv2
    import torch

    from vitmm.config import machine

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    if args.workers is None:
        counts = (2**n for n in range(7))
        args.workers = [0, *itertools.takewhile(lambda n: n <= machine.processors(), counts)]
    rows, loaders = [], []
    with tempfile.TemporaryDirectory() as folder:
        for task in args.tasks:
            for kind in TASKS[task][2]:
                root = write(Path(folder) / f'{task}_{kind}', task, *SIZES[kind])
                rows.append(one_worker(task, kind, root, args.rounds))
                loaders += whole_loaders(task, kind, root, args.workers, args.seconds)
    report(rows, loaders)
    if args.json:
        args.json.write_text(json.dumps({'pipelines': rows, 'loaders': loaders}, indent=2) + '\n')


def report(rows: list[dict], loaders: list[dict]) -> None:
    print('Images a second of one worker (quartiles), and the time of vitmm as a ratio.\n')
    print(f'| pipeline, images | {" | ".join(SIDES)} | / OpenMMLab | / torchvision |')
    print(f'| --- |{" ---: |" * (len(SIDES) + 2)}')
    for row in rows:
        quartiles = [[1e3 / ms for ms in row['ms'][side]] for side in SIDES]
        cells = [f'{mid:.0f} ({low:.0f} to {high:.0f})' for high, mid, low in quartiles]
        ratios = [f'{row["ratio"][side]:.2f}' for side in ('OpenMMLab', 'torchvision')]
        print(f'| {row["task"]}, {row["images"]} | {" | ".join([*cells, *ratios])} |')
    print('\nWhole data loaders of vitmm, images a second of wall time.\n')
    print('| pipeline, images | workers | vitmm | pseudo_collate | first batch after, s |')
    print('| --- | ---: | ---: | ---: | ---: |')
    for row in loaders:
        print(
            f'| {row["task"]}, {row["images"]} | {row["workers"]} | {row["vitmm"]:.0f} '
            f'| {row["pseudo_collate"]:.0f} | {row["first"]:.2f} |'
        )


def one_worker(task: str, kind: str, root: Path, rounds: int) -> dict:
    """Milliseconds an image: quartiles of the sides, and medians of the ratios of a round."""
    context = get_context('forkserver')
    context.set_forkserver_preload(list(PRELOAD))
    times = {side: [] for side in SIDES}
    with contextlib.ExitStack() as stack:
        workers = {
            side: stack.enter_context(
                ProcessPoolExecutor(1, context, initializer=begin, initargs=(side, task, root))
            )
            for side in SIDES
        }
        for turn in range(-1, rounds):
            for side in SIDES[turn % 5 :] + SIDES[: turn % 5]:
                taken = workers[side].submit(go_through).result()
                if turn >= 0:  # the first warms up
                    times[side].append(taken)
    ratios = {
        side: statistics.median(a / b for a, b in zip(times['vitmm'], times[side], strict=True))
        for side in SIDES
    }
    quartiles = {side: statistics.quantiles(times[side], n=4) for side in SIDES}
    return {'task': task, 'images': kind, 'ms': quartiles, 'ratio': ratios}


def begin(side: str, task: str, root: Path) -> None:
    """Make this process one side's worker."""
    global images
    import cv2
    import torch

    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    if side == 'torchvision':
        images = build_torchvision(task, root)
    elif side == 'OpenMMLab':
        images = build(task, root, stock=True)
    else:
        from vitmm.engine import seed_worker

        cache = {'image_cache': str(root / 'cache')}
        options = {'vitmm': {}, 'reduce=False': {'reduce': False}, 'image_cache': cache}
        images = build(task, root, options[side])
        seed_worker(0)  # the worker_init_fn of the configs


def go_through() -> float:
    """Milliseconds of this process for an image."""
    start = time.process_time()
    for index in range(len(images)):
        images[index]
    return 1e3 * (time.process_time() - start) / len(images)


def whole_loaders(
    task: str, kind: str, root: Path, workers: list[int], seconds: float, turns: int = 3
) -> list:
    """Images a second of the config's loader from its first batch on, and the seconds before."""
    from mmengine.runner import Runner

    found = []
    for number in workers:
        told = {'vitmm': [], 'pseudo_collate': []}
        for turn in range(turns):
            for side in sorted(told, reverse=turn % 2 == 0):
                config = resolved(task, root).train_dataloader
                config.num_workers = number
                config.dataset = dict(type='RepeatDataset', times=10**5, dataset=config.dataset)
                if side == 'pseudo_collate':
                    config.collate_fn = dict(type=side)
                start = time.perf_counter()
                batches = iter(Runner.build_dataloader(config, seed=0))
                next(batches)
                first, count = time.perf_counter(), 0
                while time.perf_counter() - first < seconds / turns:
                    count += len(next(batches)['inputs'])
                told[side].append((count / (time.perf_counter() - first), first - start))
                del batches
        row = {side: statistics.median(rate for rate, _ in told[side]) for side in told}
        row['first'] = statistics.median(first for _, first in told['vitmm'])
        found.append(dict(task=task, images=kind, workers=number, **row))
    return found


def resolved(task: str, root: Path, options: dict | None = None):
    from mmengine.registry import init_default_scope

    from vitmm.config import load_config, resolve

    recipe, data, _ = TASKS[task]
    given = {'data_root': str(root), **(options or {})}
    if task == 'det':
        given |= dict(train_ann='a.json', val_ann='a.json', train_images='i/', val_images='i/')
    if task == 'seg':
        given |= dict(train_images='i', val_images='i', train_masks='m', val_masks='m')
    if task == 'cls':
        given |= dict(train_images='i', val_images='i')
    config = resolve(load_config(CONFIGS / recipe, data=data, options=given))
    init_default_scope(config.default_scope)
    return config


def build(task: str, root: Path, options: dict | None = None, stock: bool = False):
    """The training set of the recipe; ``stock`` puts OpenMMLab's own transforms for ours."""
    from mmengine.registry import DATASETS

    dataset = resolved(task, root, options).train_dataloader.dataset
    if stock:
        steps = [step for step in dataset.pipeline[1:] if step.type != 'vitmm.Planes']
        steps = [step.get('transform', step) for step in steps]
        for step in steps:
            if step.get('backend') == 'torch':
                step.backend = 'pillow'
        dataset.pipeline = [dict(type='LoadImageFromFile'), *steps]
        assert 'vitmm' not in str(dataset.pipeline)
    return DATASETS.build(dataset)


def build_torchvision(task: str, root: Path):
    """A torch data set of the same images with the same work in torchvision v2."""
    import torch
    from torchvision import tv_tensors
    from torchvision.io import ImageReadMode, decode_image
    from torchvision.transforms import v2

    paths = sorted((root / 'i').rglob('*.jpg'))
    config = resolved(task, root)
    bicubic = v2.InterpolationMode.BICUBIC
    if task == 'det':
        long, short = config.image_scale
        steps = [v2.Resize(short, max_size=long), v2.RandomHorizontalFlip()]
        steps += [v2.ClampBoundingBoxes()]
        boxes = {}
        for one in json.loads((root / 'a.json').read_text())['annotations']:
            boxes.setdefault(one['image_id'], []).append(one['bbox'])
    elif task == 'seg':
        long, short = config.image_scale
        steps = [
            v2.RandomShortestSize(list(range(short // 2, 2 * short + 1)), max_size=2 * long),
            v2.RandomCrop(config.crop_size, pad_if_needed=True),
            v2.RandomHorizontalFlip(),
            v2.RandomPhotometricDistort(),
            v2.ToDtype({tv_tensors.Mask: torch.int64, 'others': None}),
        ]
    else:
        steps = [
            v2.RandomResizedCrop(
                config.image_size, scale=config.crop_ratio_range, interpolation=bicubic
            ),
            v2.RandomHorizontalFlip(),
        ]
    transform = v2.Compose(steps)

    class Images(torch.utils.data.Dataset):
        def __len__(self):
            return len(paths)

        def __getitem__(self, index):
            image = tv_tensors.Image(decode_image(str(paths[index]), ImageReadMode.RGB))
            if task == 'cls':
                return transform(image), 0
            if task == 'seg':
                mask = decode_image(str(root / 'm' / f'{paths[index].stem}.png'))
                return transform(image, tv_tensors.Mask(mask[0]))
            target = tv_tensors.BoundingBoxes(
                torch.tensor(boxes[index + 1]), format='XYWH', canvas_size=image.shape[1:]
            )
            return transform(image, target)

    return Images()


def write(root: Path, task: str, width: int, height: int, number: int) -> Path:
    """Write JPEGs that take the room of photographs, with boxes, masks or classes."""
    import cv2
    import numpy as np

    random = np.random.default_rng(0)
    folder = root / 'i' / ('0' if task == 'cls' else '')
    folder.mkdir(parents=True)
    for index in range(number):
        image = photograph(random, width, height)
        cv2.imwrite(str(folder / f'{index:03}.jpg'), image, [cv2.IMWRITE_JPEG_QUALITY, 92])
    if task == 'cls':
        (root / 'i' / '1').mkdir()
        (folder / '000.jpg').rename(root / 'i' / '1' / '000.jpg')
    if task == 'seg':
        (root / 'm').mkdir()
        names = '\n'.join(f'class {i}' for i in range(CLASSES))
        (root / 'classes.txt').write_text(names)
        for index in range(number):
            mask = random.integers(0, CLASSES, (9, 12), np.uint8)
            mask = cv2.resize(mask, (width, height), interpolation=cv2.INTER_NEAREST)
            cv2.imwrite(str(root / 'm' / f'{index:03}.png'), mask)
    if task == 'det':
        sides = np.array([width, height])
        images, annotations = [], []
        for index in range(number):
            images.append(
                dict(id=index + 1, width=width, height=height, file_name=f'{index:03}.jpg')
            )
            for _ in range(7):  # as in COCO
                size = random.uniform(0.07, 0.5, 2) * sides
                box = [*(random.uniform(0, 1, 2) * (sides - size)), *size]
                annotations.append(
                    dict(id=len(annotations) + 1, image_id=index + 1, iscrowd=0)
                    | dict(category_id=len(annotations) % CLASSES + 1, bbox=box)
                    | dict(area=size.prod())
                )
        categories = [dict(id=i + 1, name=f'class {i}') for i in range(CLASSES)]
        content = dict(images=images, annotations=annotations, categories=categories)
        (root / 'a.json').write_text(json.dumps(content))
    return root


def photograph(random, width: int, height: int):
    """Noise at every scale, as photographs have it: about 4 bits a pixel at quality 92."""
    import cv2
    import numpy as np

    image = np.zeros((height, width, 3), np.float32)
    for k in (1, 2, 4, 8, 32, 128):
        shape = (height // k + 2, width // k + 2, 3)
        noise = random.standard_normal(shape, np.float32)
        image += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC) * k**0.55
    return np.clip(128 + 50 * image / image.std(), 0, 255).astype(np.uint8)


if __name__ == '__main__':
    main()
