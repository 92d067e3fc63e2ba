"""Look at what the network gets: python tools/browse_dataset.py configs/det/vit_retinanet.py"""

import argparse


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Draw images as they enter the network, with boxes, masks, labels or depth.'
    )
    parser.add_argument('config', help='a config file (.py or .yaml)')
    parser.add_argument('--data', help='another data set, as in tools/train.py')
    parser.add_argument('--split', choices=['train', 'val', 'test'], default='train')
    parser.add_argument('--number', type=int, default=16, metavar='N', help='images (default: 16)')
    parser.add_argument(
        '--out',
        metavar='DIR',
        help='pictures and sheet.jpg (default: work_dirs/<config name>/browse_<split>)',
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--tensorboard', metavar='DIR', help='an event file with the pictures')
    parser.add_argument('--show', action='store_true', help='open a window for each')
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='change the config')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Heavy imports come after the arguments, so that --help answers at once.
    from vitmm.apis.cli import run, settings_of

    def job() -> None:
        from vitmm.apis.browse_dataset import browse_dataset

        print(browse_dataset(**settings_of(args)))

    run(job)


if __name__ == '__main__':
    main()
