"""Images a second from files to results: vitmm beside OpenMMLab's own inferencers.

python benchmarks/inference.py [TASK ...] [--images 64] [--rounds 5] [--json FILE]

A starter's model with random weights predicts JPEGs: they are read, prepared and predicted, and the
results are kept ("predicted"), or pictures of them are written, too ("with pictures": 8 objects, or
specks of many classes). vitmm does it as tools/infer.py; its peer as OpenMMLab's demos, by
DetInferencer, MMSegInferencer or ImageClassificationInferencer, with the same recipe in stock parts
(stock.py). Each side is a process of one thread that has predicted some images already; sides take
turns. A ratio is vitmm's time by the peer's, median with quartiles: below 1, vitmm is faster.
"""

import argparse
import tempfile
import time
from pathlib import Path

from loader import CLASSES, CONFIGS, write
from sides import chosen, exit_for_ours, isolated, print_head, print_row, shown, write_json

from vitmm.apis.compare.spread import spread

# task -> recipe, its data set, the width and height of the images, options
TASKS = {
    'det': (
        'det/convnext_retinanet',
        'coco',
        (640, 480),
        {'image_scale': (320, 240), 'model.test_cfg.max_per_img': 8, 'model.test_cfg.nms_pre': 50},
    ),
    'seg': ('seg/convnext_fcn', 'folder', (640, 480), {'image_scale': (320, 240)}),
    'cls': ('cls/convnext_linear', 'imagefolder', (500, 375), {}),
}
KINDS = ('predicted', 'with pictures')
COLUMNS = ('task', 'ratio', 'vitmm, images/s', 'OpenMMLab, images/s', 'note')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('tasks', nargs='*', default=['*'], help='det, seg, cls')
    parser.add_argument('--images', type=int, default=64)
    parser.add_argument('--batch', type=int, default=8)
    parser.add_argument('--rounds', type=int, default=5, help='pairs of runs')
    parser.add_argument('--json', type=Path, help='write the figures there as well')
    args = parser.parse_args()
    figures = []
    print_head(COLUMNS)
    for task in chosen(list(TASKS), args.tasks):
        with tempfile.TemporaryDirectory() as folder:
            settled = isolated(prepare, task, Path(folder), args.images)
            for kind in KINDS:
                row = {'row': f'{task}, {kind}'}
                if 'error' in settled:
                    figures.append(row | {'error': f'vitmm fails: {settled["error"]}'})
                else:
                    figures.append(row | compare(task, kind, Path(folder), args))
                print_row(cells(figures[-1]))
    write_json(args.json, {'images': args.images, 'batch': args.batch}, figures)
    exit_for_ours(figures)


def compare(task: str, kind: str, folder: Path, args: argparse.Namespace) -> dict:
    """Both sides in turn."""
    pairs = []
    for number in range(args.rounds):
        pair = {}
        for who in sorted(('vitmm', 'peer'), reverse=number % 2 == 0):  # who goes first alternates
            told = isolated(predict, who, task, kind == 'with pictures', folder, args.batch)
            if 'error' in told:
                return {'error': f'{who} fails: {told["error"]}'}
            pair[who] = told['seconds'] / args.images
        pairs.append(pair)
    ratio = spread([pair['vitmm'] / pair['peer'] for pair in pairs])
    rates = {who: spread([1 / pair[who] for pair in pairs])['median'] for who in pairs[0]}
    return {'ratio': ratio, 'pairs': pairs} | rates


def prepare(task: str, folder: Path, count: int) -> dict:
    """Write images, and a config and a checkpoint of each side."""
    import numpy as np
    import torch
    from iterations import STOCK
    from mmengine.registry import MODELS, init_default_scope
    from stock import to_stock

    from vitmm.config import load_config, resolve

    recipe, data, (width, height), options = TASKS[task]
    write(folder / 'images', task, width, height, count)
    names = [f'class {number}' for number in range(CLASSES)]
    palette = np.random.default_rng(0).integers(0, 256, (CLASSES, 3)).tolist()
    drawn = {'classes': names, 'palette': palette}
    told = {'data': {'classes': names, 'num_classes': CLASSES}}
    config = resolve(load_config(CONFIGS / f'{recipe}.py', data=data, options=options), told)
    init_default_scope(config.default_scope)
    stock = to_stock(config, STOCK[recipe])
    loader = stock.test_dataloader
    loader.pop('collate_fn')  # the default, written in a way that inferencers do not read
    steps = loader.dataset.pipeline  # they leave out annotations where these have no scope
    loader.dataset.pipeline = [step for step in steps if 'Annotations' not in step.type]
    for who, settings in (('vitmm', config), ('peer', stock)):
        torch.manual_seed(0)
        model = MODELS.build(settings.model)
        model.init_weights()
        if task == 'det':  # boxes that are sure enough to be drawn
            torch.nn.init.zeros_(model.bbox_head.retina_cls.bias)
        meta = {'cfg': settings.pretty_text, 'dataset_meta': drawn}
        torch.save({'state_dict': model.state_dict(), 'meta': meta}, folder / f'{who}.pth')
        settings.dump(folder / f'{who}.py')
    return {}


def predict(who: str, task: str, pictures: bool, folder: Path, batch: int) -> dict:
    """Seconds from the first file to the last result, of a side that has predicted some before."""
    import torch

    torch.set_num_threads(1)
    side = ours if who == 'vitmm' else theirs
    files = sorted(map(str, (folder / 'images').rglob('*.jpg')))
    with tempfile.TemporaryDirectory() as out:
        work = side(task, folder, Path(out) if pictures else None, batch)
        work(files[: 2 * batch])
        begin = time.perf_counter()
        done = work(files)
        seconds = time.perf_counter() - begin
        drawn = len([*Path(out).rglob('*.jpg'), *Path(out).rglob('*.png')])
    if done != len(files) or (pictures and drawn != len(files)):
        raise RuntimeError(f'{done} results and {drawn} pictures of {len(files)} images')
    return {'seconds': seconds}


def ours(task: str, folder: Path, out: Path | None, batch: int):
    from vitmm.inference.inputs import Item, find_media
    from vitmm.inference.pictures import PictureWriter
    from vitmm.inference.predictor import Predictor

    predictor = Predictor(folder / 'vitmm.pth')
    writer = out and PictureWriter(out, predictor)

    def work(files: list[str]) -> int:
        count = 0
        for item, sample in predictor.predict(map(Item, find_media(files)), batch):
            if writer:
                writer.add(item, sample)
            count += 1
        return count

    return work


def theirs(task: str, folder: Path, out: Path | None, batch: int):
    from importlib import import_module

    config, checkpoint = str(folder / 'peer.py'), str(folder / 'peer.pth')
    place, name = {
        'det': ('mmdet.apis', 'DetInferencer'),
        'seg': ('mmseg.apis', 'MMSegInferencer'),
        'cls': ('mmpretrain.apis', 'ImageClassificationInferencer'),
    }[task]
    inferencer = getattr(import_module(place), name)(config, checkpoint)
    written = {'show_dir' if task == 'cls' else 'out_dir': str(out)} if out else {}

    def work(files: list[str]) -> int:
        found = inferencer(files, batch_size=batch, return_datasamples=True, **written)
        return len(found['predictions'] if isinstance(found, dict) else found)

    return work


def cells(row: dict) -> list[str]:
    """A row of the table."""
    if 'error' in row:
        return [row['row'], '', '', '', row['error']]
    return [row['row'], shown(row['ratio']), f'{row["vitmm"]:.1f}', f'{row["peer"]:.1f}', '']


if __name__ == '__main__':
    main()
