"""How long a start takes: --help, and from the command to the end of the first iteration.

python benchmarks/start.py [CONFIGS ...] [--repeats 5]

The goal: at most 3 s more than importing torch and torchvision; --help in 0.5 s.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEFAULT = ('det/vit_retinanet.py', 'seg/vit_upernet.py', 'cls/vit_linear.py')
TRAIN = [sys.executable, str(ROOT / 'tools' / 'train.py')]


def main() -> None:
    parser = argparse.ArgumentParser(description='Time the start of a run.')
    parser.add_argument('configs', nargs='*', default=[ROOT / 'configs' / name for name in DEFAULT])
    parser.add_argument('--repeats', type=int, default=5, help='of each, in turn')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            'import torch, torchvision': [sys.executable, '-c', 'import torch, torchvision'],
            'tools/train.py --help': [*TRAIN, '--help'],
        }
        for number, config in enumerate(map(Path, args.configs)):
            recipe = Path(folder) / f'recipe_{number}.py'
            recipe.write_text(
                f'_base_ = [{str(config.resolve())!r}]\n'
                "custom_imports = dict(imports=['first_iteration'])\n"
                "custom_hooks = [dict(type='mmengine.FirstIterationHook')]\n"
            )
            name = f'{config.parent.name}/{config.name}'
            commands[name] = [*TRAIN, str(recipe), '--work-dir', f'{folder}/run']
        for command in commands.values():  # files into the page cache, data sets onto the disk
            seconds(command)
        rounds = [{n: seconds(c) for n, c in commands.items()} for _ in range(args.repeats)]
    print('| command | seconds | more than importing torch and torchvision |')
    print('| --- | ---: | ---: |')
    for name in commands:
        total = statistics.median(r[name] for r in rounds)
        more = statistics.median(r[name] - r['import torch, torchvision'] for r in rounds)
        print(f'| {name} | {total:.2f} | {more:.2f} |')


def seconds(command: list[str]) -> float:
    """Of one process, from its start to its end."""
    paths = os.pathsep.join([str(ROOT / 'benchmarks'), os.environ.get('PYTHONPATH', '')])
    start = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, 'PYTHONPATH': paths}, cwd=ROOT
    )
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - start


if __name__ == '__main__':
    main()
