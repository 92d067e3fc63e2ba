"""One process of benchmarks/memory.py, which starts it: trains, and measures while it does."""

import argparse
import json
from pathlib import Path

RECIPE = Path(__file__).resolve().parent.parent / 'configs' / 'det' / 'vit_retinanet.py'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('job', type=json.loads, help='arguments of vitmm.apis.train.train, in JSON')
    parser.add_argument('size', type=int, help='pixels of an image')
    args = parser.parse_args()

    import measure_hook  # noqa: F401  (registers itself)

    from vitmm.apis.train import train
    from vitmm.compat.distributed import end_dist

    args.job['options']['train_dataloader.dataset.pipeline'] = [
        dict(type='vitmm.LoadImage', channels=3, max_value=None),
        dict(type='mmdet.LoadAnnotations', with_bbox=True),
        dict(type='mmdet.Resize', scale=(args.size, args.size), keep_ratio=False),
        dict(type='mmdet.PackDetInputs'),
    ]
    train(RECIPE, launcher='pytorch', **args.job)
    end_dist()


if __name__ == '__main__':
    main()
