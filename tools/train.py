"""Train a recipe: python tools/train.py configs/det/vit_retinanet.py"""

import argparse
import sys


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a recipe.')
    parser.add_argument(
        'config', help='a config file (.py or .yaml), e.g. configs/det/vit_retinanet.py'
    )
    parser.add_argument('--work-dir', help='where results go (default: work_dirs/<config name>)')
    parser.add_argument(
        '--resume',
        nargs='?',
        const=True,
        default=False,
        metavar='PATH',
        help='go on from the last whole checkpoint of the work dir, or from PATH',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision (bfloat16)')
    parser.add_argument('--compile', action='store_true', help="compile the backbone's blocks")
    parser.add_argument(
        '--channels-last', action='store_true', help='convolutions with channels last'
    )
    parser.add_argument(
        '--fsdp',
        action='store_true',
        help='spread parameters, gradients and optimiser over the processes (with --launcher)',
    )
    parser.add_argument(
        '--data', help='another data set: a name in configs/_base_/datasets/<task>/, or a file'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        metavar='KEY=VALUE',
        help='change the config, e.g. model.backbone.model_name=resnet18 data_root=data/mine',
    )
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument('--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Heavy imports come after the arguments, so that --help answers at once.
    from vitmm.apis.cli import run, settings_of
    from vitmm.collector import starting

    @starting()
    def job() -> None:
        from vitmm.apis.train import train

        train(**settings_of(args))

    try:
        run(job)
    except KeyboardInterrupt:  # the log has said what is done, and how to go on
        sys.exit(130)  # as the shell says it


if __name__ == '__main__':
    main()
