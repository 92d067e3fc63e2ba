"""How many architectures work, here and in mmpretrain's TIMMBackbone, at the same sizes.

python benchmarks/coverage.py              # all: about as long as make atlas
python benchmarks/coverage.py 'vit_*'      # some
"""

import argparse
import os
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from fnmatch import fnmatch
from multiprocessing import get_context

SIZES = ('native', (224, 352), (250, 333))


def main() -> None:
    parser = argparse.ArgumentParser(description='Count the backbones that run at several sizes.')
    parser.add_argument('names', nargs='*', default=['*'], help='names or globs')
    parser.add_argument('--workers', type=int, default=os.cpu_count())
    args = parser.parse_args()

    import timm
    from tqdm import tqdm

    names = [n for n in timm.list_models() if any(fnmatch(n, p) for p in args.names)]
    counts: Counter = Counter()
    with ProcessPoolExecutor(args.workers, get_context('spawn')) as pool:
        jobs = [pool.submit(try_both, name) for name in names]
        for job in tqdm(as_completed(jobs), total=len(jobs)):
            counts.update(job.result())
    print(f'of {len(names)} architectures of timm {timm.__version__}, one instance, meta device:\n')
    print('| images | vitmm TimmBackbone | mmpretrain TIMMBackbone(features_only=True) |')
    print('| --- | ---: | ---: |')
    for size in (*SIZES, 'all of these'):
        label = size if isinstance(size, str) else f'{size[0]} x {size[1]}'
        print(f'| {label} | {counts["vitmm", size]} | {counts["mmpretrain", size]} |')


def try_both(name: str) -> list[tuple]:
    """Which (who, size) pairs run, and give maps that cover the image."""
    import torch

    torch.set_num_threads(1)
    import timm
    from mmpretrain.models import TIMMBackbone

    from vitmm.models import TimmBackbone
    from vitmm.models.backbones.twin import skip_steps

    native = timm.get_pretrained_cfg(name).input_size[-2:]
    makers = {
        'vitmm': lambda: TimmBackbone(name),
        'mmpretrain': lambda: TIMMBackbone(name, features_only=True),
    }
    works = []
    for who, make in makers.items():
        try:
            with torch.device('meta'):
                model = make()
                model.eval()  # mmpretrain's returns None
            skip_steps(model)
        except Exception:  # each model fails in its own way; the count is what is wanted
            continue
        good = [size for size in SIZES if runs(model, native if size == 'native' else size)]
        works += [(who, size) for size in good]
        if len(good) == len(SIZES):
            works.append((who, 'all of these'))
    return works


def runs(model, size: tuple[int, int]) -> bool:
    """Whether the model takes images of this size without an error."""
    import torch

    try:
        with torch.no_grad():
            return bool(model(torch.empty(1, 3, *size, device='meta')))
    except Exception:  # see above
        return False


if __name__ == '__main__':
    main()
