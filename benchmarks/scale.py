"""What a long training costs on many GPUs, worked out from its parts: docs/scale.md.

python benchmarks/scale.py [--gpus 8 64] [--seconds 0.314] [--loader 100]

Multiply-adds and gradients are counted on the meta device, at ViTDet-B's settings
(https://arxiv.org/abs/2203.16527): Mask R-CNN, 1024 x 1024, windows of 14, 4 global blocks, batch
64, its 184,375 iterations (100 epochs of COCO). What a machine does in a second is given.
"""

import argparse
import math
from pathlib import Path

ROIS = 512  # of an image, in training
POSITIVE = 128  # of them, at most, with masks
# detectron2's seconds an image on an A100 (64 of them, batch 64):
# https://github.com/facebookresearch/detectron2/tree/main/projects/ViTDet
SIZES = (
    ('vit_base_patch16_224', 0.314),
    ('vit_large_patch16_224', 0.603),
    ('vit_huge_patch14_224', 1.098),
)
IMAGES, EPOCHS, VALIDATION = 118_000, 100, 5_000
# GB/s that a GPU sends and receives at once, between and inside machines of 8: what the links are
# sold as, of which NCCL reaches a good part.
LINKS = {
    'NVLink in each machine, 8 x 200 Gb/s between': 25.0,
    'one link of 100 Gb/s a machine': 12.5 / 8,
    'one link of 25 Gb/s a machine': 3.125 / 8,
}
INSIDE = 200.0


def main() -> None:
    parser = argparse.ArgumentParser(description='Work out what ViTDet-B costs on many GPUs.')
    parser.add_argument('--gpus', type=int, nargs='+', default=(8, 64))
    parser.add_argument('--batch', type=int, default=64, help='images an iteration, in all')
    parser.add_argument(
        '--seconds',
        type=float,
        default=SIZES[0][1],
        help="an image's training on one GPU (default: detectron2's, on 64 A100)",
    )
    parser.add_argument('--inference', type=float, default=0.079, help='likewise, its test')
    parser.add_argument('--peak', type=float, default=312, help='bf16 TFLOP/s of the GPU (A100)')
    parser.add_argument(
        '--loader', type=float, default=100, help='images a second and worker (loader.py)'
    )
    parser.add_argument('--metric', type=float, default=30, help='seconds of COCO evaluation')
    args = parser.parse_args()

    work, parameters = count(SIZES[0][0])
    total = sum(work.values())
    print('| part of ViTDet-B | multiply-adds of an image, forward (G) |\n| --- | ---: |')
    for part, number in work.items():
        print(f'| {part} | {number / 1e9:.0f} |')
    print(f'| all | {total / 1e9:.0f} |')
    flops = 2 * 3 * total  # the backward pass takes twice the forward
    print(
        f'\nTraining: {flops / 1e12:.2f} TFLOP an image; {args.seconds} s are '
        f'{flops / args.seconds / 1e12:.1f} TFLOP/s, {flops / args.seconds / args.peak / 1e12:.0%} '
        f'of {args.peak:.0f}. Gradients: {parameters / 1e6:.0f} M values, '
        f'{4 * parameters / 1e6:.0f} MB.\n'
    )
    print(
        '| GPUs | network | images a GPU | computing, s | all-reduce, s | hidden | iteration, s '
        '| days | images/s | workers a GPU |'
    )
    print('| ---: | --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |')
    for gpus in args.gpus:
        each = args.batch / gpus
        for name, between in (LINKS if gpus > 8 else {'NVLink': INSIDE}).items():
            computing = each * args.seconds
            sending = all_reduce(4 * parameters, gpus, between)
            behind = 2 / 3 * computing  # the backward pass
            iteration = max(computing, computing - behind + sending)
            steps = EPOCHS * IMAGES // args.batch
            rate = args.batch / iteration
            tests = VALIDATION * args.inference / gpus + args.metric
            days = (steps * iteration + 10 * tests) / 86400  # a validation every ten epochs
            print(
                f'| {gpus} | {name} | {each:g} | {computing:.3f} | {sending:.3f} '
                f'| {"yes" if sending <= behind else "no"} | {iteration:.3f} | {days:.2f} '
                f'| {rate:.0f} | {max(1, math.ceil(rate / gpus / args.loader))} |'
            )
    check()


def check() -> None:
    """Whether work tells time: the largest model's, from that of the two smaller ones."""
    works = [6 * sum(count(name)[0].values()) / 1e12 for name, _ in SIZES]
    (first, second, third), times = works, [seconds for _, seconds in SIZES]
    slope = (times[1] - times[0]) / (second - first)
    start = times[0] - slope * first
    print('\n| ViTDet | TFLOP an image | published, s | by the line through B and L, s |')
    print('| --- | ---: | ---: | ---: |')
    for (name, seconds), work in zip(SIZES, works, strict=True):
        print(f'| {name} | {work:.2f} | {seconds} | {start + slope * work:.3f} |')
    print(
        f'\nThe line: {start:.3f} s for what does not grow with the model, and {1 / slope:.0f} '
        f'TFLOP/s; the third is off by {(start + slope * third) / times[2] - 1:+.0%}.'
    )


def all_reduce(size: float, gpus: int, between: float) -> float:
    """Seconds: a ring inside each machine of 8, and one between them (each GPU an eighth)."""
    machines = max(1, gpus // 8)
    inside = 2 * (min(gpus, 8) - 1) / min(gpus, 8) * size / INSIDE
    across = 2 * (machines - 1) / machines * (size / 8) / between
    return (inside + across) / 1e9


def count(name: str) -> tuple[dict[str, int], int]:
    """Multiply-adds of each part of a ViTDet for one image, and its parameters."""
    import torch
    from mmdet.utils import register_all_modules
    from mmengine.config import Config
    from torch.utils.flop_counter import FlopCounterMode

    from vitmm.config import resolve
    from vitmm.registry import MODELS

    register_all_modules()
    base = Path(__file__).resolve().parent.parent / 'configs' / '_base_' / 'models' / 'vitdet.py'
    config = Config.fromfile(base).to_dict()
    config['model']['backbone'].update(
        model_name=name,
        out_norm='final',
        model_kwargs=dict(patch_size=16),  # of the huge one too, as ViTDet has it
    )
    for head in (config['model']['roi_head']['bbox_head'], config['mask_head']):
        head['num_classes'] = 80
    with torch.device('meta'):
        model = MODELS.build(resolve(Config(config)).model)
        model.requires_grad_(False)  # nothing is kept for a backward pass
        counted, given = {}, {}

        def measure(part, function, *inputs):
            with FlopCounterMode(display=False) as counter:
                given[part] = function(*inputs)
            counted[part] = counter.get_total_flops() // 2

        measure('backbone', model.backbone, torch.empty(1, 3, 1024, 1024))
        measure('pyramid', model.neck, given['backbone'])
        measure('RPN', model.rpn_head, given['pyramid'])
        channels = given['pyramid'][0].shape[1]
        measure('boxes', model.roi_head.bbox_head, torch.empty(ROIS, channels, 7, 7))
        measure('masks', model.roi_head.mask_head, torch.empty(POSITIVE, channels, 14, 14))
    return counted, sum(p.numel() for p in model.parameters())


if __name__ == '__main__':
    main()
