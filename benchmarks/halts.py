"""Where an iteration would halt a GPU, and how many operators it hands to it.

python benchmarks/halts.py [CONFIGS ...] [--batch N]

Values that the CPU reads from tensors, or sends it as lists: each makes it wait until the GPU has
got so far. On a GPU they are what torch warns of (sync_watch.py). On a CPU they are counted in its
place (vitmm/models/halts/reads.py), as far as a CPU shows them: moving a batch to the GPU is none,
with pinned memory. Operators are those of the whole iteration that compute or copy, a kernel each
at least; a GPU that waits has nothing to do until they come. "without" is without
vitmm.FewerHaltsHook.
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
    parser.add_argument('--batch', type=int, help="images of an iteration; default: the recipe's")
    args = parser.parse_args()
    print(f'in an iteration, means of {COUNTED}\n')
    print('| recipe | halts without | with | operators without | with | halts that are left |')
    print('| --- | ---: | ---: | ---: | ---: | --- |')
    for config in map(Path, args.configs):
        (before, many), (reads, fewer) = (count(config, args.batch, w) for w in (False, True))
        numbers = (sum(before.values()), sum(reads.values()), many, fewer)
        left = ', '.join(f'{place} ({n / COUNTED:g})' for (_, place), n in reads.most_common(4))
        cells = [
            f'{config.parent.name}/{config.name}',
            *(f'{n / COUNTED:g}' for n in numbers),
            left,
        ]
        print(f'| {" | ".join(cells)} |', flush=True)


def count(config: Path, batch: int | None, hooked: bool) -> tuple[Counter, int]:
    """Of COUNTED iterations of a recipe, halts by (whose code, place), and all operators.

    Args:
        config: the recipe's file.
        batch: images of an iteration; None: the recipe's own.
        hooked: whether it has vitmm.FewerHaltsHook.
    """
    import torch
    from mmengine.hooks import Hook

    from vitmm.apis.launch import build_runner, prepare
    from vitmm.models.halts.reads import CountReads

    gpu = torch.cuda.is_available()
    reads: Counter = Counter()
    operators: list[int] = []

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
                self.watches = contextlib.ExitStack()
                counts = self.watches.enter_context(CountReads(None if gpu else note))
                self.watches.callback(lambda: operators.append(counts.operators))
                if gpu:
                    self.watches.enter_context(SyncWatch(note))

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.iter >= WARM_UP:
                self.watches.close()
            if runner.iter + 1 == WARM_UP + COUNTED:
                raise StopIteration

    said = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(said):
        options = {'train_dataloader.num_workers': 0}
        options |= {} if hooked else {'default_hooks.fewer_halts': None}
        options |= {'train_dataloader.batch_size': batch} if batch else {}
        runner = build_runner(prepare(config, options=options, work_dir=folder))
        runner.register_hook(Count())
        with contextlib.suppress(StopIteration):
            runner.train()
    return reads, sum(operators)


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
