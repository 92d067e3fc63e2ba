"""Whole training iterations beside what people would use instead, as ratios.

python benchmarks/iterations.py [ROWS ...] [--iterations 15] [--rounds 3] [--json FILE]
python benchmarks/iterations.py 'det/*' --switches amp compile --ours train_dataloader.batch_size=8
python benchmarks/iterations.py --full-size --precision bf16 --switches compile     # on a GPU
python benchmarks/iterations.py '* / OpenMMLab' --validation
python benchmarks/iterations.py --epochs 5

Data, forward, backward, optimiser and hooks, on the embedded data set, or with models and images as
people train them (full_size.py). vitmm runs a recipe as
tools/train.py does; its peer is the same recipe in stock OpenMMLab parts (stock.py), torchvision's
detector or timm's classifier in their own loops (loops.py). Each run is a process of its own; sides
take turns. A ratio is vitmm's time by the peer's, median of pairs with quartiles: below 1, vitmm is
faster; CPU time is the main process's own, which others on the machine disturb less. "data" is the
share of the iteration that waits for the loader; the first iteration's end is counted from the
command; the peak on a CPU is the whole main process. With --validation it is each image of a whole
validation after one batch of training: data, predictions and metric; RetinaNet takes all scores, as
if it had learnt to find something.
With --epochs it is each of so many short epochs, from the end of a validation to the end of the
next: a few iterations, a few images of validation, and what comes between; "data" is the time
before the first batch.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sides import chosen, exit_for_ours, print_head, print_row, reason, shown, write_json

from vitmm.apis.compare.spread import spread

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / 'configs'
SMALL_SWIN = dict(embed_dims=48, depths=(2, 2, 2, 2), num_heads=(2, 4, 8, 16), drop_path_rate=0.1)
ATTO = dict(type='mmpretrain.ConvNeXt', arch='atto')
# The recipe of a row, and the stock backbone in its place or what the peer's loop is told.
STOCK = {
    'det/convnext_retinanet': dict(**ATTO, out_indices=(1, 2, 3), gap_before_final_norm=False),
    'det/swin_faster_rcnn': dict(type='mmdet.SwinTransformer', out_indices=(1, 2, 3), **SMALL_SWIN),
    'det/convnext_mask_rcnn': dict(**ATTO, out_indices=(1, 2, 3), gap_before_final_norm=False),
    'seg/convnext_fcn': dict(**ATTO, out_indices=(0, 1, 2, 3), gap_before_final_norm=False),
    'seg/swin_upernet': dict(type='mmseg.SwinTransformer', **SMALL_SWIN),
    'cls/convnext_linear': ATTO,
    'cls/vit_linear': dict(
        type='mmpretrain.VisionTransformer',
        arch=dict(embed_dims=192, num_layers=6, num_heads=3, feedforward_channels=768),
    ),
}
TIMM = {
    'cls/convnext_linear': dict(model='convnext_atto', model_kwargs={}, scale=(0.7, 1)),
    'cls/vit_linear': dict(
        model='vit_tiny_patch16_224',
        model_kwargs=dict(depth=6, dynamic_img_size=True),
        scale=(0.7, 1),
    ),
}
HEADS = ('retinanet', 'faster_rcnn')  # of torchvision's, on --resnet
SHORT = 6  # iterations of an epoch with --epochs
ROWS = (
    *(f'{recipe} / OpenMMLab' for recipe in STOCK),
    *(f'{recipe} / timm' for recipe in TIMM),
    *(f'det/resnet_{head} / torchvision' for head in HEADS),
)
COLUMNS = (
    'recipe / peer',
    'ratio',
    'of CPU time',
    'vitmm, ms',
    'peer, ms',
    'data vitmm',
    'peer',
    'first iteration vitmm, s',
    'peer, s',
    'peak vitmm, MiB',
    'peer, MiB',
    'parameters vitmm, M',
    'peer, M',
    'note',
)


def main() -> None:
    import full_size
    import torch

    from vitmm.config import machine

    gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description='Time training iterations against peers.')
    parser.add_argument('rows', nargs='*', default=['*'], help='names of rows, or globs')
    parser.add_argument('--full-size', action='store_true', help='other rows: as people train')
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument('--validation', action='store_true', help='time a validation instead')
    instead.add_argument('--epochs', type=int, help='time so many short epochs instead')
    parser.add_argument('--iterations', type=int, default=40 if gpu else 15, help='that count')
    parser.add_argument('--warmup', type=int, default=20 if gpu else 5, help='before them')
    parser.add_argument('--rounds', type=int, default=3, help='pairs of runs')
    parser.add_argument('--batch', type=int, help="default: the recipe's; 2 for ResNets on a CPU")
    parser.add_argument('--size', type=int, help="longer side of the images; default: the recipe's")
    parser.add_argument(
        '--workers', type=int, help="of the loader, on both sides; default: 2, full-size: vitmm's"
    )
    parser.add_argument('--resnet', default='resnet50' if gpu else 'resnet18')
    parser.add_argument('--precision', choices=('fp32', 'bf16'), default='fp32')
    parser.add_argument('--threads', type=int, default=1, help='on a CPU')
    parser.add_argument('--ours', nargs='+', metavar='KEY=VALUE', help='--cfg-options of our side')
    parser.add_argument(
        '--switches', nargs='+', default=(), metavar='NAME[=VALUE]', help='of our train() besides'
    )
    parser.add_argument('--json', type=Path, help='write the figures there as well')
    args = parser.parse_args()
    if args.warmup < 1:
        parser.error('--warmup: the first iteration is never one that counts')
    rows = tuple(f'{row} / OpenMMLab' for row in full_size.OURS) if args.full_size else ROWS
    if args.epochs:
        args.warmup, args.iterations = 1, args.epochs
    if args.validation or args.epochs:
        rows = tuple(row for row in rows if row.endswith('OpenMMLab'))
    names = chosen(rows, args.rows)
    if args.workers is None:
        args.workers = machine.describe()['workers'] if args.full_size else 2
    device = 'cuda' if gpu else 'cpu'
    print(
        f'{device}, {args.precision}, {args.threads} threads, {args.workers} workers, '
        f'{args.iterations} iterations after {args.warmup}, {args.rounds} pairs of runs; '
        f'switches of vitmm: {", ".join(args.switches) or "none"}\n'
    )
    if args.validation and args.precision == 'bf16':
        print('MMEngine validates in fp32 whatever it trains in; vitmm as it trains.\n')
    print_head(COLUMNS)
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            figures.append({'row': name} | compare(name, args, device, Path(folder)))
            print_row(cells(figures[-1]))
    settings = {key: value for key, value in vars(args).items() if key not in ('json', 'rows')}
    write_json(args.json, settings | {'device': device}, figures)
    exit_for_ours(figures)


def compare(name: str, args: argparse.Namespace, device: str, folder: Path) -> dict:
    """Run both sides in turn."""
    import full_size
    from stock import write_stock

    recipe, peer = name.split(' / ')
    recipe_file, options, batch, size = settle(recipe, args, folder)
    plain = folder / 'stock.py'
    if peer == 'OpenMMLab':
        parts = full_size.STOCK[recipe] if args.full_size else {'backbone': STOCK[recipe]}
        try:
            write_stock(recipe_file, options, plain, **parts)
        except Exception as error:  # a row of its own, as those that fail when they run
            return {'error': f'the stock config: {reason(error)}'}
    job = dict(
        recipe=str(recipe_file),
        config=str(plain),
        data_root=options['data_root'],
        options=options,
        batch=batch,
        image_size=size,
        workers=args.workers,
        precision=args.precision,
        device=device,
        warmup=args.warmup,
        iterations=args.iterations,
        kind='epoch' if args.epochs else 'val' if args.validation else 'train',
    )
    ours = {**job, 'side': 'vitmm', 'own': list(args.ours or ()), 'switches': switches(args)}
    theirs = {**job, 'side': 'stock' if peer == 'OpenMMLab' else peer}
    if peer == 'timm':
        theirs |= TIMM[recipe]
    elif peer == 'torchvision':
        theirs |= dict(model=args.resnet, head=recipe.split('_', 1)[1])
    pairs = []
    for number in range(args.rounds):
        sides = {'vitmm': ours, 'peer': theirs}
        order = sorted(sides, reverse=number % 2 == 0)  # who goes first alternates
        pair = {}
        for who in order:
            pair[who] = run(sides[who], folder / f'run_{len(list(folder.iterdir()))}', args)
            if 'error' in pair[who]:
                return {'error': f'{who} fails: {pair[who]["error"]}'}
            told = f'{1e3 * pair[who]["seconds"]:.0f} ms, data {pair[who]["data"]:.1%}'
            print(f'{name}, pair {number + 1}, {who}: {told}', file=sys.stderr, flush=True)
        pairs.append(pair)
    medians = {
        who: {key: statistics.median(p[who][key] for p in pairs) for key in pairs[0][who]}
        for who in ('vitmm', 'peer')
    }
    ratio, cpu = (
        spread([p['vitmm'][key] / p['peer'][key] for p in pairs]) for key in ('seconds', 'cpu')
    )
    told = {'ratio': ratio, 'cpu': cpu, 'batch': batch, 'size': size, 'pairs': pairs}
    return told | medians


def write_small(folder: Path, task: str, split: str, number: int) -> dict:
    """Draw so many images of the embedded data set, for the split train or val, and a few of the
    other; returns the options that point to them.
    """
    from vitmm.datasets import write_shapes

    counts = dict(num_train=8, num_val=1, num_cls_train=64, num_cls_val=6)
    counts[f'num_cls_{split}' if task == 'cls' else f'num_{split}'] = number
    data = folder / '_'.join(['shapes', *map(str, counts.values())])
    with contextlib.redirect_stdout(sys.stderr):  # it says that it draws
        write_shapes(data, **counts)
    prepare = dict(type='vitmm.write_shapes', root=str(data), **counts)
    return {'data_root': str(data), 'prepare_data': prepare}


def settle(recipe: str, args: argparse.Namespace, folder: Path) -> tuple[Path, dict, int, int]:
    """Of a row, the recipe's file, the options with its data, the batch and the image size."""
    iterations = SHORT if args.epochs else args.warmup + args.iterations
    if args.full_size:
        import full_size

        given = (args.workers, args.batch, args.size)
        file, options, batch, size = full_size.prepare(recipe, folder, iterations, *given)
    else:
        file, options, batch, size = settle_small(recipe, args, folder, iterations)
    if args.validation:
        options |= {
            'train_cfg.max_epochs': 1,
            'train_dataloader.dataset.indices': batch,
            'val_dataloader.batch_size': batch,
            'val_dataloader.num_workers': args.workers,
        }
        if 'retinanet' in recipe:
            options |= {'model.test_cfg.score_thr': 0.0}
    if args.epochs:
        options |= {
            'train_cfg.max_epochs': args.warmup + args.epochs,
            'val_dataloader.num_workers': args.workers,
            'default_hooks.checkpoint.interval': -1,
            'default_hooks.checkpoint.save_best': None,
        }
    return file, options, batch, size


def settle_small(
    recipe: str, args: argparse.Namespace, folder: Path, iterations: int
) -> tuple[Path, dict, int, int]:
    """The same of a starter on the embedded data set."""
    task, file = recipe[:3], CONFIGS / f'{recipe}.py'
    batch = {'det': 4, 'seg': 4, 'cls': 32}[task]
    size = args.size or {'det': 224, 'seg': 160, 'cls': 96}[task]
    if 'resnet' in recipe:
        head = recipe.split('_', 1)[1]
        parts = (f'models/{head}', 'datasets/det/shapes', 'schedules/adamw', 'runtime/det')
        file = folder / f'resnet_{head}.py'
        file.write_text(
            f'_base_ = {[str(CONFIGS / "_base_" / f"{part}.py") for part in parts]}\n'
            f'model = dict(backbone=dict(model_name={args.resnet!r}))\n'
        )
        batch = 4 if args.resnet == 'resnet50' else 2
    batch = args.batch or batch
    # Some more than are used: the last batch of an orientation may stay unfilled.
    split = 'val' if args.validation else 'train'
    options = write_small(folder, task, split, batch * (iterations + 2))
    options |= {'image_size': size} if task == 'cls' else {'image_scale': (size, size)}
    options |= {'crop_size': (size, size)} if task == 'seg' else {}
    options |= {'train_dataloader.batch_size': batch, 'train_dataloader.num_workers': args.workers}
    return file, options, batch, size


def switches(args: argparse.Namespace) -> dict:
    """``compile=max`` is compile='max', and ``compile`` compile=True."""
    pairs = (switch.partition('=') for switch in args.switches)
    return {name: value if equals else True for name, equals, value in pairs}


def run(job: dict, work_dir: Path, args: argparse.Namespace) -> dict:
    """One side's run, from its start as a command."""
    work_dir.mkdir()
    report, log = work_dir / 'report.json', work_dir / 'log'
    job = {**job, 'work_dir': str(work_dir), 'report': str(report), 'started': time.time()}
    command = [sys.executable, str(ROOT / 'benchmarks' / 'one_run.py'), repr(job)]
    environment = {**os.environ, 'OMP_NUM_THREADS': str(args.threads)}
    # Cold: else a compiler finds what it made before.
    with log.open('w') as out, tempfile.TemporaryDirectory() as cold:
        environment |= {f'{name}_CACHE_DIR': cold for name in ('TORCHINDUCTOR', 'TRITON')}
        done = subprocess.run(command, stdout=out, stderr=out, env=environment, cwd=ROOT)
    if done.returncode or not report.exists():
        lines = log.read_text().strip().splitlines() or ['nothing was printed']
        return {'error': lines[-1][:160].replace('|', '/')}
    return json.loads(report.read_text())


def cells(row: dict) -> list[str]:
    """A row of the table."""
    if 'error' in row:
        return [row['row'], *['' for _ in COLUMNS[2:]], row['error']]
    sides = row['vitmm'], row['peer']
    millions = [f'{side["parameters"] / 1e6:.3f}' for side in sides]
    return [
        row['row'],
        shown(row['ratio']),
        shown(row['cpu']),
        *(f'{ms:.{0 if ms >= 100 else 1}f}' for ms in (1e3 * side['seconds'] for side in sides)),
        *(f'{side["data"]:.1%}' for side in sides),
        *(f'{side["first"]:.1f}' for side in sides),
        *(f'{side["mib"]:.0f}' for side in sides),
        *millions,
        f'batch {row["batch"]} of {row["size"]}',
    ]


if __name__ == '__main__':
    main()
