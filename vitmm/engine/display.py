"""A few lines at the foot of a terminal, above which all other output scrolls."""

import atexit
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

_PACE = (0.25, 5.0)  # seconds between two pictures, at least and at most
_WIDEST = 40  # bar, in characters
_SHARE = 1e-3  # of the time may be spent on drawing
_ITERATION = re.compile(r'(Epoch|Iter)\((train|val|test)\).*?\[ *(\d+)/(\d+)\] .* eta: ')


def is_terminal() -> bool:
    """Whether standard output is a terminal that can move its cursor."""
    terminal = sys.stdout is not None and sys.stdout.isatty()
    return terminal and os.environ.get('TERM', 'dumb') not in ('dumb', 'unknown')


class Display:
    """Draws text at the foot of the terminal; rich writes whatever is printed above it.

    No thread draws: the caller does, whenever :attr:`next` has passed. The cursor stays visible:
    a process may be killed at any moment. Lines of the log that the text repeats are kept from the
    terminal, but for the last of each epoch; log files have them all.

    Args:
        logger: the run's, whose handlers write to the terminal.

    Attributes:
        next: when to draw again, as :func:`time.perf_counter` counts. A picture costs
            0.1 ms, and slow terminals get fewer: up to 5 ms it is a thousandth of the time.
    """

    def __init__(self, logger: logging.Logger) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        # A log's brackets are no markup, and its long lines are the terminal's to break.
        console = Console(
            file=sys.stdout, soft_wrap=True, markup=False, emoji=False, highlight=False
        )
        self._live = Live(
            Text(), console=console, auto_refresh=False, redirect_stderr=sys.stderr.isatty()
        )
        self.next = 0.0
        before = {sys.stdout: 'stdout', sys.stderr: 'stderr'}
        self._live.start()
        console.show_cursor(True)
        self._handlers = []
        for handler in [*logger.handlers, *logging.getLogger().handlers]:
            stream = getattr(handler, 'stream', None)
            if isinstance(handler, logging.StreamHandler) and stream in before:
                self._handlers.append((handler, stream))
                handler.setStream(getattr(sys, before[stream]))
                handler.addFilter(_is_news)
        atexit.register(self.stop)

    def draw(self, make: Callable[[int], Any]) -> None:
        """Draw what ``make`` returns of the terminal's width, a ``rich.text.Text``."""
        start = time.perf_counter()
        self._live.update(make(self._live.console.width), refresh=True)
        now = time.perf_counter()
        self.next = now + min(max(_PACE[0], (now - start) / _SHARE), _PACE[1])

    def stop(self) -> None:
        """Leave the last picture, and the terminal as it was; again does nothing."""
        atexit.unregister(self.stop)
        for handler, stream in self._handlers:
            handler.setStream(stream)
            handler.removeFilter(_is_news)
        self._handlers = []
        self._live.stop()


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line says more than the picture: results, and the last iteration of an epoch."""
    text = str(record.msg)
    if text.startswith('Exp name: '):
        return False
    found = _ITERATION.match(text)
    return not found or (found[2] == 'train' and found[3] == found[4])


def bars(rows: Sequence[tuple[str, float, str]], second: str, width: int) -> Any:
    """The bars, and under the first what the values are, each in one line of the terminal."""
    from rich.text import Text

    room = max(5, min(_WIDEST, width - 9 - max(len(state) for *_, state in rows)))
    lines = []
    for name, part, state in rows:
        full = round(room * min(part, 1.0))
        lines.append(
            Text.assemble(
                f'{name:<6}', ('━' * full, 'green'), ('━' * (room - full), 'dim'), f'  {state}'
            )
        )
    if second:
        lines.insert(1, Text(f'{"":6}{second}'))
    for line in lines:
        line.truncate(width - 1, overflow='ellipsis')  # a full last column would break the line
    return Text('\n').join(lines)
