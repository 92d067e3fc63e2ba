"""Measure every timm backbone, without weights or memory, and write the table of them.

python tools/backbone_atlas.py                   # all: docs/backbones.md and docs/backbones.csv
python tools/backbone_atlas.py 'vit_*' 'swin*'   # some: to the screen
"""

import argparse


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Measure timm backbones on the meta device.')
    parser.add_argument('names', nargs='*', help='names or globs of architectures (default: all)')
    parser.add_argument('--out', help='folder for backbones.md and .csv (default for all: docs)')
    parser.add_argument('--work-dir', default='work_dirs/atlas', help='where what is done is kept')
    parser.add_argument('--workers', type=int, help='processes (default: one a core)')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Heavy imports come after the arguments, so that --help answers at once.
    from vitmm.apis.cli import run

    def job() -> None:
        from vitmm.apis.atlas import make_atlas

        make_atlas(args.names, out=args.out, work_dir=args.work_dir, workers=args.workers)

    run(job)


if __name__ == '__main__':
    main()
