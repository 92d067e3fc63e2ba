"""Predict images and videos: python tools/infer.py CHECKPOINT images/ --out results"""

import argparse


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Predict images, folders, globs and videos.')
    parser.add_argument(
        'checkpoint', help='a .pth file, or a folder that tools/publish_model.py wrote'
    )
    parser.add_argument('inputs', nargs='+', metavar='INPUT', help='image, folder, glob or video')
    parser.add_argument('--out', required=True, metavar='DIR', help='where the results go')
    parser.add_argument(
        '--formats',
        nargs='+',
        metavar='FORMAT',
        help='pictures, masks, coco, csv (default: what suits the task)',
    )
    parser.add_argument(
        '--score',
        type=float,
        default=0.3,
        help='pictures, masks and csv show detections above it, coco all (default: 0.3)',
    )
    parser.add_argument(
        '--ann', metavar='FILE.json', help='COCO annotations whose image and category ids to take'
    )
    parser.add_argument('--batch-size', type=int, default=8, metavar='N')
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda, cuda:1, …')
    parser.add_argument('--amp', action='store_true', help='mixed precision (bfloat16)')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    parser.add_argument(
        '--skip-bad', action='store_true', help='pass over what cannot be read, and count it'
    )
    parser.add_argument('--config', help='a config file (default: the one in the checkpoint)')
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='change the config')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Heavy imports come after the arguments, so that --help answers at once.
    from vitmm.apis.cli import run, settings_of
    from vitmm.collector import starting

    @starting()
    def job() -> None:
        from vitmm.apis.inference import infer

        print(infer(**settings_of(args)))

    run(job)


if __name__ == '__main__':
    main()
