"""Running the jobs of a comparison: what is done stays done, a failure stops no other."""

import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from vitmm.apis.compare.jobs import Job
from vitmm.apis.compare.launchers import Handle, Local, Ray, Submitit, command
from vitmm.apis.compare.settings import Settings
from vitmm.whole_files import write_whole

_POLL = 0.3  # seconds
# How long the others take, where a training takes 1: for the time that is left.
_WEIGHTS = {'train': 1.0, 'test': 0.15, 'measure': 0.1, 'probe': 1.0}
_EPOCHS = re.compile(r'Epoch\(train\)\s+\[(\d+)\]\[\s*(\d+)/(\d+)\]')
_ITERS = re.compile(r'Iter\(train\)\s+\[\s*(\d+)/(\d+)\]')
_TAIL = 8192  # bytes of output that are looked at
_LATE = 10.0  # seconds until another machine's file is seen here, at most


@dataclass
class _Running:
    job: Job
    handle: Handle
    begun: float
    part: float = 0.0


def run_jobs(
    jobs: Sequence[Job],
    settings: Settings,
    launcher: Local | Submitit | Ray,
    epochs: int | None,
    after_each: Callable[[], None],
) -> None:
    """Run what is not done; show one line of the whole, and one for each job that ends.

    A measurement waits until nothing else runs, and then runs alone. A test waits for its training,
    and is left out where that failed.

    Args:
        jobs: all, in their order.
        settings: of the comparison.
        launcher: who runs them.
        epochs: of a training, for the progress; None where it is counted in iterations.
        after_each: called when a job has ended, to write what there is.

    Raises:
        KeyboardInterrupt: after what runs has been ended.
    """
    waiting = [job for job in jobs if job.done() is None]
    for job in waiting:  # what failed the last time is tried again: something may have been mended
        job.error.unlink(missing_ok=True)
    running: list[_Running] = []
    total = sum(_WEIGHTS[job.kind] for job in jobs)
    finished = total - sum(_WEIGHTS[job.kind] for job in waiting)
    live = sys.stderr.isatty()
    with tqdm(
        total=total,
        initial=finished,
        disable=not waiting,
        mininterval=0.2 if live else 60,
        smoothing=0,
        bar_format='{percentage:3.0f}%|{bar:20}| {elapsed}, {remaining} left{postfix}',
    ) as bar:
        try:
            while waiting or running:
                for job in [j for j in waiting if _may_start(j, jobs, running, launcher.at_once)]:
                    if not _may_start(job, jobs, running, launcher.at_once):
                        continue  # one that was started just now takes its place
                    waiting.remove(job)
                    if _in_vain(job, jobs):
                        finished += _WEIGHTS[job.kind]
                        continue
                    running.append(_start(job, settings, launcher))
                time.sleep(_POLL)
                for one in list(running):
                    one.part = max(one.part, _progress(one.job, epochs))
                    status = one.handle.poll()
                    if status is not None:
                        running.remove(one)
                        finished += _WEIGHTS[one.job.kind]
                        tqdm.write(_end(one, status), file=sys.stderr)
                        after_each()
                under_way = sum(_WEIGHTS[one.job.kind] * one.part for one in running)
                bar.set_postfix_str(', '.join(one.job.title for one in running[:3]), refresh=False)
                bar.update(max(0.0, min(finished + under_way, total) - bar.n))  # rounded sums
        finally:
            for one in running:
                one.handle.stop()


def _may_start(
    job: Job, jobs: Sequence[Job], running: Sequence[_Running], at_once: int | None
) -> bool:
    if at_once is not None and len(running) >= at_once:
        return False
    if any(one.job.kind == 'measure' for one in running):
        return False
    if job.kind == 'measure':
        others = (other for other in jobs if other.kind != 'measure')
        return not running and all(o.done() or o.error.exists() for o in others)
    training = _training_of(job, jobs)
    return training is None or training not in [one.job for one in running]


def _training_of(job: Job, jobs: Sequence[Job]) -> Job | None:
    if job.kind != 'test':
        return None
    return next((j for j in jobs if j.kind == 'train' and j.folder == job.folder), None)


def _in_vain(job: Job, jobs: Sequence[Job]) -> bool:
    training = _training_of(job, jobs)
    if training is None or training.done():
        return False
    write_whole(job.error, 'its training failed')
    return True


def _start(job: Job, settings: Settings, launcher: Local | Submitit | Ray) -> _Running:
    file = job.write(settings)
    gpus = settings.gpus if job.kind == 'train' else 1
    words = command(file, gpus, watch=isinstance(launcher, Local))
    job.output.unlink(missing_ok=True)  # not the progress of the last time
    return _Running(job, launcher.start(words, job.output), time.time())


def _end(one: _Running, status: int) -> str:
    """Note a failure; return the line that tells how it went."""
    took = f'{time.time() - one.begun:.0f} s'
    deadline = time.time() + _LATE * (status == 0)
    while one.job.done() is None and time.time() < deadline:
        time.sleep(_POLL)
    if status == 0 and one.job.done() is not None:
        return f'{one.job.title}: done, {took}'
    why = _reason(one.job, status)
    write_whole(one.job.error, why)
    return f'{one.job.title}: failed after {took}: {why} ({one.job.output})'


def _reason(job: Job, status: int) -> str:
    """The last line of its output that tells why, in a line that fits a table."""
    lines = _tail(job).splitlines()
    for line in reversed(lines):
        if line.startswith('error: '):
            return line[len('error: ') :][:300]
    for line in reversed(lines):
        if re.match(r'[\w.]*(Error|Exception|Interrupt)\b', line):
            return line[:300]
    killed = f'the process was killed by signal {-status}' if status < 0 else f'status {status}'
    return killed + (', for its memory most likely' if status == -9 else '')


def _tail(job: Job) -> str:
    try:
        with job.output.open('rb') as file:
            file.seek(max(0, job.output.stat().st_size - _TAIL))
            return file.read().decode(errors='replace')
    except OSError:  # an engine has not begun to write it
        return ''


def _progress(job: Job, epochs: int | None) -> float:
    """How much of a training is done, 0 to 1, by its output."""
    if job.kind != 'train':
        return 0.0
    text = _tail(job)
    if epochs and (found := _EPOCHS.findall(text)):
        epoch, step, steps = map(int, found[-1])
        return min(1.0, (epoch - 1 + step / steps) / epochs)
    if found := _ITERS.findall(text):
        step, steps = map(int, found[-1])
        return min(1.0, step / steps)
    return 0.0
