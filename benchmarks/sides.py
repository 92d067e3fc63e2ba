"""What comparisons of two sides share: a process for each, a clock, memory, rows, JSON."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from fnmatch import fnmatch
from multiprocessing import get_context
from pathlib import Path
from typing import Any

# Imported once, by the process that every measurement is forked from; vitmm comes first, so that
# the others find the operators they need.
PRELOAD = ('vitmm', 'torchvision', 'mmdet.models', 'mmseg.models', 'mmpretrain.models')


def isolated(function: Callable[..., dict], *args: Any) -> dict:
    """Call a module's function in a process of its own, on a CPU with heavy imports already done.

    Returns:
        What it returned, or ``{'error': why it could not}``.
    """
    import torch

    # What is preloaded asks for GPUs, after which a forked process could not use one.
    context = get_context('spawn' if torch.cuda.is_available() else 'forkserver')
    context.set_forkserver_preload(list(PRELOAD))
    with ProcessPoolExecutor(1, context) as pool:
        try:
            return pool.submit(_guarded, function, args).result()
        except BrokenProcessPool:
            return {'error': 'the process was killed, for its memory most likely'}


def _guarded(function: Callable[..., dict], args: tuple) -> dict:
    with Path(os.devnull).open('w') as nowhere, contextlib.redirect_stdout(nowhere):
        warnings.simplefilter('ignore')  # the peers' own; the table goes to the same terminal
        try:
            return function(*args)
        except Exception as error:  # each peer fails in its own way; its row tells of it
            return {'error': reason(error)}


def wait(device: str) -> None:
    """Wait until the device, ``'cuda'`` or ``'cpu'``, has done all that it was given."""
    if device == 'cuda':
        import torch

        torch.cuda.synchronize()


def now(device: str) -> float:
    """Seconds of a clock, after a wait: on a CPU the process's own, which others disturb less."""
    wait(device)
    return time.perf_counter() if device == 'cuda' else time.process_time()


def peak_mib(device: str) -> float:
    """The most memory until now: of tensors on a GPU, of the whole process on a CPU."""
    if device == 'cuda':
        import torch

        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def reason(error: Exception) -> str:
    """Why, in one line that fits a table."""
    lines = str(error).strip().splitlines() or ['']
    return f'{type(error).__name__}: {lines[0][:160]}'.replace('|', '/')


def chosen(rows: Sequence[str], globs: Sequence[str]) -> list[str]:
    """The names of rows that fit one of the globs; ends the program if none does."""
    names = [row for row in rows if any(fnmatch(row, glob) for glob in globs)]
    if not names:
        sys.exit(f'no row is called {" or ".join(globs)}; there are:\n' + '\n'.join(rows))
    return names


def exit_for_ours(rows: Sequence[dict]) -> None:
    """End the program with 1 if our side failed; a peer may on this stack."""
    if any(row.get('error', '').startswith('vitmm') for row in rows):
        sys.exit(1)


def shown(ratio: dict[str, float]) -> str:
    """A ratio with its quartiles, as a cell."""
    return f'{ratio["median"]:.3f} ({ratio["low"]:.3f} to {ratio["high"]:.3f})'


def print_head(columns: Sequence[str], text_columns: int = 1) -> None:
    """The head of a Markdown table: so many columns of text, then figures; a note at the end."""
    print('| ' + ' | '.join(columns) + ' |')
    marks = ['---'] * text_columns + ['---:'] * (len(columns) - text_columns - 1) + ['---']
    print('| ' + ' | '.join(marks) + ' |', flush=True)


def print_row(cells: Sequence[str]) -> None:
    """One line of the table."""
    print('| ' + ' | '.join(cells) + ' |', flush=True)


def write_json(path: Path | None, settings: dict, rows: list[dict]) -> None:
    """Write the table's figures, with all they depend on."""
    if path:
        from vitmm.apis.compare.about import describe

        machine = describe()
        content = {'machine': machine, 'settings': settings, 'rows': rows}
        path.write_text(json.dumps(content, indent=1) + '\n')
