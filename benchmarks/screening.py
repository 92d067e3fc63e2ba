"""How many epochs of one training do fifty probes take? --mode probe against tools/train.py.

python benchmarks/screening.py [--recipe FILE] [--sample 10] [--epochs 6]

Fifty: the smallest model of each of fifty of timm's model files. A sample of them, from the cheap
to the dear, is probed and measured; the one in the middle is trained. Time is that of all
processors, of all processes.
"""

import argparse
import csv
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from overhead import ATLAS, smallest_of_each_file

ROOT = Path(__file__).resolve().parent.parent
FIFTY = 50


def main() -> None:
    parser = argparse.ArgumentParser(description='Time --mode probe against one training.')
    parser.add_argument('--recipe', type=Path, default=ROOT / 'configs/cls/convnext_linear.py')
    parser.add_argument('--sample', type=int, default=10, help='of the fifty (%(default)s)')
    parser.add_argument('--epochs', type=int, default=6, help='that are trained (%(default)s)')
    args = parser.parse_args()

    with ATLAS.open(newline='') as table:
        gflops = {row['name']: float(row['gflops_224'] or 'inf') for row in csv.DictReader(table)}
    fifty = sorted(smallest_of_each_file(), key=gflops.get)[:FIFTY]
    names = fifty[:: FIFTY // args.sample]
    middle = fifty[FIFTY // 2]
    with tempfile.TemporaryDirectory() as folder:
        probed = seconds(
            *('tools/compare.py', args.recipe, '--mode', 'probe', '--work-dir', f'{folder}/probe'),
            *('--backbones', *names),
        )
        short, whole = (
            seconds(
                *('tools/train.py', args.recipe, '--work-dir', f'{folder}/{epochs}'),
                '--cfg-options',
                *(f'model.backbone.model_name={middle}', f'train_cfg.max_epochs={epochs}'),
            )
            for epochs in (1, args.epochs)
        )
    each, epoch = probed / len(names), (whole - short) / (args.epochs - 1)
    start = short - epoch
    print(f'| {args.recipe.parent.name}/{args.recipe.name} | processor seconds |')
    print('| --- | ---: |')
    print(f'| a backbone probed and measured (mean of {len(names)}) | {each:.1f} |')
    print(f'| start of a training of {middle} | {start:.1f} |')
    print(f'| each of its epochs, validation included | {epoch:.1f} |')
    print(f'\nFifty take as long as {(FIFTY * each - start) / epoch:.0f} epochs.')


def seconds(*words: object) -> float:
    """Processor time of a tool; it ends this process where it fails."""
    command = [sys.executable, str(ROOT / words[0]), *map(str, words[1:])]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f'error: {" ".join(command)}\n{done.stdout[-2000:]}')
    return sum(getattr(after, of) - getattr(before, of) for of in ('ru_utime', 'ru_stime'))


if __name__ == '__main__':
    main()
