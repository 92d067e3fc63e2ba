"""Try models on images in the browser: python tools/demo_app.py [CHECKPOINT ...]"""

import argparse


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Try models on images in the browser.')
    parser.add_argument(
        'checkpoints',
        nargs='*',
        metavar='CHECKPOINT',
        help='.pth files, folders that tools/publish_model.py wrote, or folders that hold any '
        'of these (default: work_dirs)',
    )
    parser.add_argument('--port', type=int, default=7860, metavar='N')
    parser.add_argument(
        '--host',
        default='127.0.0.1',
        help='the address to listen at; 0.0.0.0 lets the whole network in (default: 127.0.0.1)',
    )
    parser.add_argument('--device', default='auto', help='auto, cpu, cuda, cuda:1, …')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Heavy imports come after the arguments, so that --help answers at once.
    from vitmm.apis.cli import run

    def job() -> None:
        from vitmm.apis.demo import demo

        demo(args.checkpoints or ['work_dirs'], host=args.host, port=args.port, device=args.device)

    run(job)


if __name__ == '__main__':
    main()
