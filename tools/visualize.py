"""See the model: python tools/visualize.py CHECKPOINT images/ --out shown"""

import argparse


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Draw feature maps, attention, Grad-CAM and principal components of images.'
    )
    parser.add_argument(
        'model',
        help='a .pth file, a folder that tools/publish_model.py wrote, a config, or a timm name',
    )
    parser.add_argument('inputs', nargs='+', metavar='INPUT', help='image, folder, glob or video')
    parser.add_argument('--out', required=True, metavar='DIR', help='where the pictures go')
    parser.add_argument(
        '--what',
        nargs='+',
        metavar='KIND',
        help='features, attention, gradcam, pca (default: all that the model has)',
    )
    one = parser.add_argument_group('Grad-CAM')
    one.add_argument(
        '--classes', nargs='+', metavar='NAME', help='to score (default: those found in an image)'
    )
    one.add_argument('--score', type=float, default=0.3, help='of detections that count (0.3)')
    two = parser.add_argument_group('attention')
    two.add_argument(
        '--block',
        type=int,
        metavar='N',
        help='from 0, or negative from the last (default: the last)',
    )
    two.add_argument('--rollout', action='store_true', help='through all blocks, of plain ViTs')
    three = parser.add_argument_group('features and principal components')
    three.add_argument(
        '--channels', type=int, default=4, metavar='N', help='of each map, that vary most (4)'
    )
    three.add_argument('--neck', action='store_true', help="features of the neck's maps too")
    three.add_argument(
        '--pca-level', type=int, default=-1, metavar='N', help='which map (default: -1, the last)'
    )
    three.add_argument(
        '--foreground', action='store_true', help='found by the first component, coloured alone'
    )
    four = parser.add_argument_group('the model')
    four.add_argument(
        '--weights', metavar='FILE', help="of a timm name; or none (default: timm's, from its hub)"
    )
    four.add_argument(
        '--size', type=int, metavar='PIXELS', help='shorter side of images for a timm name'
    )
    four.add_argument('--device', default='auto', help='auto, cpu, cuda, cuda:1, …')
    four.add_argument('--amp', action='store_true', help='mixed precision (bfloat16)')
    four.add_argument('--config', help='a config file (default: the one in the checkpoint)')
    four.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='change the config')
    five = parser.add_argument_group('pictures')
    five.add_argument(
        '--side', type=int, default=256, metavar='PIXELS', help='longer side of each (256)'
    )
    five.add_argument('--alpha', type=float, default=0.5, help='of colours over the image (0.5)')
    five.add_argument('--tensorboard', metavar='DIR', help='an event file with the pictures')
    five.add_argument(
        '--show', action='store_true', dest='show_windows', help='open a window for each sheet'
    )
    five.add_argument(
        '--skip-bad', action='store_true', help='pass over what cannot be read, and count it'
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Heavy imports come after the arguments, so that --help answers at once.
    from vitmm.apis.cli import run, settings_of

    def job() -> None:
        from vitmm.apis.visualize import visualize

        print(visualize(**settings_of(args)))

    run(job)


if __name__ == '__main__':
    main()
