"""What TimmBackbone costs beside the bare timm model: forward and backward, as a ratio.

python benchmarks/overhead.py [NAMES ...]     # the same maps of the same model, taken in turn
python benchmarks/overhead.py --families      # the smallest model of each of timm's model files
"""

import argparse
import csv
import statistics
import time
from pathlib import Path

from sides import now

LARGEST = 448  # pixels; some models were made for images that take much memory
ATLAS = Path(__file__).resolve().parent.parent / 'docs' / 'backbones.csv'

DEFAULT = (
    'vit_small_patch16_224',
    'swin_tiny_patch4_window7_224',
    'convnext_tiny',
    'resnet50',
    'efficientnet_b0',
    'maxvit_rmlp_pico_rw_256',
    'beit_base_patch16_224',
)


def main() -> None:
    parser = argparse.ArgumentParser(description='Time TimmBackbone against the bare timm model.')
    parser.add_argument('names', nargs='*', default=DEFAULT)
    parser.add_argument('--families', action='store_true', help='one model of each model file')
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=12, help='at least so many pairs a model')
    parser.add_argument('--seconds', type=float, default=10, help='and for at least so long')
    args = parser.parse_args()
    if args.families:
        args.names = smallest_of_each_file()

    import torch

    from vitmm.models import TimmBackbone

    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    print(
        f'{device}, {torch.get_num_threads()} threads, batch {args.batch}, '
        f'native size (at most {LARGEST} pixels where it may change)\n'
    )
    print('| model | bare timm, ms | TimmBackbone, ms | ratio (median of pairs) | spread |')
    print('| --- | ---: | ---: | ---: | --- |')
    for name in args.names:
        backbone = TimmBackbone(name).train().to(device)
        size = backbone.canvas.native
        if backbone.canvas.policy in ('any', 'cells'):
            size = tuple(min(side, LARGEST) for side in size)
        images = torch.randn(args.batch, 3, *size, device=device)

        def ours(backbone=backbone, images=images):
            return backbone(images)

        def bare(backbone=backbone, images=images):
            return backbone.model.forward_intermediates(
                images, indices=backbone._indices, stop_early=True, intermediates_only=True
            )

        for function in (ours, bare):
            once(function, backbone, device)
        pairs, start = [], time.perf_counter()
        while len(pairs) < args.rounds or time.perf_counter() - start < args.seconds:
            # Who goes first alternates, so that neither has the warmer cache.
            turns = (ours, bare) if len(pairs) % 2 else (bare, ours)
            pair = [once(function, backbone, device) for function in turns]
            pairs.append(pair if len(pairs) % 2 else pair[::-1])
        ratios = sorted(a / b for a, b in pairs)
        quarter = len(ratios) // 4
        print(
            f'| {name} | {1e3 * statistics.median(b for _, b in pairs):.0f} '
            f'| {1e3 * statistics.median(a for a, _ in pairs):.0f} '
            f'| {statistics.median(ratios):.3f} '
            f'| {ratios[quarter]:.3f} to {ratios[-1 - quarter]:.3f} |',
            flush=True,
        )


def smallest_of_each_file() -> list[str]:
    """The architecture with the fewest parameters of each of timm's model files, by the atlas."""
    import timm

    with ATLAS.open(newline='') as table:
        sizes = {row['name']: float(row['parameters']) for row in csv.DictReader(table)}
    files = {file: timm.list_models(module=file) for file in sorted(timm.list_modules())}
    measured = {file: [n for n in names if n in sizes] for file, names in files.items()}
    return [min(names, key=sizes.get) for names in measured.values() if names]


def once(function, backbone, device: str) -> float:
    """Seconds of one forward and backward pass: on a CPU, its own time only."""
    backbone.zero_grad(set_to_none=True)
    start = now(device)
    sum(m.float().mean() for m in function()).backward()
    return now(device) - start


if __name__ == '__main__':
    main()
