"""What activation checkpointing saves: peak memory and time of a forward and backward pass.

python benchmarks/checkpointing.py [NAMES ...] [--size 512] [--batch 4]
"""

import argparse

from one_pass import run

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
    args = parser.parse_args()
    print(f'batch {args.batch} of {args.size} x {args.size}\n')
    print('| model | peak, MiB | with checkpointing | saved | time |')
    print('| --- | ---: | ---: | ---: | ---: |')
    for name in args.names:
        plain, saving = (
            run(dict(model_name=name, grad_checkpointing=mode), args.size, args.batch)
            for mode in (False, True)
        )
        print(
            f'| {name} | {plain["mib"]:.0f} | {saving["mib"]:.0f} '
            f'| {1 - saving["mib"] / plain["mib"]:.0%} '
            f'| x {saving["seconds"] / plain["seconds"]:.2f} |',
            flush=True,
        )


if __name__ == '__main__':
    main()
