"""Charts as SVG: drawn here, so that the page needs no script or library to show or print them."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from vitmm.apis.compare.pareto import front
from vitmm.apis.compare.table import number

_WIDTH, _HEIGHT = 430, 310
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 14, 42
_CHARACTER = {'on': 7.2, 'off': 6.6}  # pixels a letter of a label takes, about
_NAMED = 16  # so many points have all their names; of more, only the front has
COLORS = 8  # .c0 to .c7 of the page's style


def scatter(
    points: Sequence[tuple[str, float, float]], cost: str, metric: str, higher: bool
) -> str:
    """A Pareto plot: cost to the right, score upwards, the front drawn and named.

    Args:
        points: (name, cost, score).
        cost: name of the cost axis.
        metric: name of the score axis.
        higher: whether a higher score is better.
    """
    if not points:
        return ''
    best = front([(x, y) for _, x, y in points], higher)
    x_axis = _Axis([x for _, x, _ in points], _LEFT, _WIDTH - _RIGHT)
    y_axis = _Axis([y for *_, y in points], _HEIGHT - _BOTTOM, _TOP, log=False)
    parts = [_frame(x_axis, y_axis, cost, metric)]
    line = ' '.join(f'{x_axis(points[i][1]):.1f},{y_axis(points[i][2]):.1f}' for i in best)
    parts.append(f'<polyline class="front" points="{line}"/>')
    places = [(x_axis(x), y_axis(y)) for _, x, y in points]
    placed = [(x - 5, y - 5, x + 5, y + 5) for x, y in places]  # names keep off the points
    # The front's names come first: where there is no room for all, those are kept.
    for i in [*best, *(i for i in range(len(points)) if i not in best)]:
        name, x, y = points[i]
        px, py = places[i]
        kind = 'on' if i in best else 'off'
        title = f'{name}: {metric} {number(y, 4)}, {cost} {number(x, 3)}'
        parts.append(
            f'<circle class="{kind}" cx="{px:.1f}" cy="{py:.1f}" r="5">'
            f'<title>{escape(title)}</title></circle>'
        )
        if kind == 'off' and len(points) > _NAMED:
            continue
        if label := _label(len(name) * _CHARACTER[kind], px, py, placed):
            lx, ly, anchor = label
            parts.append(
                f'<text class="name {kind}" x="{lx:.1f}" y="{ly:.1f}" text-anchor="{anchor}">'
                f'{escape(name)}</text>'
            )
    return _svg(parts, f'{metric} against {cost}')


def curves(
    lines: Sequence[tuple[str, int | None, Sequence[tuple[float, float]]]],
    y_name: str,
    log: bool = False,
) -> str:
    """Learning curves over iterations.

    Args:
        lines: (name, number of the colour or None for grey, pairs of iteration and value), one a
            run.
        y_name: of the upward axis.
        log: whether that is logarithmic.
    """
    lines = [(name, color, [p for p in line if _finite(p[1])]) for name, color, line in lines]
    lines = [one for one in lines if one[2]]
    if not lines:
        return ''
    x_axis = _Axis([x for *_, line in lines for x, _ in line], _LEFT, _WIDTH - _RIGHT, log=False)
    ys = [y for *_, line in lines for _, y in line]
    y_axis = _Axis(ys, _HEIGHT - _BOTTOM, _TOP, log=log and min(ys) > 0)
    parts = [_frame(x_axis, y_axis, 'iterations', y_name)]
    for name, color, line in sorted(lines, key=lambda one: one[1] is not None):  # grey ones below
        kind = 'rest' if color is None else f'c{color}'
        title = f'<title>{escape(name)}</title>'
        places = [(x_axis(x), y_axis(y)) for x, y in line]
        text = ' '.join(f'{x:.1f},{y:.1f}' for x, y in places)
        parts.append(f'<polyline class="curve {kind}" points="{text}">{title}</polyline>')
        if len(places) == 1:  # a line of one point is none
            x, y = places[0]
            parts.append(
                f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="3">{title}</circle>'
            )
    return _svg(parts, f'{y_name} while training')


class _Axis:
    """From values to pixels, with round ticks; logarithmic where values span more than 8 times."""

    def __init__(
        self, values: Sequence[float], start: float, end: float, log: bool | None = None
    ) -> None:
        low, high = min(values), max(values)
        self.log = low > 0 and high / low > 8 if log is None else log
        self.start, self.end = start, end
        if self.log:
            low, high = math.log10(low), math.log10(high)
        room = 0.08 * (high - low) or abs(high) * 0.1 or 1.0
        self.low, self.high = low - room, high + room

    def __call__(self, value: float) -> float:
        value = math.log10(value) if self.log else value
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values inside the axis: 1, 2 and 5 times powers of ten where it is logarithmic."""
        if self.log:
            powers = range(math.floor(self.low), math.ceil(self.high) + 1)
            every = [m * 10.0**p for p in powers for m in (1, 2, 5)]
            inside = [t for t in every if self.low <= math.log10(t) <= self.high]
            if len(inside) > 8:
                return [t for t in inside if f'{t:e}'[0] == '1']
            if len(inside) > 2:
                return inside
        low, high = (10**end if self.log else end for end in (self.low, self.high))
        step = 10.0 ** math.floor(math.log10((high - low) / 4))
        step *= next(m for m in (1, 2, 5, 10) if (high - low) / (m * step) <= 6)
        first = math.ceil(low / step)
        last = math.floor(high / step)
        return [i * step for i in range(first, last + 1)]


def _frame(x_axis: _Axis, y_axis: _Axis, x_name: str, y_name: str) -> str:
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = []
    for tick in x_axis.ticks():
        x = x_axis(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{bottom}"/>')
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">'
            f'{round(tick, 10):g}</text>'
        )
    for tick in y_axis.ticks():
        y = y_axis(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
        parts.append(
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">'
            f'{round(tick, 10):g}</text>'
        )
    log = ' (log)' if x_axis.log else ''
    parts.append(
        f'<text class="axis" x="{(_LEFT + right) / 2}" y="{_HEIGHT - 6}" text-anchor="middle">'
        f'{escape(x_name)}{log}</text>'
    )
    middle = (_TOP + bottom) / 2
    log = ' (log)' if y_axis.log else ''
    parts.append(
        f'<text class="axis" x="13" y="{middle}" text-anchor="middle" '
        f'transform="rotate(-90 13 {middle})">{escape(y_name)}{log}</text>'
    )
    return ''.join(parts)


def _label(
    width: float, x: float, y: float, placed: list[tuple[float, float, float, float]]
) -> tuple[float, float, str] | None:
    """Where a name has room beside its point: x, y, anchor; None where it has none."""
    for dx, dy, anchor in (
        (9, 4, 'start'),
        (-9, 4, 'end'),
        (0, -10, 'middle'),
        (0, 19, 'middle'),
        (9, -9, 'start'),
        (9, 17, 'start'),
        (-9, -9, 'end'),
        (-9, 17, 'end'),
    ):
        left = x + dx - {'start': 0, 'end': width, 'middle': width / 2}[anchor]
        box = (left, y + dy - 11, left + width, y + dy + 3)
        if box[0] < _LEFT or box[2] > _WIDTH or box[1] < 0 or box[3] > _HEIGHT - _BOTTOM:
            continue
        if any(_overlap(box, other) for other in placed):
            continue
        placed.append(box)
        return x + dx, y + dy, anchor
    return None


def _overlap(a: tuple, b: tuple) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _svg(parts: Sequence[str], title: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
        f'{"".join(parts)}</svg>'
    )


def learning_curves(
    rows: Sequence[Mapping], metric: str | None, colors: Mapping[str, int]
) -> dict[str, str]:
    """The charts of training: the metric at each validation, and the loss.

    Args:
        rows: of ``compare.json``.
        metric: its full name.
        colors: numbers of the colours that some backbones have; the others are grey.
    """
    scores, losses = [], []
    for row in rows:
        color = colors.get(row['backbone'])
        for run in row['runs']:
            curve = run.get('curve') or {}
            name = row['backbone'] + ('' if run['seed'] is None else f', seed {run["seed"]}')
            values = [(s, m[metric]) for s, m in curve.get('validations', ()) if metric in m]
            scores.append((name, color, values))
            losses.append((name, color, curve.get('loss', [])))
    name = (metric or '').rpartition('/')[2]
    return {name: curves(scores, name), 'loss': curves(losses, 'training loss', log=True)}
