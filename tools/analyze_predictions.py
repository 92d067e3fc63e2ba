"""What a model gets wrong: python tools/analyze_predictions.py CONFIG CHECKPOINT --out DIR"""

import argparse
from pathlib import Path


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Compare predictions with the truth: the worst images, the confusion matrix, '
        "COCO's error analysis."
    )
    parser.add_argument(
        'config',
        help='the config that it was trained with, or a folder of tools/publish_model.py',
    )
    parser.add_argument(
        'checkpoint',
        nargs='?',
        help="a .pth file, or none for a published folder; 'none' takes timm's own classifier as "
        'it is pretrained',
    )
    parser.add_argument('--out', required=True, metavar='DIR', help='report.html, pictures, tables')
    parser.add_argument('--split', choices=['val', 'test'], default='test')
    parser.add_argument(
        '--number', type=int, default=20, metavar='N', help='worst images to draw (default: 20)'
    )
    parser.add_argument(
        '--score',
        type=float,
        help='from which on detections (default: 0.3) or several labels (0.5) count',
    )
    parser.add_argument(
        '--iou',
        type=float,
        default=0.5,
        help='of masks, or else boxes: from which on a detection is right (default: 0.5)',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision (bfloat16)')
    parser.add_argument('--tta', action='store_true', help='test-time augmentation')
    parser.add_argument('--tensorboard', metavar='DIR', help='an event file with the pictures')
    parser.add_argument('--show', action='store_true', help='open a window for each worst image')
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
    from vitmm.errors import ConfigError

    def job() -> None:
        from vitmm.apis.predictions.analyze import analyze_predictions

        if args.checkpoint is None and not Path(args.config).is_dir():
            raise ConfigError(f'give a checkpoint after {args.config}.')
        args.checkpoint = None if args.checkpoint == 'none' else args.checkpoint
        said = analyze_predictions(**settings_of(args))
        if said:
            print(said)

    run(job)


if __name__ == '__main__':
    main()
