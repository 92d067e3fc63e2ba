"""Compare runs by their logs: python tools/analyze_logs.py work_dirs/a work_dirs/b"""

import argparse


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='How far, how well and how fast runs are, and their curves in one picture.'
    )
    parser.add_argument(
        'runs',
        nargs='+',
        metavar='RUN',
        help='a work dir, or a scalars.json; of several, what is no run is left out',
    )
    parser.add_argument(
        '--keys',
        nargs='+',
        metavar='KEY',
        help='what is drawn, e.g. loss bbox_mAP (default: usual)',
    )
    parser.add_argument('--out', metavar='FILE', help='curves: .png, .jpg, .pdf or .svg')
    parser.add_argument('--csv', metavar='FILE', help='every logged value')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Heavy imports come after the arguments, so that --help answers at once.
    from vitmm.apis.cli import run

    def job() -> None:
        from vitmm.apis.analyze_logs import analyze_logs

        print(analyze_logs(args.runs, keys=args.keys, out=args.out, csv_file=args.csv))

    run(job)


if __name__ == '__main__':
    main()
