"""What windowed attention saves: time and peak memory beside all-global fused attention.

python benchmarks/windows.py [NAME] [--sizes 1024 1536] [--window 14] [--repeats 3]

The goal: time within 1.15 of the ratio of the multiply-adds, and never more memory. Memory is told
twice: the bytes of tensors (live_bytes.py), the same in every run, and that of the process.
"""

import argparse
import statistics

from one_pass import run


def main() -> None:
    import torch

    parser = argparse.ArgumentParser(description='Measure windowed attention.')
    parser.add_argument('name', nargs='?', default='vit_base_patch16_224')
    parser.add_argument('--sizes', type=int, nargs='+', default=(1024, 1536))
    parser.add_argument('--window', type=int, default=14)
    parser.add_argument('--repeats', type=int, default=3, help='runs of each, in turn')
    parser.add_argument('--batch', type=int, default=1)
    parser.add_argument('--precision', choices=('fp32', 'bf16'), default='fp32')
    args = parser.parse_args()
    print(
        f'{args.name}, batch {args.batch}, windows of {args.window}, {args.precision}, forward '
        'and backward\n'
    )
    print(
        '| image | global blocks | time | multiply-adds | time / these '
        '| tensors, MiB | all global | process, MiB | all global |'
    )
    print('| --- |' + ' ---: |' * 8)
    plain = dict(model_name=args.name)
    for size in args.sizes:
        ways = {n: {**plain, 'window_size': args.window, 'global_blocks': n} for n in (4, 0)}
        rounds = [
            {
                n: run(way, size, args.batch, args.precision)
                for n, way in {None: plain, **ways}.items()
            }
            for _ in range(args.repeats)
        ]
        live = rounds[0]  # on a GPU its tensors are what is measured
        if not torch.cuda.is_available():
            live = {
                n: run(way, size, args.batch, args.precision, live=True)
                for n, way in {None: plain, **ways}.items()
            }
        for number, way in ways.items():
            time = statistics.median(r[number]['seconds'] / r[None]['seconds'] for r in rounds)
            work = multiply_adds(way, size) / multiply_adds(plain, size)
            peak, whole = (max(r[n]['mib'] for r in rounds) for n in (number, None))
            tensors, all_tensors = (live[n]['mib'] for n in (number, None))
            print(
                f'| {size} x {size} | {number} | {time:.2f} | {work:.2f} | {time / work:.2f} '
                f'| {tensors:.1f} | {all_tensors:.1f} | {peak:.0f} | {whole:.0f} |',
                flush=True,
            )


def multiply_adds(settings: dict, size: int) -> int:
    """Of one image's forward pass, by torch's counter on the meta device."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from vitmm.models import TimmBackbone

    with torch.device('meta'):
        backbone = TimmBackbone(**settings).eval()
        backbone.freeze('all')
        with FlopCounterMode(display=False) as counter:
            backbone(torch.empty(1, backbone.in_chans, size, size))
    return counter.get_total_flops() // 2


if __name__ == '__main__':
    main()
