"""Export a model: python tools/export.py CHECKPOINT model.onnx --check images/"""

import argparse


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Write a model as one file, from raw images to results, for ONNX Runtime or '
        'torch.export.'
    )
    parser.add_argument(
        'checkpoint', help='a .pth file, or a folder that tools/publish_model.py wrote'
    )
    parser.add_argument('out', metavar='OUT', help='the file: *.onnx, or *.pt2 for torch.export')
    parser.add_argument('--format', choices=('onnx', 'torch'), help='default: by the suffix')
    parser.add_argument(
        '--size',
        nargs=2,
        type=int,
        metavar=('H', 'W'),
        help="pixels (default: what the recipe's test scales to)",
    )
    parser.add_argument(
        '--dynamic', action='store_true', help='any height and width in multiples of 32'
    )
    parser.add_argument('--fp16', action='store_true', help='weights and maps in float16')
    parser.add_argument(
        '--check',
        nargs='+',
        default=(),
        metavar='IMAGE',
        help='images, folders or globs to compare with PyTorch on; beyond tolerance it fails',
    )
    parser.add_argument('--config', help='a config file (default: the one in the checkpoint)')
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='change the config')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Heavy imports come after the arguments, so that --help answers at once.
    from vitmm.apis.cli import run, settings_of

    def job() -> None:
        from vitmm.apis.export import export

        print(export(**settings_of(args)))

    run(job)


if __name__ == '__main__':
    main()
