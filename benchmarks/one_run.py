"""One side's training for some iterations, or its whole validation, in a process of its own.

python benchmarks/one_run.py "{'side': 'vitmm', ...}"     # iterations.py starts it
"""

import argparse
import ast
import itertools
import json
import math
import sys
import time
from pathlib import Path

from sides import peak_mib, wait


class EnoughError(Exception):
    """The iterations wanted are done."""


class Clock:
    """Times iterations: the wait for data up to ``begins``, everything up to ``ends``.

    On a GPU only the ends of the warm-up and of the whole wait for it, so that work may queue up as
    it does in a real run.

    Args:
        warmup: iterations before those that count.
        iterations: those that count; infinite for a validation, whose end is told.
        device: ``'cuda'`` or ``'cpu'``.
    """

    def __init__(self, warmup: int, iterations: float, device: str) -> None:
        self.warmup = warmup
        self.total = warmup + iterations
        self.device = device
        self.model = None
        self.begun: list[float] = []
        self.ended: list[float] = []
        self.mib = 0.0
        self.images: list[int] = []  # of batches, in a validation
        self.finished: float | None = None  # the validation, with its metric

    def begins(self) -> None:
        """The batch is there."""
        self.begun.append(time.perf_counter())

    def ends(self) -> None:
        """The iteration is over.

        Raises:
            EnoughError: it was the last.
        """
        done = len(self.ended) + 1
        if done in (1, self.warmup, self.total):
            wait(self.device)
        self.ended.append(time.perf_counter())
        self.mib = max(self.mib, peak_mib(self.device))  # where MMEngine logs, it is forgotten
        if done == 1:
            self.first = time.time()
        if done == self.warmup:
            self.own = time.process_time()
        if done == self.total:
            raise EnoughError

    def finishes(self) -> None:
        """All is validated, and measured by the metric.

        Raises:
            EnoughError: always.
        """
        wait(self.device)
        self.finished = time.perf_counter()
        raise EnoughError

    def report(self, started: float) -> dict:
        """Seconds of an iteration (real, and the main process's own of all processors), the share
        of waiting for data, seconds to the first one's end, memory. Of a validation, which ends
        with its metric, seconds of an image: mmseg takes images of any size one by one.
        """
        import statistics

        gpu = self.device == 'cuda'
        ends, begins = self.ended[self.warmup - 1 :], self.begun[self.warmup :]
        whole = (self.finished or ends[-1]) - ends[0]
        each = [b - a for a, b in itertools.pairwise(ends)]
        waited = sum(begin - end for begin, end in zip(begins, ends, strict=False))
        number = sum(self.images[self.warmup :]) if self.finished else len(each)
        return {
            'cpu': (time.process_time() - self.own) / number,
            'seconds': whole / number if gpu or self.finished else statistics.median(each),
            'data': waited / whole,
            'first': self.first - started,
            'mib': self.mib,
            'parameters': sum(p.numel() for p in self.model.parameters() if p.requires_grad),
        }


def hang_in(clock: Clock, kind: str) -> dict[str, str]:
    """Register a hook that runs last in every iteration of a kind, and one that runs first when a
    validation is done, before checkpoints are written; returns their types by name.

    Args:
        clock: told of them.
        kind: ``'train'``, ``'val'``, or ``'epoch'``: training and validation are one iteration,
            and what comes before its first batch is the wait for data.
    """
    from mmengine.hooks import Hook
    from mmengine.registry import HOOKS

    @HOOKS.register_module(force=True)  # again in a process that times again
    class ClockHook(Hook):
        priority = 'LOWEST'

        def before_train(self, runner) -> None:
            clock.model = runner.model

        def _before_iter(self, runner, batch_idx, data_batch=None, mode='train') -> None:
            if mode == kind == 'val':
                clock.images.append(len(data_batch['inputs']))
            if mode == kind or (kind, mode, batch_idx) == ('epoch', 'train', 0):
                clock.begins()

        def _after_iter(self, *args, mode='train', **kwargs) -> None:
            if mode == kind:
                clock.ends()

    @HOOKS.register_module(force=True)
    class EndHook(Hook):
        priority = 'VERY_HIGH'

        def after_val_epoch(self, *args, **kwargs) -> None:
            if kind == 'val':
                clock.finishes()
            elif kind == 'epoch':
                clock.ends()

    return {'clock': 'mmengine.ClockHook', 'end': 'mmengine.EndHook'}


def vitmm(job: dict, clock: Clock) -> None:
    """Our recipe, as tools/train.py runs it."""
    from vitmm.apis.cli import parse_options
    from vitmm.collector import starting

    with starting():
        from vitmm.apis.train import train

        hooks = hang_in(clock, job['kind'])
        options = job['options'] | parse_options(job['own'])
        options |= {f'default_hooks.{name}.type': kind for name, kind in hooks.items()}
        switches = {'amp': job['precision'] == 'bf16'} | job['switches']
        train(job['recipe'], work_dir=job['work_dir'], options=options, **switches)


def stock(job: dict, clock: Clock) -> None:
    """A plain config, as OpenMMLab's own tools/train.py runs it."""
    import vitmm  # noqa: F401  (their operators, where mmcv was not compiled)
    from mmengine.config import Config  # isort: skip
    from mmengine.runner import Runner

    config = Config.fromfile(job['config'])
    config.work_dir = job['work_dir']
    hooks = hang_in(clock, job['kind'])
    config.default_hooks.update({name: dict(type=kind) for name, kind in hooks.items()})
    if job['precision'] == 'bf16':
        config.optim_wrapper.update(type='AmpOptimWrapper', dtype='bfloat16')
    Runner.from_cfg(config).train()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    # JSON has no tuples, and configs need them.
    parser.add_argument('job', type=ast.literal_eval, help='a dict, as iterations.py writes it')
    job = parser.parse_args().job
    if job['side'] in ('vitmm', 'stock'):
        side = {'vitmm': vitmm, 'stock': stock}[job['side']]
    else:
        import loops

        side = getattr(loops, job['side'])
    counted = math.inf if job['kind'] == 'val' else job['iterations']
    clock = Clock(job['warmup'], counted, job['device'])
    try:
        side(job, clock)
    except EnoughError:
        Path(job['report']).write_text(json.dumps(clock.report(job['started'])))
    else:
        sys.exit(f'it ended after {len(clock.ended)} iterations')


if __name__ == '__main__':
    main()
