"""What --compile makes for images of many sizes: graphs, the wait for them, and the time it saves.

python benchmarks/graphs.py [NAMES ...] [--batch 8] [--backend inductor]

A backbone's forward and backward passes, compiled as vitmm.CompileHook does it and not, at eight
sizes: the first round makes the graphs, the second is timed. On a CPU nothing is compiled by
default (backend eager): only the graphs are counted.
"""

import argparse
import logging
import statistics
import time
from types import SimpleNamespace

from sides import wait

DEFAULT = (
    'vit_tiny_patch16_224',
    'convnext_atto',
    'resnet18',
    'swin_tiny_patch4_window7_224',
)
SIZES = (  # h, w
    (224, 224),
    (256, 320),
    (200, 300),
    (96, 352),
    (320, 320),
    (288, 416),
    (384, 256),
    (448, 352),
)


def main() -> None:
    import torch
    from torch._inductor.utils import fresh_inductor_cache  # also Triton's

    gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description='Count the graphs of compiled backbones.')
    parser.add_argument('names', nargs='*', default=DEFAULT)
    parser.add_argument('--batch', type=int, default=8 if gpu else 1)
    parser.add_argument(
        '--backend', default='inductor' if gpu else 'eager', help='of torch.compile'
    )
    args = parser.parse_args()
    device = 'cuda' if gpu else 'cpu'
    print(f'{device}, batch {args.batch}, {args.backend}, {len(SIZES)} sizes of images\n')
    print('| model | parts | graphs after 1 size | 2 | all | the first round, s | time / plain |')
    print('| --- | ---: | ---: | ---: | ---: | ---: | ---: |')
    for name in args.names:
        with fresh_inductor_cache():  # else the first round finds what others have compiled
            row = measure(name, args.batch, args.backend, device)
        made = row['graphs']
        print(
            f'| {name} | {row["parts"]} | {made[0]} | {made[1]} | {made[-1]} '
            f'| {row["first"]:.1f} | {row["ratio"]:.2f} |',
            flush=True,
        )


def measure(name: str, batch: int, backend: str, device: str) -> dict:
    """Graphs after each size; seconds of the first round; the second's time by the plain one's."""
    import torch
    import torch._dynamo
    from torch import nn
    from torch._dynamo.utils import counters

    from vitmm.engine import CompileHook
    from vitmm.models import TimmBackbone

    torch._dynamo.reset()
    plain, model = TimmBackbone(name), nn.Module()
    model.backbone = TimmBackbone(name)
    plain.to(device).train()
    model.to(device).train()
    told: list[str] = []
    log = SimpleNamespace(info=told.append)
    CompileHook(backend).before_run(SimpleNamespace(model=model, logger=log))
    counters.clear()
    start, graphs = time.perf_counter(), []
    for size in SIZES:
        seconds(model.backbone, size, batch, device)
        graphs.append(counters['stats']['unique_graphs'])
    first = time.perf_counter() - start
    for size in SIZES:  # warm, as the other side is
        seconds(plain, size, batch, device)
    ratios = []
    for size in SIZES:
        sides = [
            [seconds(b, size, batch, device) for _ in range(3)] for b in (model.backbone, plain)
        ]
        ratios.append(min(sides[0]) / min(sides[1]))
    if counters['stats']['unique_graphs'] > graphs[-1]:
        logging.warning('%s: sizes that were seen made graphs anew', name)
    return dict(
        parts=int(told[0].split()[1]), graphs=graphs, first=first, ratio=statistics.median(ratios)
    )


def seconds(backbone, size: tuple[int, int], batch: int, device: str) -> float:
    """Of a forward and a backward pass, in bfloat16 on a GPU."""
    import torch

    images = torch.randn(batch, 3, *size, device=device)
    wait(device)
    start = time.perf_counter()
    with torch.autocast(device, torch.bfloat16, enabled=device == 'cuda'):
        loss = sum(m.float().mean() for m in backbone(images))
    loss.backward()
    wait(device)
    return time.perf_counter() - start


if __name__ == '__main__':
    main()
