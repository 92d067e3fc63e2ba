"""Print the resolved config: python tools/print_config.py CONFIG"""

import argparse


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Print a config with every hole filled.')
    parser.add_argument('config', help='a config file')
    parser.add_argument('--data', help='another data set, as in tools/train.py')
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='change the config')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Heavy imports come after the arguments, so that --help answers at once.
    from vitmm.apis.cli import parse_options, run
    from vitmm.collector import starting

    @starting()
    def job() -> None:
        from vitmm.config import load_config, resolve
        from vitmm.config.paths import missing_explained

        config = load_config(args.config, args.data, parse_options(args.cfg_options))
        with missing_explained(config):
            print(resolve(config).pretty_text)

    run(job)


if __name__ == '__main__':
    main()
