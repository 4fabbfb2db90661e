"""Draws line charts as SVG inside HTML: sharp at every width, light and dark, without a script.

Text keeps its size when a chart becomes narrow: the lines are drawn in a picture that is stretched, and texts and dots
in one that is not, at positions in per cent. No element has a style of its own, because the policy of the page forbids
it: colours belong to classes. Pointing at a chart shows the numbers of the nearest pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Format = Callable[[float], str]

WIDE, TALL, TOP = 1000, 180, 20  # of the stretched picture; pixels of the plot, and of the axis of minutes above it
POINTS = 300  # of a line; more are averaged
FEWEST = 4  # ticks


@dataclass(frozen=True)
class Line:
    """A line of a chart; a `dotted` one has a dot at every pass, and its numbers are shown at the pointer."""

    name: str
    x: Array
    y: Array
    dotted: bool = True


@dataclass(frozen=True)
class Axis:
    """Positions of numbers between two ends, in [0, 1], with ticks at round numbers."""

    low: float
    high: float
    log: bool
    ticks: list[float]

    def __call__(self, value: Any) -> Any:
        low, high, value = (np.log(x) if self.log else x for x in (self.low, self.high, value))
        return (value - low) / (high - low)


def axis_of(numbers: Array, log: bool = False, zero: bool = False, most: int = 6) -> Axis:
    """Return an axis for the numbers: logarithmic if `log` and all are positive, or with 0 on it if `zero`.

    Examples
    --------
    >>> axis_of(np.array([0.018, 0.5]), log=True).ticks
    [0.02, 0.05, 0.1, 0.2, 0.5]
    >>> axis_of(np.array([0.21, 0.38]), log=True).ticks
    [0.25, 0.3, 0.35]
    >>> axis_of(np.array([1e-4, 2.0]), log=True).ticks
    [0.0001, 0.001, 0.01, 0.1, 1.0]
    >>> axis_of(np.array([3.0, 18.0]), zero=True).ticks
    [0, 5, 10, 15, 20]
    """
    numbers = numbers[np.isfinite(numbers)]
    low, high = (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 1.0)
    low = min(low, 0.0) if zero else low
    high = high if high > low else low + (abs(low) or 1.0)
    step = _round_up((high - low) / (most - 1))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = [_clean(i * step) for i in range(first, last + 1)]
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
    power = 10.0 ** math.floor(math.log10(step))
    return next(_clean(digit * power) for digit in (1, 2, 5, 10) if digit * power >= step * (1 - 1e-9))


def _clean(number: float) -> float:
    """Remove the rounding error of a product, and write a whole number as an int."""
    number = float(f"{number:.9g}")
    return int(number) if number == int(number) else number


@dataclass(frozen=True)
class Clock:
    """The horizontal axis: passes, from 0 and ascending, with the minutes that had gone by at each of them."""

    passes: Array
    minutes: Array

    @property
    def end(self) -> float:
        return float(self.passes[-1])


def chart(
    title: str,
    lines: Sequence[Line],
    clock: Clock,
    form: Format,
    log: bool = False,
    zero: bool = False,
    most: float = math.inf,
) -> str:
    """Return a chart of lines against passes, with an axis of minutes above.

    Parameters
    ----------
    title : str
    lines : sequence of Line
        `x` are passes, from 0. Numbers that are not finite are left out.
    clock : Clock
    form : callable
        Formats a number of the vertical axis.
    log : bool
        Whether the axis is logarithmic, unless a number is 0 or negative.
    zero : bool
        Whether 0 is on the axis.
    most : float
        The largest number that can be, where the axis ends.
    """
    lines = [_finite(line) for line in lines]
    lines = [line for line in lines if line.y.size]
    y = axis_of(np.concatenate([line.y for line in lines]) if lines else np.zeros(0), log, zero)
    if y.high > most:
        y = Axis(y.low, most, y.log, [tick for tick in y.ticks if tick <= most])
    ticks = [tick for tick in axis_of(np.array([0, max(clock.end, 5)]), zero=True).ticks if tick <= clock.end]
    kind = " (log axis)" if y.log else ""
    keys = "".join(f'<span class="key line{i}">{escape(line.name)}</span>' for i, line in enumerate(lines))
    told = "; ".join(f"{line.name} from {form(line.y[0])} to {form(line.y[-1])}" for line in lines) or "no numbers"
    label = f"{title}{kind} against passes: {told}"
    parts = _left(y, form), _drawn(lines, y, clock.end, ticks), _marks(lines, y, clock, form), _bottom(ticks, clock.end)
    return (
        f'<figure class="chart"><figcaption><h3>{escape(title)}{kind}</h3>{keys}</figcaption>\n'
        f'<div class="plot" role="img" aria-label="{escape(label)}">{"".join(parts)}</div></figure>\n'
    )


def _finite(line: Line) -> Line:
    keep = np.isfinite(line.y)
    return Line(line.name, line.x[keep], line.y[keep], line.dotted)


def _left(y: Axis, form: Format) -> str:
    texts = [f'<text x="42" y="{_n(TOP + _down(y, tick) + 4)}">{escape(form(tick))}</text>' for tick in y.ticks]
    return f'<svg class="left" aria-hidden="true">{"".join(texts)}</svg>'


def _drawn(lines: Sequence[Line], y: Axis, passes: float, ticks: Sequence[float]) -> str:
    """Return the grid and the lines, in the picture that is stretched."""
    grid = "".join(f"M0 {_n(_down(y, tick))}h{WIDE}" for tick in y.ticks)
    grid += "".join(f"M{_n(WIDE * tick / passes)} 0v{TALL}" for tick in ticks)
    paths = [f'<path class="grid" d="{grid}"/>']
    for i, line in enumerate(lines):
        x, value = (line.x, line.y) if line.dotted else _averaged(line)
        points = zip(WIDE * x / passes, _down(y, np.clip(value, y.low, y.high)), strict=True)
        paths.append(f'<path class="line{i}" d="M{"L".join(f"{_n(a)} {_n(b)}" for a, b in points)}"/>')
    view = f'viewBox="0 0 {WIDE} {TALL}" preserveAspectRatio="none"'
    return f'<svg class="lines" {view} aria-hidden="true">{"".join(paths)}</svg>'


def _averaged(line: Line) -> tuple[Array, Array]:
    if line.y.size <= POINTS:
        return line.x, line.y
    cuts = np.linspace(0, line.y.size, POINTS + 1).astype(int)
    sizes = np.diff(cuts)
    return np.add.reduceat(line.x, cuts[:-1]) / sizes, np.add.reduceat(line.y, cuts[:-1]) / sizes


def _marks(lines: Sequence[Line], y: Axis, clock: Clock, form: Format) -> str:
    """Return the axis of minutes, the dots, and what is shown at the pointer."""
    parts, passes = [_top(clock)], clock.end
    dotted = [(i, line) for i, line in enumerate(lines) if line.dotted]
    ends = sorted({float(x) for _, line in dotted for x in line.x})
    if len(ends) <= 60:
        for i, line in dotted:
            where = [f'cx="{_p(x / passes)}" cy="{_n(TOP + _down(y, v))}"' for x, v in zip(line.x, line.y, strict=True)]
            parts += [f'<circle class="line{i}" {at} r="2.5"/>' for at in where]
    before = 0.0
    for k, x in enumerate(ends):
        after = (x + ends[k + 1]) / 2 if k + 1 < len(ends) else passes
        found = [f"{line.name} {form(float(line.y[line.x == x][0]))}" for _, line in dotted if (line.x == x).any()]
        told = " · ".join([f"pass {x:g}", _time(float(np.interp(x, clock.passes, clock.minutes))), *found])
        parts.append(
            f'<g class="at"><rect x="{_p(before / passes)}" width="{_p((after - before) / passes)}" y="0" '
            f'height="{TOP + TALL}"/><line x1="{_p(x / passes)}" x2="{_p(x / passes)}" y1="{TOP}" y2="{TOP + TALL}"/>'
            f'<g class="tip"><rect width="100%" height="{TOP - 2}"/><text x="0" y="13">{escape(told)}</text></g></g>'
        )
        before = after
    return f'<svg class="marks" aria-hidden="true">{"".join(parts)}</svg>'


def _top(clock: Clock) -> str:
    """Return the axis of minutes (of seconds, in a short run), above the axis of passes."""
    unit, scale = ("s", 60.0) if clock.minutes[-1] < 2 else ("min", 1.0)
    spent = scale * clock.minutes
    ticks = [tick for tick in axis_of(spent, zero=True, most=5).ticks if tick <= spent[-1]]
    return _along([(np.interp(tick, spent, clock.passes) / clock.end, f"{tick:g}") for tick in ticks], "", f" {unit}")


def _bottom(ticks: Sequence[float], passes: float) -> str:
    texts = _along([(tick / passes, f"{tick:g}") for tick in ticks], "pass ", "")
    return f'<svg class="bottom" aria-hidden="true">{texts}</svg>'


def _along(ticks: Sequence[tuple[float, str]], before: str, after: str) -> str:
    """Return texts at positions along an axis; the last one has the unit."""
    texts = []
    for i, (at, text) in enumerate(ticks):
        side = "start" if at < 0.02 else "end" if at > 0.95 else "middle"
        whole = f"{before}{text}{after}" if i == len(ticks) - 1 else text
        texts.append(f'<text class="{side}" x="{_p(at)}" y="13">{whole}</text>')
    return "".join(texts)


def spark(numbers: Array, y: Axis) -> str:
    """Return a line without axes, for a row of a table; `y` is the common axis of its rows."""
    keep = np.isfinite(numbers) & ((numbers > 0) | (not y.log))
    x = np.linspace(0, 100, len(numbers))[keep] if len(numbers) > 1 else np.zeros(keep.sum())
    heights = 22 - 20 * np.clip(y(numbers[keep]), 0, 1)
    points = [f"{_n(a)} {_n(b)}" for a, b in zip(x, heights, strict=True)]
    line = f'<path class="line0" d="M{"L".join(points)}{"h100" * (len(numbers) == 1)}"/>' if points else ""
    return f'<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" aria-hidden="true">{line}</svg>'


def _time(minutes: float) -> str:
    return f"{minutes:.1f} min" if minutes >= 2 else f"{60 * minutes:.0f} s"


def _down(y: Axis, value: Any) -> Any:
    return TALL * (1 - y(value))


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _p(share: float) -> str:
    return f"{100 * share:.2f}".rstrip("0").rstrip(".") + "%"
