"""Look a config over before training: python tools/check_config.py CONFIG"""

import argparse
import sys


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Look a config over before training.')
    parser.add_argument('config', help='a config file')
    parser.add_argument('--data', help='another data set, as in tools/train.py')
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='change the config')
    parser.add_argument(
        '--processes',
        type=int,
        metavar='N',
        help='how many will train (default: as the file is named, 8xb2, or one)',
    )
    parser.add_argument(
        '--deep',
        action='store_true',
        help='take a training step of made-up images, too: which parameters get no gradient',
    )
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Heavy imports come after the arguments, so that --help answers at once.
    from vitmm.apis.cli import parse_options, run

    def job() -> int:
        from vitmm.apis.check_config import check_config

        options = parse_options(args.cfg_options)
        found = check_config(args.config, args.data, options, args.processes, args.deep)
        for one in found:
            print(one)
        for one in found.left_out:
            print(f'not checked: {one}')
        count = f'{len(found)} finding{"s" * (len(found) > 1)}' if found else 'nothing found'
        print(f'{args.config}: {count}')
        return int(bool(found))

    sys.exit(run(job))


if __name__ == '__main__':
    main()
