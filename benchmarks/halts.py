"""Where an iteration would halt a GPU: values that the CPU reads from tensors or sends it as lists.

python benchmarks/halts.py [CONFIGS ...]

Each of them makes the CPU wait until the GPU has got so far. On a GPU they are what torch warns of
(sync_watch.py). On a CPU they are counted in its place (vitmm/models/halts/reads.py), as far as a
CPU shows them: moving a batch to the GPU is none, with pinned memory.
"""

import argparse
import contextlib
import io
import sys
import tempfile
from collections import Counter
from pathlib import Path

from sync_watch import SyncWatch

ROOT = Path(__file__).resolve().parent.parent
DEFAULT = ('det/vit_retinanet.py', 'det/vit_faster_rcnn.py', 'seg/vit_upernet.py')
# What they read or make stays on the CPU: sizes of images, masks in memory that is pinned next.
STAYS = ('mmengine: stack_batch', 'vitmm: _cut')
OWNERS = ('vitmm', 'timm', 'mmdet', 'mmseg', 'mmpretrain', 'mmengine', 'mmcv', 'torch')
LOOKING_ON = {'mmcv_ops', 'reads.py', 'lists.py'}
WARM_UP, COUNTED = 2, 5


def main() -> None:
    parser = argparse.ArgumentParser(description='Count what would halt a GPU in an iteration.')
    parser.add_argument('configs', nargs='*', default=[ROOT / 'configs' / c for c in DEFAULT])
    args = parser.parse_args()
    print(f'halts in an iteration, means of {COUNTED}\n')
    print('| recipe | of vitmm and MMEngine | of the rest | most of them in |')
    print('| --- | ---: | ---: | --- |')
    for config in map(Path, args.configs):
        reads = count(config)
        own = sum(n for (owner, _), n in reads.items() if owner in ('vitmm', 'mmengine'))
        rest = sum(reads.values()) - own
        most = ', '.join(f'{place} ({n / COUNTED:g})' for (_, place), n in reads.most_common(4))
        print(
            f'| {config.parent.name}/{config.name} | {own / COUNTED:g} | {rest / COUNTED:g} '
            f'| {most} |',
            flush=True,
        )


def count(config: Path) -> Counter:
    """Reads by (whose code, place) over COUNTED iterations of a recipe."""
    import torch
    from mmengine.hooks import Hook

    from vitmm.apis.launch import build_runner, prepare
    from vitmm.models.halts.reads import CountReads

    gpu = torch.cuda.is_available()
    reads: Counter = Counter()

    def note() -> None:
        if (asked := whose())[1] not in STAYS:
            reads[asked] += 1

    class Count(Hook):
        priority = 'LOWEST'

        def before_train(self, runner):
            if 'vitmm.models.halts.proposals' in sys.modules:
                from vitmm.models.halts import proposals

                proposals.by_level = proposals.at_once  # a GPU's way

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter >= WARM_UP:
                self.watch = (SyncWatch if gpu else CountReads)(note)
                self.watch.__enter__()

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.iter >= WARM_UP:
                self.watch.__exit__(None, None, None)
            if runner.iter + 1 == WARM_UP + COUNTED:
                raise StopIteration

    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(said):
        options = {'train_dataloader.num_workers': 0}
        runner = build_runner(prepare(config, options=options, work_dir=folder))
        runner.register_hook(Count())
        with contextlib.suppress(StopIteration):
            runner.train()
    return reads


def whose() -> tuple[str, str]:
    """The library whose code asked for the value, and where: the innermost frame that is none of
    torch's, of a stand-in for a compiled operator or of what looks on."""
    frame = sys._getframe(3)
    while frame:
        parts = Path(frame.f_code.co_filename).parts
        owner = next((part for part in reversed(parts) if part in OWNERS), None)
        if owner not in (None, 'torch') and not LOOKING_ON & {*parts}:
            return owner, f'{owner}: {frame.f_code.co_name}'
        frame = frame.f_back
    return 'torch', 'torch'


if __name__ == '__main__':
    main()
