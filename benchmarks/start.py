"""How long a start takes: --help, to the end of the first iteration, and a short command, whole.

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

MARK = 'first iteration ended at '  # as first_iteration.py says
ROOT = Path(__file__).resolve().parent.parent
DEFAULT = ('det/vit_retinanet.py', 'seg/vit_upernet.py', 'cls/vit_linear.py')
TRAIN = [sys.executable, str(ROOT / 'tools' / 'train.py')]
PRINT = [sys.executable, str(ROOT / 'tools' / 'print_config.py')]
LARGE = 'swin_base_patch4_window7_224'  # whose many operators are asked for their shapes
SWAP = ['--cfg-options', f'model.backbone.model_name={LARGE}']


def main() -> None:
    parser = argparse.ArgumentParser(description='Time the start of a run.')
    parser.add_argument('configs', nargs='*', default=[ROOT / 'configs' / name for name in DEFAULT])
    parser.add_argument('--repeats', type=int, default=5, help='of each, in turn')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            'import torch, torchvision': [sys.executable, '-c', 'import torch, torchvision'],
            'tools/train.py --help': [*TRAIN, '--help'],
            'tools/print_config.py, whole': [*PRINT, str(ROOT / 'configs' / DEFAULT[0])],
            f'the same of {LARGE}': [*PRINT, str(ROOT / 'configs' / DEFAULT[0]), *SWAP],
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
        print(f'| {name} | {total:.2f} | {max(more, 0):.2f} |')


def seconds(command: list[str]) -> float:
    """From the start of a process to the end of its first iteration, or else its own end."""
    paths = os.pathsep.join([str(ROOT / 'benchmarks'), os.environ.get('PYTHONPATH', '')])
    start = time.time()
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, 'PYTHONPATH': paths}, cwd=ROOT
    )
    end = time.time()
    if done.returncode:
        sys.exit(done.stderr)
    # The loader's workers outlive it for some seconds.
    told = [line for line in done.stdout.splitlines() if line.startswith(MARK)]
    return (float(told[0].removeprefix(MARK)) if told else end) - start


if __name__ == '__main__':
    main()
