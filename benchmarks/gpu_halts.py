"""Where an iteration halts a GPU, as the GPU itself tells it: halts.py counts on a CPU what may.

python benchmarks/gpu_halts.py [CONFIGS ...]

torch warns of each operation for which the CPU waits (torch.cuda.set_sync_debug_mode); the warning
is counted for the library whose Python code asked for it. Those of a backward pass arrive where it
was called. torch names most of them, not all: what a kernel of another library waits for is unseen.
"""

import argparse
import contextlib
import io
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

from halts import COUNTED, DEFAULT, ROOT, WARM_UP, whose


class SyncWatch:
    """A context that counts torch's warnings of halts.

    Args:
        halts: what is counted in, by (whose code, place).
    """

    def __init__(self, halts: Counter) -> None:
        self.halts = halts
        self.catching = warnings.catch_warnings()

    def __enter__(self) -> 'SyncWatch':
        import torch

        self.catching.__enter__()
        warnings.simplefilter('always')  # each of them, not one a line of code
        warnings.showwarning = self.record
        torch.cuda.set_sync_debug_mode('warn')
        return self

    def __exit__(self, *about: object) -> None:
        import torch

        torch.cuda.set_sync_debug_mode('default')
        self.catching.__exit__(*about)

    def record(self, message: Warning | str, *about: object, **more: object) -> None:
        """Count a warning; torch gives it in the thread, and at the line, that asked."""
        if 'called a synchronizing' in str(message):
            self.halts[whose()] += 1


def main() -> None:
    parser = argparse.ArgumentParser(description='Count the halts of a GPU in an iteration.')
    parser.add_argument('configs', nargs='*', default=[ROOT / 'configs' / c for c in DEFAULT])
    args = parser.parse_args()
    import torch

    if not torch.cuda.is_available():
        sys.exit('error: there is no GPU here; benchmarks/halts.py counts on a CPU.')
    print(f'halts of the GPU in an iteration, means of {COUNTED}\n')
    print('| recipe | of vitmm and MMEngine | of the rest | most of them in |')
    print('| --- | ---: | ---: | --- |')
    for config in map(Path, args.configs):
        halts = count(config)
        own = sum(n for (owner, _), n in halts.items() if owner in ('vitmm', 'mmengine'))
        rest = sum(halts.values()) - own
        most = ', '.join(f'{place} ({n / COUNTED:g})' for (_, place), n in halts.most_common(6))
        print(
            f'| {config.parent.name}/{config.name} | {own / COUNTED:g} | {rest / COUNTED:g} '
            f'| {most} |',
            flush=True,
        )


def count(config: Path) -> Counter:
    """Halts by (whose code, place) over COUNTED iterations of a recipe."""
    from mmengine.hooks import Hook

    from vitmm.apis.launch import build_runner, prepare

    halts: Counter = Counter()

    class Count(Hook):
        priority = 'LOWEST'

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            if runner.iter >= WARM_UP:
                self.watch = SyncWatch(halts).__enter__()

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            if runner.iter >= WARM_UP:
                self.watch.__exit__(None, None, None)
            if runner.iter + 1 == WARM_UP + COUNTED:
                raise StopIteration

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        options = {'train_dataloader.num_workers': 0}
        runner = build_runner(prepare(config, options=options, work_dir=folder))
        runner.register_hook(Count())
        with contextlib.suppress(StopIteration):
            runner.train()
    return halts


if __name__ == '__main__':
    main()
