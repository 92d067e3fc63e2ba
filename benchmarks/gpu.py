"""Everything that needs a GPU, in order of worth, each step with a limit of time.

python benchmarks/gpu.py [STEPS ...] [--minutes 9] [--out FOLDER] [--dry-run]

The tests that need one, then the figures that docs/performance.md lacks: the other benchmarks as
they are, set for one GPU of 80 GB. After each step FOLDER/summary.md (Markdown, to paste),
FOLDER/figures.json and FOLDER/log.txt are whole, so that nothing is lost when time runs out.
"""

import argparse
import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEAST = 10  # seconds in which a step may still do something
LEFT_OUT = 'no time left'
FULL = ('benchmarks/iterations.py', '--full-size', '--precision', 'bf16', '--rounds', '1')
HALTS = ('det/vit_retinanet.py', 'det/vit_faster_rcnn.py', 'det/convnext_mask_rcnn.py')
HALTS += ('det/convnext_dino.py', 'det/resnet_mask2former.py', 'det/vit_atss.py')
HALTS += ('seg/vit_upernet.py', 'cls/vit_linear.py')
MASKS = ('--images', '150', '--masks', '--device', 'cuda')
KERNELS = ('--precision', 'bf16')
MODELS = ('swin_tiny/retinanet/*', 'convnext_tiny/upernet/*')
START = 'configs/det/vit_retinanet.py'
LOADER = ('--rounds', '3', '--workers', '8', '--seconds', '2')
SHORT = ('--disable-warnings', '--tb=short', '-vv')
VIT_L = ('--model', 'vit_large_patch16_224', '--size', '1024')


@dataclass(frozen=True)
class Step:
    """A command below the repository's root: words for Python, ``{json}`` a file it writes."""

    name: str
    words: tuple[str, ...]
    limit: int  # seconds
    table: bool = True  # whether it prints Markdown
    # How it is ended: torchrun ends its processes at the first of these alone.
    signals: tuple[int, ...] = (signal.SIGTERM, signal.SIGKILL)

    def command(self, figures: Path | str = 'FILE.json') -> list[str]:
        """What is run."""
        return [sys.executable, *(word.replace('{json}', str(figures)) for word in self.words)]

    def shown(self) -> str:
        """What a person types."""
        words = [word for word in self.words if word not in ('--json', '{json}')]
        return shlex.join(['python', *words])


JSON = ('--json', '{json}')
FULL_ROWS = (  # name, row, switches besides compile
    ('vit', 'det/vit_*', ()),
    ('swin', 'det/swin_*', ()),
    ('convnext', 'seg/*', ('channels_last',)),
)


def iterations(
    name: str, row: str, *switches: str, more: tuple[str, ...] = (), limit: int = 140
) -> Step:
    """Whole training iterations of a row, one pair of runs; ``more`` are options besides."""
    chosen = ('--switches', *switches) if switches else ()
    return Step(name, (*FULL, row, *chosen, *more, *JSON), limit)


WORKERS = ('-n', '12', '--maxprocesses', '12')  # pyproject.toml has fewer at most
# Limits: an H200 with 16 cores was 27 s at a process's first iteration, 54 s at a compiled ViT's.
STEPS = (
    Step(
        'tests',
        ('-m', 'pytest', '-m', 'cuda', *WORKERS, '--dist', 'worksteal', *SHORT),
        limit=170,
        table=False,
        signals=(signal.SIGINT, signal.SIGTERM, signal.SIGKILL),  # pytest tells of failures yet
    ),
    *(iterations(name, row, *more) for name, row, more in FULL_ROWS),
    Step('halts', ('benchmarks/halts.py', *(f'configs/{name}' for name in HALTS)), limit=150),
    *(
        iterations(f'{name}_compiled', row, 'compile', *more, limit=limit)
        for (name, row, more), limit in zip(FULL_ROWS, (180, 400, 300), strict=True)
    ),
    Step(
        'memory',
        ('benchmarks/memory.py', *VIT_L, '--processes', '1', '--amp', *JSON),
        limit=300,
    ),
    Step('kernels', ('benchmarks/kernels.py', *KERNELS), limit=120),
    Step('windows', ('benchmarks/windows.py', '--precision', 'bf16', '--repeats', '1'), limit=120),
    Step('models', ('benchmarks/models.py', *MODELS, '--precision', 'bf16', *JSON), limit=150),
    Step('loader', ('benchmarks/loader.py', 'det', *LOADER, *JSON), limit=90),
    Step('start', ('benchmarks/start.py', START, '--repeats', '1'), limit=150),
    *(iterations(f'{name}_validation', row, more=('--validation',)) for name, row, _ in FULL_ROWS),
    Step('masks', ('benchmarks/evaluation.py', *MASKS), limit=90),
    Step('graphs', ('benchmarks/graphs.py',), limit=300),
    # Once more, for pairs: one is no median.
    *(iterations(f'{name}_again', row, *more) for name, row, more in FULL_ROWS),
)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the step that runs ends with it
    parser = argparse.ArgumentParser(description='Run the tests and benchmarks that need a GPU.')
    parser.add_argument(
        'steps',
        nargs='*',
        default=['*'],
        metavar='STEP',
        help='names or globs, in the order wanted',
    )
    parser.add_argument('--minutes', type=float, default=9, help='for all of it (%(default)s)')
    parser.add_argument(
        '--out', type=Path, default=ROOT / 'work_dirs' / 'gpu', metavar='FOLDER', help='results'
    )
    parser.add_argument('--dry-run', action='store_true', help='list the steps; no GPU is needed')
    args = parser.parse_args()
    wanted = (step for glob in args.steps for step in STEPS if fnmatch(step.name, glob))
    steps = list(dict.fromkeys(wanted))
    if not steps:
        names = ', '.join(step.name for step in STEPS)
        sys.exit(f'error: no step is called {" or ".join(args.steps)}; there are: {names}')
    if args.dry_run:
        for step in steps:
            print(f'{step.name:15} {step.limit:4} s  {step.shown()}')
        return
    sys.exit(run_all(steps, 60 * args.minutes, args.out, machine()))


def machine() -> str:
    """One line of the card, its driver and the versions; ends the program without a GPU."""
    sys.path.insert(0, str(ROOT))
    import torch

    if not torch.cuda.is_available():
        sys.exit(
            f'error: torch {torch.__version__} sees no GPU here, and all steps need one '
            '(--dry-run lists them; benchmarks/*.py run on a CPU one by one: make benchmark).'
        )
    from vitmm.apis.compare.about import describe

    about, card = describe(), torch.cuda.get_device_properties(0)
    versions = ', '.join(f'{name} {number}' for name, number in about['versions'].items())
    return (
        f'{torch.cuda.device_count()} x {card.name} ({card.total_memory / 2**30:.0f} GiB, compute '
        f'capability {card.major}.{card.minor}), driver {driver()}, CUDA {torch.version.cuda}, '
        f'cuDNN {torch.backends.cudnn.version()}; {about["processor"]}, {about["cores"]} cores; '
        f'Python {about["python"]}, {versions}.'
    )


def driver() -> str:
    """The driver's version, as nvidia-smi tells it."""
    query = ['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader']
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        told = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
        return told.stdout.splitlines()[0].strip()
    return 'unknown'


def run_all(steps: Sequence[Step], seconds: float, out: Path, about: str) -> int:
    """Run the steps while there is time, and write what is known after each of them.

    Args:
        steps: in order of worth.
        seconds: for all of them.
        out: the folder of the results.
        about: a line on the machine.

    Returns:
        0 if all that were started ended with 0, else 1.
    """
    from vitmm.whole_files import write_whole

    out.mkdir(parents=True, exist_ok=True)
    log = out / 'log.txt'
    log.write_text('')
    until = time.monotonic() + seconds
    rows: list[dict] = []
    for number, step in enumerate(steps, start=1):
        limit = max(0, min(step.limit, until - time.monotonic()))
        row = dict(name=step.name, command=step.shown(), limit=limit, code=LEFT_OUT)
        rows.append(row)
        if limit >= LEAST:
            told = f'[{number}/{len(steps)}] {step.name}, at most {limit:.0f} s'
            print(f'{told} of {until - time.monotonic():.0f} s ...', file=sys.stderr, flush=True)
            row |= run(step, limit, log)
        print(f'    {step.name}: {row["code"]}', file=sys.stderr, flush=True)
        write_whole(out / 'summary.md', summary(rows, about))
        write_whole(
            out / 'figures.json', json.dumps(dict(about=about, steps=rows), indent=1) + '\n'
        )
    print(summary(rows, about))
    return int(any(row['code'] not in (0, LEFT_OUT) for row in rows))


def run(step: Step, limit: float, log: Path) -> dict:
    """Run one step; its exit code or why it has none, seconds, output, figures."""
    paths = [str(ROOT), *filter(None, [os.environ.get('PYTHONPATH')])]
    environment = {**os.environ, 'PYTHONPATH': os.pathsep.join(paths), 'PYTHONUNBUFFERED': '1'}
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, log.open('a') as errors:
        printed, figures = Path(folder, 'out'), Path(folder, 'figures.json')
        errors.write(f'\n===== {step.name}: {step.shown()}\n')
        errors.flush()
        begun = errors.tell()
        with printed.open('w') as output:
            child = subprocess.Popen(
                step.command(figures),
                stdout=output,
                stderr=errors,
                cwd=ROOT,
                env=environment,
                start_new_session=True,  # so that its own processes end with it
            )
            try:
                code: int | str = child.wait(limit)
            except subprocess.TimeoutExpired:
                code = f'stopped after {limit:.0f} s'
            finally:
                end(child, step.signals)
        text = printed.read_text(errors='replace')
        with log.open(errors='replace') as lines:
            lines.seek(begun)
            said = lines.read()
        told = None
        with contextlib.suppress(OSError, ValueError):
            told = json.loads(figures.read_text())
    with log.open('a') as errors:
        errors.write(f'\n----- printed by {step.name}: {code}\n{text}')
    kept = text if step.table else f'```\n{last(text, 25)}\n```\n'
    if code != 0:
        kept += f'\n```\n{last(said, 15)}\n```\n'
    return dict(code=code, seconds=time.monotonic() - start, printed=kept, figures=told)


def end(child: subprocess.Popen, signals: Sequence[int]) -> None:
    """End a process and those it started: torchrun ends its own when it is asked to."""
    for number in signals:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        patience = time.monotonic() + 5
        while child.poll() is None or group_lives(child.pid):
            if time.monotonic() > patience:
                break
            time.sleep(0.1)
        else:
            return


def group_lives(group: int) -> bool:
    """Whether a process of the group is left."""
    for told in Path('/proc').glob('[0-9]*/stat'):
        with contextlib.suppress(OSError):
            state, _, its_group = told.read_text().rpartition(')')[2].split()[:3]
            # One that has ended may wait for ever to be asked how.
            if int(its_group) == group and state != 'Z':
                return True
    return False


def last(text: str, lines: int) -> str:
    """The last lines of a text."""
    return '\n'.join(text.strip().splitlines()[-lines:])


def summary(rows: Sequence[dict], about: str) -> str:
    """What was measured, in Markdown."""
    parts = [f'## On a GPU\n\n{about}\n', '| step | exit code | seconds | limit | command |']
    parts.append('| --- | ---: | ---: | ---: | --- |')
    for row in rows:
        spent = f'{row["seconds"]:.0f}' if 'seconds' in row else ''
        parts.append(
            f'| {row["name"]} | {row["code"]} | {spent} | {row["limit"]:.0f} | `{row["command"]}` |'
        )
    for row in rows:
        if row.get('printed', '').strip():
            parts.append(f'\n### {row["name"]}\n\n`{row["command"]}`\n\n{row["printed"].strip()}')
    return '\n'.join(parts) + '\n'


if __name__ == '__main__':
    main()
