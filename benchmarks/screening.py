"""How many epochs of one training do fifty probes take? --mode probe against tools/train.py.

python benchmarks/screening.py [--recipe FILE] [--number 50] [--epochs 6]

Probes and measures the smallest model of each of so many of timm's model files, then trains the
one of the median GFLOPs. Probes that are done are not done again.
"""

import argparse
import csv
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from overhead import ATLAS, smallest_of_each_file

ROOT = Path(__file__).resolve().parent.parent
ENDED = re.compile(r'(probe|measure) (\S+): done, (\d+) s')


def main() -> None:
    parser = argparse.ArgumentParser(description='Time --mode probe against one training.')
    parser.add_argument('--recipe', type=Path, default=ROOT / 'configs/cls/convnext_linear.py')
    parser.add_argument('--number', type=int, default=50, help='of backbones (%(default)s)')
    parser.add_argument('--epochs', type=int, default=6, help='that are trained (%(default)s)')
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/screening'))
    args = parser.parse_args()

    with ATLAS.open(newline='') as table:
        gflops = {row['name']: float(row['gflops_224'] or 'inf') for row in csv.DictReader(table)}
    names = sorted(smallest_of_each_file(), key=gflops.get)[: args.number]
    median = names[len(names) // 2]
    told = run(
        'tools/compare.py',
        *(args.recipe, '--mode', 'probe', '--work-dir', args.work_dir / 'probe'),
        *('--backbones', *names),
    )
    took = {'probe': [], 'measure': []}
    for kind, _, seconds in ENDED.findall(told):
        took[kind].append(int(seconds))
    if len(took['probe']) < len(names):
        sys.exit(f'error: {len(took["probe"])} of {len(names)} probes ended here:\n{told[-2000:]}')

    short, whole = (
        train(args.recipe, median, epochs, args.work_dir / f'train_{epochs}')
        for epochs in (1, args.epochs)
    )
    epoch = (whole - short) / (args.epochs - 1)
    start = short - epoch
    print(f'| {len(names)} backbones | each, s | all, s | epochs of {median} in this time |')
    print('| --- | ---: | ---: | ---: |')
    both = [sum(pair) for pair in zip(*took.values(), strict=True)]
    for what, each in (('probed', took['probe']), ('probed and measured', both)):
        epochs = (sum(each) - start) / epoch
        print(f'| {what} | {statistics.median(each)} | {sum(each)} | {epochs:.0f} |')
    print(f'\nA training of {median}: {start:.1f} s, and {epoch:.1f} s for each epoch.')


def run(*words: object) -> str:
    """What a tool says; it ends this process where it fails."""
    command = [sys.executable, str(ROOT / words[0]), *map(str, words[1:])]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f'error: {" ".join(command)}\n{done.stdout[-2000:]}')
    return done.stdout


def train(recipe: Path, backbone: str, epochs: int, folder: Path) -> float:
    """Seconds of the whole process."""
    begun = time.perf_counter()
    run(
        'tools/train.py',
        *(recipe, '--work-dir', folder, '--cfg-options'),
        *(f'model.backbone.model_name={backbone}', f'train_cfg.max_epochs={epochs}'),
    )
    return time.perf_counter() - begun


if __name__ == '__main__':
    main()
