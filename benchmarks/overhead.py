"""What TimmBackbone costs beside the bare timm model: forward and backward, as a ratio.

python benchmarks/overhead.py [NAMES ...]     # the same maps of the same model, taken in turn
"""

import argparse
import statistics
import time

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
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=12)
    args = parser.parse_args()

    import torch

    from vitmm.models import TimmBackbone

    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    print(f'{device}, {torch.get_num_threads()} threads, batch {args.batch}, native size\n')
    print('| model | bare timm, ms | TimmBackbone, ms | ratio (median of pairs) | spread |')
    print('| --- | ---: | ---: | ---: | --- |')
    for name in args.names:
        backbone = TimmBackbone(name).train().to(device)
        images = torch.randn(args.batch, 3, *backbone.canvas.native, device=device)

        def ours(backbone=backbone, images=images):
            return backbone(images)

        def bare(backbone=backbone, images=images):
            return backbone.model.forward_intermediates(
                images, indices=backbone._indices, stop_early=True, intermediates_only=True
            )

        for function in (ours, bare):
            once(function, backbone, device)
        pairs = [
            # Who goes first alternates, so that neither has the warmer cache.
            pair if i % 2 else pair[::-1]
            for i in range(args.rounds)
            for pair in [
                tuple(once(f, backbone, device) for f in ((ours, bare) if i % 2 else (bare, ours)))
            ]
        ]
        ratios = sorted(a / b for a, b in pairs)
        quarter = len(ratios) // 4
        print(
            f'| {name} | {1e3 * statistics.median(b for _, b in pairs):.0f} '
            f'| {1e3 * statistics.median(a for a, _ in pairs):.0f} '
            f'| {statistics.median(ratios):.3f} '
            f'| {ratios[quarter]:.3f} to {ratios[-1 - quarter]:.3f} |',
            flush=True,
        )


def once(function, backbone, device: str) -> float:
    """Seconds of one forward and backward pass."""
    import torch

    backbone.zero_grad(set_to_none=True)
    if device == 'cuda':
        torch.cuda.synchronize()
    start = time.perf_counter()
    sum(m.float().mean() for m in function()).backward()
    if device == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter() - start


if __name__ == '__main__':
    main()
