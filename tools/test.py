"""Evaluate a checkpoint: python tools/test.py CONFIG CHECKPOINT"""

import argparse
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Evaluate a checkpoint.')
    parser.add_argument(
        'config',
        help='the config that it was trained with, or a folder of tools/publish_model.py',
    )
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help="a .pth file, or none for a published folder; 'none' tests timm's own classifier as "
        'it is pretrained',
    )
    parser.add_argument('--work-dir', help='where logs go (default: work_dirs/<config name>)')
    parser.add_argument('--out', metavar='FILE.pkl', help='write the raw predictions')
    parser.add_argument('--show-dir', metavar='DIR', help='draw predictions into this folder')
    parser.add_argument(
        '--show-interval', type=int, metavar='N', help='draw one image of every N-th batch'
    )
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    parser.add_argument('--amp', action='store_true', help='mixed precision (bfloat16)')
    parser.add_argument(
        '--data', help='another data set: a name in configs/_base_/datasets/<task>/, or a file'
    )
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='change the config')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Heavy imports come after the arguments, so that --help answers at once.
    from vitmm.apis.cli import run, settings_of
    from vitmm.collector import starting
    from vitmm.errors import ConfigError

    @starting()
    def job() -> None:
        from vitmm.apis.test import test

        if args.checkpoint is None and not Path(args.config).is_dir():
            raise ConfigError(f'give a checkpoint after {args.config}.')
        args.checkpoint = None if args.checkpoint == 'none' else args.checkpoint
        test(**settings_of(args))

    run(job)


if __name__ == '__main__':
    main()
