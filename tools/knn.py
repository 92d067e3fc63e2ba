"""Measure frozen features by their nearest neighbours: python tools/knn.py CONFIG [CHECKPOINT]"""

import argparse


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Classify by nearest neighbours, untrained.')
    parser.add_argument('config', help='a recipe of classification')
    parser.add_argument(
        'checkpoint', nargs='?', help="a .pth file; without one, the backbone's pretrained weights"
    )
    parser.add_argument(
        '--neighbours', type=int, nargs='+', default=[10, 20], metavar='K', help='(10 20)'
    )
    parser.add_argument(
        '--temperature', type=float, default=0.07, help='small ones count the nearest more (0.07)'
    )
    parser.add_argument('--work-dir', help='where logs go (default: work_dirs/<config name>)')
    parser.add_argument('--amp', action='store_true', help='mixed precision (bfloat16)')
    parser.add_argument(
        '--data', help='another data set: a name in configs/_base_/datasets/cls/, or a file'
    )
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='change the config')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Heavy imports come after the arguments, so that --help answers at once.
    from vitmm.apis.cli import run, settings_of

    def job() -> None:
        from vitmm.apis.knn import knn

        found = knn(**settings_of(args))
        for name, value in found.items():
            print(f'{name}: {value:.2f}')

    run(job)


if __name__ == '__main__':
    main()
