"""The comparison as a table: Markdown to read, CSV and JSON to compute with."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Column:
    """A column of figures.

    Attributes:
        key: in what :func:`vitmm.apis.compare.collect.summarize` gives.
        head: for people.
        digits: significant ones.
        higher_is_better: None where neither is.
    """

    key: str
    head: str
    digits: int
    higher_is_better: bool | None


COSTS = (
    Column('parameters', 'parameters, M', 4, False),
    Column('gflops', 'GFLOPs', 3, False),
    Column('latency', 'latency, ms', 3, False),
    Column('throughput', 'images / s', 3, True),
    Column('memory', 'peak memory, MiB', 3, False),
    Column('train_memory', 'training memory, MiB', 4, False),
    Column('train_seconds', 'training, s', 3, False),
)


def columns(
    summaries: Sequence[Mapping[str, Any]], metric: str | None, higher: bool
) -> list[Column]:
    """The columns of which any row knows something, the metric first."""
    name = (metric or 'metric').rpartition('/')[2]
    known = [c for c in COSTS if any(s[c.key] is not None for s in summaries)]
    if any(s['score'] is not None for s in summaries):
        known.insert(0, Column('score', name, 4, higher))
    return known


def ranked(summaries: Sequence[Mapping[str, Any]], higher: bool) -> list[Mapping[str, Any]]:
    """The best first; by latency where nothing was scored; what failed last."""

    def key(one: Mapping[str, Any]) -> tuple:
        score, latency = one['score'], one['latency']
        worth = 0 if score is None else -score if higher else score
        return score is None, worth, latency is None, latency or 0

    return sorted(summaries, key=key)


def number(value: float | None, digits: int) -> str:
    """A figure of so many significant digits, without an exponent; '' for None."""
    if value is None:
        return ''
    if abs(value) >= 10 ** (digits - 1):
        return f'{value:,.0f}'.replace(',', ' ')
    text = f'{value:.{digits}g}'
    return f'{value:.6f}' if 'e' in text else text


def cell(summary: Mapping[str, Any], column: Column) -> str:
    """A figure with its spread: standard deviation of the metric, quartiles of the latency."""
    text = number(summary[column.key], column.digits)
    if column.key == 'score' and text:
        # As many places as show the spread, and none that only noise fills.
        text = f'{summary["score"]:.{places(summary["score"])}f}'
        if summary['std'] is not None:
            text += f' ± {summary["std"]:.{places(summary["score"])}f}'
    elif column.key == 'latency' and text:
        low, high = (number(summary[f'latency_{end}'], column.digits) for end in ('low', 'high'))
        text += f' ({low} to {high})'
    return text


def places(score: float) -> int:
    """Decimal places: 2 for percentages, 4 for fractions."""
    return 2 if abs(score) > 1.5 else 4


def markdown(
    summaries: Sequence[Mapping[str, Any]], metric: str | None, higher: bool, notes: Sequence[str]
) -> str:
    """The table in Markdown, the best first, with notes below."""
    shown = columns(summaries, metric, higher)
    failed = any(s['error'] for s in summaries)
    heads = ['backbone', *(c.head for c in shown), *(['error'] if failed else [])]
    lines = [
        f'| {" | ".join(heads)} |',
        '| --- |' + ' ---: |' * len(shown) + ' --- |' * failed,
    ]
    for one in ranked(summaries, higher):
        cells = [one['backbone'], *(cell(one, c) for c in shown)]
        cells += [(one['error'] or '').replace('|', '/')] if failed else []
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join([*lines, '', *notes, ''])


def as_csv(summaries: Sequence[Mapping[str, Any]], metric: str | None, higher: bool) -> str:
    """All figures with all their digits; the metric's column is called by its name."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    keys = list(summaries[0])
    writer.writerow([metric or key if key == 'score' else key for key in keys])
    for one in ranked(summaries, higher):
        writer.writerow(['' if one[key] is None else one[key] for key in keys])
    return text.getvalue()
