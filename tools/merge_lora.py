"""Merge a LoRA checkpoint into its plain model: python tools/merge_lora.py CHECKPOINT [OUT]"""

import argparse
import shlex


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Merge the LoRA adapters of a checkpoint.')
    parser.add_argument('checkpoint', help='a .pth file of a run with model.backbone.lora')
    parser.add_argument('out', nargs='?', help='default: merged.pth beside the checkpoint')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Heavy imports come after the arguments, so that --help answers at once.
    from vitmm.apis.cli import run

    def job() -> None:
        from vitmm.apis.merge import merge_checkpoint

        out = merge_checkpoint(args.checkpoint, args.out)
        print(shlex.join(['python', 'tools/test.py', str(out.with_suffix('.py')), str(out)]))

    run(job)


if __name__ == '__main__':
    main()
