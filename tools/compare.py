"""Compare backbones under one recipe: python tools/compare.py RECIPE --backbones A B C

A table and one page, in work_dirs/compare/<recipe>/. What is done is kept: the same command goes on
where an interrupted one stopped.
"""

import argparse


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Compare backbones under one recipe.')
    parser.add_argument('recipe', help='a config file, e.g. configs/seg/vit_fcn.py')
    parser.add_argument(
        '--backbones', nargs='+', required=True, metavar='NAME', help='of timm.list_models()'
    )
    parser.add_argument('--seeds', nargs='+', type=int, default=[0], metavar='N', help='(0)')
    parser.add_argument(
        '--mode',
        choices=['train', 'test', 'measure', 'probe'],
        default='train',
        help='train, test and measure; only test --checkpoints and measure; only measure; or rank '
        'by a linear model on frozen features',
    )
    parser.add_argument(
        '--checkpoints',
        nargs='+',
        default=[],
        metavar='PATH',
        help='for --mode test, one a backbone: a .pth file or a work dir',
    )
    parser.add_argument(
        '--metric', help='to compare by (default: what picks the best checkpoint, as mIoU)'
    )
    parser.add_argument(
        '--data', help='another data set: a name in configs/_base_/datasets/<task>/, or a file'
    )
    parser.add_argument(
        '--work-dir',
        help='where all lands (default: work_dirs/compare/<recipe>, and -<mode> but to train)',
    )
    parser.add_argument('--gpus', type=int, default=1, metavar='N', help='for each training (1)')
    parser.add_argument('--amp', action='store_true', help='mixed precision (bfloat16)')
    parser.add_argument(
        '--samples', type=int, default=4, metavar='N', help='images drawn by each backbone (4)'
    )
    parser.add_argument(
        '--launcher',
        choices=['local', 'submitit', 'ray'],
        default='local',
        help='one job after the other here, or spread by Slurm (submitit) or Ray',
    )
    parser.add_argument(
        '--launcher-options',
        nargs='+',
        metavar='KEY=VALUE',
        help='e.g. slurm_partition=gpu timeout_min=600 (submitit), num_cpus=8 (ray)',
    )
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='change the config')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Heavy imports come after the arguments, so that --help answers at once.
    import sys
    from pathlib import Path

    from vitmm.apis.cli import parse_options, run, settings_of

    def job() -> dict:
        from vitmm.apis.compare.compare import compare

        args.launcher_options = parse_options(args.launcher_options)
        return compare(**settings_of(args))

    try:
        found = run(job)
    except KeyboardInterrupt:
        print('stopped: what is done is kept; the same command goes on from here.', file=sys.stderr)
        sys.exit(130)  # as the shell says it
    folder = Path(found['work_dir'])
    print((folder / 'compare.md').read_text())
    print(f'page: {folder / "compare.html"}')
    failed = [row['backbone'] for row in found['rows'] if row['errors']]
    if failed:
        sys.exit(f'error: failed in part or whole: {", ".join(failed)}')


if __name__ == '__main__':
    main()
