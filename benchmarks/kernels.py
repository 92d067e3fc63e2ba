"""What a training iteration is spent on: the kernels of a GPU, or the operators on a CPU.

python benchmarks/kernels.py [ROW] [--precision bf16] [--switches compile] [--stock]

A row of iterations.py --full-size under torch's profiler, vitmm's side or (--stock) the peer's. The
profiler makes the CPU slower, so that "busy" is the least that the GPU is busy.
"""

import argparse
import contextlib
import io
import sys
import tempfile
import time
from pathlib import Path

from sides import wait

ROW = 'det/vit_base_retinanet'


class Profiler:
    """Stands in for one_run.Clock: profiles some iterations instead of timing them all."""

    def __init__(self, warmup: int, iterations: int, device: str) -> None:
        from torch.profiler import ProfilerActivity, profile

        self.warmup, self.iterations, self.device = warmup, iterations, device
        self.done = 0
        kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device == 'cuda' else [])]
        self.profile = profile(activities=kinds)
        self.model = None

    def begins(self) -> None:
        """The batch is there: nothing to do."""

    def ends(self) -> None:
        """The iteration is over; raises one_run.EnoughError after the last."""
        from one_run import EnoughError

        self.done += 1
        if self.done == self.warmup:
            wait(self.device)
            self.profile.start()
            self.start = time.perf_counter()
        if self.done == self.warmup + self.iterations:
            wait(self.device)
            self.seconds = time.perf_counter() - self.start
            self.profile.stop()
            raise EnoughError

    def rows(self) -> list[tuple[str, float, int]]:
        """Names, ms an iteration, calls in all; the dearest first."""
        from torch.autograd import DeviceType

        found, gpu = [], self.device == 'cuda'
        for event in self.profile.key_averages():
            if event.is_user_annotation:  # a range of others
                continue
            if gpu and event.device_type == DeviceType.CUDA:
                spent = event.self_device_time_total
            elif not gpu and event.device_type == DeviceType.CPU:
                spent = event.self_cpu_time_total
            else:
                continue
            found.append((event.key, spent / 1e3 / self.iterations, event.count))
        return sorted(found, key=lambda row: -row[1])


def main() -> None:
    import full_size
    import one_run
    import torch
    from stock import write_stock

    from vitmm.config import machine

    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    parser = argparse.ArgumentParser(description='Profile training iterations.')
    parser.add_argument('row', nargs='?', default=ROW, choices=list(full_size.OURS), metavar='ROW')
    parser.add_argument('--iterations', type=int, default=5, help='that are profiled')
    parser.add_argument('--warmup', type=int, default=15, help='before them')
    parser.add_argument('--batch', type=int, help="default: the row's")
    parser.add_argument('--size', type=int, help="of the images; default: the row's")
    parser.add_argument('--workers', type=int, help="default: vitmm's")
    parser.add_argument('--precision', choices=('fp32', 'bf16'), default='fp32')
    parser.add_argument('--switches', nargs='+', default=(), metavar='NAME', help='of our train()')
    parser.add_argument('--stock', action='store_true', help='the side of stock OpenMMLab parts')
    parser.add_argument('--lines', type=int, default=25)
    args = parser.parse_args()
    workers = machine.describe()['workers'] if args.workers is None else args.workers
    profiler = Profiler(args.warmup, args.iterations, device)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        recipe, options, batch, size = full_size.prepare(
            args.row,
            Path(folder),
            args.warmup + args.iterations,
            workers,
            args.batch,
            args.size,
        )
        plain = Path(folder, 'plain.py')
        if args.stock:
            write_stock(recipe, options, plain, **full_size.STOCK[args.row])
        job = dict(
            recipe=str(recipe),
            config=str(plain),
            work_dir=f'{folder}/run',
            options=options,
            own=[],
            precision=args.precision,
            switches=dict.fromkeys(args.switches, True),
            kind='train',
        )
        try:
            (one_run.stock if args.stock else one_run.vitmm)(job, profiler)
        except one_run.EnoughError:
            pass
        else:
            sys.exit(f'an epoch has only {profiler.done} iterations')
    rows = profiler.rows()
    wall = 1e3 * profiler.seconds / args.iterations
    total = sum(spent for _, spent, _ in rows)
    busy = 'GPU' if device == 'cuda' else 'CPU'
    side = 'stock OpenMMLab parts' if args.stock else ' '.join(['vitmm', *args.switches])
    print(
        f'{args.row}, {side}, {args.precision}, batch {batch} of {size}: {wall:.1f} ms an '
        f'iteration under the profiler, {busy} busy {total / wall:.0%}\n'
    )
    print('| kernel | ms an iteration | share | calls |')
    print('| --- | ---: | ---: | ---: |')
    for name, spent, calls in rows[: args.lines]:
        shown = name.replace('|', '/')[:90]
        print(f'| `{shown}` | {spent:.2f} | {spent / total:.1%} | {calls / args.iterations:g} |')


if __name__ == '__main__':
    main()
