"""Draws line charts as SVG inside HTML: sharp at every width, light and dark, without a script.

Text keeps its size when a chart becomes narrow: texts and dots have positions in per cent, and the lines are drawn in a
picture inside, which is stretched. Colours belong to classes, because the policy of the page forbids styles of single
elements. Pointing at a chart shows the numbers of the nearest pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Any, NamedTuple

import numpy as np

from autograd_cnn.studio.report.facts import Array, duration

Format = Callable[[float], str]

WIDE, TALL, TOP = 1000, 180, 20  # of the stretched picture; pixels of the plot, and of the axis of minutes above it
POINTS, DOTS = 300, 60  # of a line: more points are averaged, more dots are left out
FEWEST = 4  # ticks


class Line(NamedTuple):
    """A line of a chart; a `dotted` one has a dot at every pass, and its numbers are shown at the pointer."""

    name: str
    x: Array
    y: Array
    dotted: bool = True


class Axis(NamedTuple):
    """Positions of numbers between two ends, in [0, 1], with ticks at round numbers; others are moved to the ends."""

    low: float
    high: float
    log: bool
    ticks: list[float]

    def __call__(self, value: Any) -> Any:
        low, high, value = (np.log(x) if self.log else x for x in (self.low, self.high, value))
        return np.clip((value - low) / (high - low), 0, 1)


def axis_of(numbers: Array, log: bool = False, zero: bool = False, most: int = 6, end: float = math.inf) -> Axis:
    """Return an axis for the finite ones of some numbers, which stops at `end`, with about `most` ticks.

    It is logarithmic if `log` and all numbers are positive, or has 0 on it if `zero`.

    Examples
    --------
    >>> axis_of(np.array([0.018, 0.5]), log=True).ticks
    [0.02, 0.05, 0.1, 0.2, 0.5]
    >>> axis_of(np.array([0.21, 0.38]), log=True).ticks
    [0.25, 0.3, 0.35]
    >>> axis_of(np.array([1e-4, 2.0]), log=True).ticks
    [0.0001, 0.001, 0.01, 0.1, 1.0]
    >>> axis_of(np.array([3.0, 18.0]), zero=True).ticks
    [0.0, 5.0, 10.0, 15.0, 20.0]
    """
    numbers = numbers[np.isfinite(numbers)]
    low, high = (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 1.0)
    if zero or low == high:
        low, high = min(low, 0.0), max(high, 0.0)
    high = high if high > low else 1.0
    step = _round_up((high - low) / (most - 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = [tick for i in range(first, last + 1) if (tick := float(f"{i * step:.9g}")) <= end]
    if not log or low <= 0:
        return Axis(ticks[0], ticks[-1], False, ticks)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for marks in (1,), (1, 2, 5), (1, 2, 3, 5, 7), ():
        powers = [float(f"{mark}e{decade}") for decade in decades for mark in marks] or ticks
        inside = [tick for tick in powers if low <= tick <= high]
        if len(inside) >= FEWEST:
            break
    return Axis(low, high, True, inside[:: -(-len(inside) // most) or 1])


def _round_up(step: float) -> float:
    """Return the least of 1, 2, 5 times a power of ten that is not below `step`."""
    exponent = math.floor(math.log10(step))
    return next(up for digit in (1, 2, 5, 10) if (up := float(f"{digit}e{exponent}")) >= step * (1 - 1e-9))


def chart(title: str, lines: Sequence[Line], clock: Line, form: Format, **axis: Any) -> str:
    """Return a chart of lines against passes, with an axis of minutes (of seconds, in a short run) above.

    `clock` has the seconds that had gone by at each pass, from 0; `form` formats a number of the lines, and `axis` are
    options of `axis_of`. Numbers that are not finite are left out.
    """
    lines = [line._replace(x=line.x[keep], y=line.y[keep]) for line in lines if (keep := np.isfinite(line.y)).any()]
    end = float(clock.x[-1])
    x = axis_of(np.array([0, max(end, 5)]), zero=True, end=end)._replace(high=end)
    y = axis_of(np.concatenate([np.zeros(0), *(line.y for line in lines)]), **axis)
    unit, spent = ("s", clock.y) if clock.y[-1] < 120 else ("min", clock.y / 60)
    times = axis_of(spent, zero=True, most=5, end=spent[-1]).ticks
    name = f"{title} (log axis)" if y.log else title
    keys = "".join(f'<span class="key line{i}">{escape(line.name)}</span>' for i, line in enumerate(lines))
    ranges = "; ".join(f"{line.name} from {form(line.y[0])} to {form(line.y[-1])}" for line in lines) or "no numbers"
    drawn = [
        *(f'<text class="end" x="-6" y="{_n(_down(y, tick) + 4)}">{form(tick)}</text>' for tick in y.ticks),
        *_along(x(np.interp(times, spent, clock.x)), times, -7, after=f" {unit}"),
        *_along(x(np.array(x.ticks)), x.ticks, TALL + 13, before="pass "),
        _drawn(lines, x, y),
        *_dots(lines, x, y),
        *_tips(lines, x, clock, form),
    ]
    return (
        f'<figure class="chart"><figcaption><h3>{escape(name)}</h3>{keys}</figcaption>\n'
        f'<svg class="plot" role="img" aria-label="{escape(f"{name} against passes: {ranges}")}">'
        f"{''.join(drawn)}</svg></figure>\n"
    )


def _along(places: Array, ticks: Sequence[float], y: float, before: str = "", after: str = "") -> Iterator[str]:
    """Yield numbers along an axis; the last one has the unit."""
    for at, tick in zip(places, ticks, strict=True):
        side = "start" if at < 0.02 else "end" if at > 0.95 else "middle"
        text = f"{before}{tick:g}{after}" if tick == ticks[-1] else f"{tick:g}"
        yield f'<text class="{side}" x="{_p(at)}" y="{y}">{text}</text>'


def _drawn(lines: Sequence[Line], x: Axis, y: Axis) -> str:
    """Return the grid and the lines, in a picture that is stretched."""
    grid = "".join(f"M0 {_n(_down(y, tick))}h{WIDE}" for tick in y.ticks)
    grid += "".join(f"M{_n(WIDE * x(tick))} 0v{TALL}" for tick in x.ticks)
    paths = "".join(_path(i, WIDE * x(line.x), _down(y, line.y)) for i, line in enumerate(map(_averaged, lines)))
    return f'<svg viewBox="0 0 {WIDE} {TALL}" preserveAspectRatio="none"><path class="grid" d="{grid}"/>{paths}</svg>'


def _path(i: int, x: Array, y: Array) -> str:
    return f'<path class="line{i}" d="M{"L".join(f"{_n(a)} {_n(b)}" for a, b in zip(x, y, strict=True))}"/>'


def _averaged(line: Line) -> Line:
    """Return a line of no more than `POINTS` means, unless it is dotted."""
    if line.dotted or line.y.size <= POINTS:
        return line
    cuts = np.linspace(0, line.y.size, POINTS + 1).astype(int)
    x, y = (np.add.reduceat(numbers, cuts[:-1]) / np.diff(cuts) for numbers in (line.x, line.y))
    return line._replace(x=x, y=y)


def _dots(lines: Sequence[Line], x: Axis, y: Axis) -> Iterator[str]:
    for i, line in enumerate(lines):
        if line.dotted and line.x.size <= DOTS:
            for at, down in zip(x(line.x), _down(y, line.y), strict=True):
                yield f'<circle class="line{i}" cx="{_p(at)}" cy="{_n(down)}" r="2.5"/>'


def _tips(lines: Sequence[Line], x: Axis, clock: Line, form: Format) -> Iterator[str]:
    """Yield what is shown at the pointer: the numbers of each pass, in a strip that ends half-way to the next one."""
    lines = [line for line in lines if line.dotted]
    ends = sorted({float(end) for line in lines for end in line.x})
    edges = [0.0, *np.add(ends[1:], ends[:-1]) / 2, x.high]
    for end, before, after in zip(ends, edges, edges[1:], strict=False):
        found = [f"{line.name} {form(float(line.y[line.x == end][0]))}" for line in lines if (line.x == end).any()]
        text = " · ".join([f"pass {end:g}", duration(float(np.interp(end, clock.x, clock.y))), *found])
        at, start, width = (_p(x(number)) for number in (end, before, after - before))
        yield (
            f'<g class="at"><rect x="{start}" width="{width}" y="-{TOP}" height="{TOP + TALL}"/>'
            f'<line x1="{at}" x2="{at}" y1="0" y2="{TALL}"/><g class="tip"><rect width="100%" y="-{TOP}" '
            f'height="{TOP - 2}"/><text x="0" y="-7">{escape(text)}</text></g></g>'
        )


def spark(numbers: Array, y: Axis) -> str:
    """Return a line without axes, for a row of a table; `y` is the common axis of its rows."""
    keep = np.isfinite(numbers) & ((numbers > 0) | (not y.log))
    x, value = np.linspace(0, 100, len(numbers))[keep], numbers[keep]
    if len(numbers) == 1:
        x, value = np.array([0, 100]), np.repeat(value, 2)
    line = _path(0, x, 22 - 20 * y(value)) if value.size else ""
    return f'<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">{line}</svg>'


def _down(y: Axis, value: Any) -> Any:
    return TALL * (1 - y(value))


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _p(share: float) -> str:
    return f"{100 * share:.4g}%"
