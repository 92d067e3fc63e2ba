"""What activation checkpointing saves: peak memory and time of a forward and backward pass.

python benchmarks/checkpointing.py [NAMES ...] [--size 512] [--batch 4]
"""

import argparse
import json
import subprocess
import sys

DEFAULT = (
    'vit_small_patch16_224',
    'swin_tiny_patch4_window7_224',
    'convnext_tiny',
    'resnet50',
    'hrnet_w18_small',
)


def main() -> None:
    parser = argparse.ArgumentParser(description='Measure activation checkpointing.')
    parser.add_argument('names', nargs='*', default=DEFAULT)
    parser.add_argument('--size', type=int, default=512)
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--one', choices=('off', 'on'), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.names[0], args.size, args.batch, args.one == 'on')))
        return
    print(f'batch {args.batch} of {args.size} x {args.size}\n')
    print('| model | peak, MiB | with checkpointing | saved | time |')
    print('| --- | ---: | ---: | ---: | ---: |')
    for name in args.names:
        plain, saving = (run(name, args, mode) for mode in ('off', 'on'))
        print(
            f'| {name} | {plain["mib"]:.0f} | {saving["mib"]:.0f} '
            f'| {1 - saving["mib"] / plain["mib"]:.0%} '
            f'| x {saving["seconds"] / plain["seconds"]:.2f} |',
            flush=True,
        )


def run(name: str, args: argparse.Namespace, mode: str) -> dict:
    """Measure in a process of its own: a process's peak never falls."""
    command = [sys.executable, __file__, name, '--one', mode]
    command += ['--size', str(args.size), '--batch', str(args.batch)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def measure(name: str, size: int, batch: int, checkpointing: bool) -> dict:
    """Peak memory above that of the model itself, in MiB, and seconds of the second pass."""
    import resource
    import time

    import torch

    from vitmm.models import TimmBackbone

    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    backbone = TimmBackbone(name, grad_checkpointing=checkpointing).train().to(device)
    images = torch.randn(batch, 3, size, size, device=device)
    for parameter in backbone.parameters():
        parameter.grad = torch.ones_like(parameter)  # ones are written, zeros only promised

    def resident() -> float:
        if device == 'cuda':
            return torch.cuda.max_memory_allocated() / 2**20
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    before = resident()
    for _ in range(2):
        start = time.perf_counter()
        sum(m.float().mean() for m in backbone(images)).backward()
        if device == 'cuda':
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
    return {'mib': resident() - before, 'seconds': seconds}


if __name__ == '__main__':
    main()
