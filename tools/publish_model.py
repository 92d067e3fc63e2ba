"""Publish a checkpoint: python tools/publish_model.py CHECKPOINT OUT_DIR"""

import argparse
import shlex


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Write weights, config and model card of a checkpoint into a new folder.'
    )
    parser.add_argument('checkpoint', help='a .pth file')
    parser.add_argument('out', metavar='OUT_DIR', help='a folder that is not there, or empty')
    parser.add_argument('--licence', help='of the weights, for the card: apache-2.0, …')
    parser.add_argument('--config', help='a config file (default: the one in the checkpoint)')
    parser.add_argument('--cfg-options', nargs='+', metavar='KEY=VALUE', help='change the config')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Heavy imports come after the arguments, so that --help answers at once.
    from vitmm.apis.cli import run, settings_of

    def job() -> None:
        from vitmm.apis.publish import publish

        out = publish(**settings_of(args))
        print(f'{out}: model.safetensors, config.py, README.md')
        print(f'python tools/infer.py {shlex.quote(str(out))} IMAGES --out results')
        print(f'python tools/test.py {shlex.quote(str(out))}')

    run(job)


if __name__ == '__main__':
    main()
