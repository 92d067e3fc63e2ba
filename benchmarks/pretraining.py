"""Does masked-image pretraining help? The same short fine-tuning from it and from nothing.

python benchmarks/pretraining.py [--seeds 0 1 2]: one run of configs/mim/vit_mae.py on the embedded
data set, then configs/cls/vit_linear.py from its checkpoint and from nothing, once a seed. Runs
that are done are not done again.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Fine-tuning after MAE and from nothing.')
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--epochs', type=int, default=1, help='of fine-tuning (%(default)s)')
    parser.add_argument('--pretraining', type=int, default=40, help='its epochs (%(default)s)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/pretraining'))
    return parser.parse_args()


def train(config: str, folder: Path, *options: str) -> None:
    """Train a recipe in a process of its own, unless it is done."""
    done = folder / 'done'
    if done.exists():
        return
    print(f'{folder.name} ...', file=sys.stderr, flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(ROOT / 'tools/train.py'), str(ROOT / config), '--resume']
    with (folder / 'output.txt').open('a') as output:
        code = subprocess.run(
            [*command, '--work-dir', str(folder), '--cfg-options', *options],
            stdout=output,
            stderr=subprocess.STDOUT,
        ).returncode
    if code:
        sys.exit(f'error: {config} failed; see {folder / "output.txt"}')
    done.touch()


def top1(folder: Path) -> float:
    """The accuracy after the last epoch, in percent."""
    log = max(folder.glob('*/vis_data/scalars.json'), key=lambda path: path.stat().st_mtime)
    scores = [json.loads(line) for line in log.read_text().splitlines()]
    return [entry['accuracy/top1'] for entry in scores if 'accuracy/top1' in entry][-1]


def main() -> None:
    args = parse_args()
    mae = args.work_dir / f'mae_{args.pretraining}'
    train('configs/mim/vit_mae.py', mae, f'train_cfg.max_epochs={args.pretraining}')
    starts = {
        'from nothing': (),
        'after MAE': (f'model.backbone.pretrained={mae}/epoch_{args.pretraining}.pth',),
    }
    print(f'| start | {" | ".join(f"seed {seed}" for seed in args.seeds)} | mean | spread |')
    print(f'| --- |{" ---: |" * (len(args.seeds) + 2)}')
    for name, options in starts.items():
        found = []
        for seed in args.seeds:
            folder = args.work_dir / f'{name.replace(" ", "_")}_{args.epochs}_seed_{seed}'
            train(
                'configs/cls/vit_linear.py',
                folder,
                f'train_cfg.max_epochs={args.epochs}',
                f'randomness.seed={seed}',
                *options,
            )
            found.append(top1(folder))
        spread = statistics.stdev(found) if len(found) > 1 else 0.0
        print(
            f'| {name} | {" | ".join(f"{value:.1f}" for value in found)} | '
            f'{statistics.mean(found):.1f} | {spread:.1f} |',
            flush=True,
        )
    print(
        f'\nTop-1 of configs/cls/vit_linear.py after {args.epochs} epochs on `shapes`; MAE for '
        f'{args.pretraining} epochs on the same images. Spread: the standard deviation.'
    )


if __name__ == '__main__':
    main()
