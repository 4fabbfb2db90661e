"""Computes overlays: a number and a bar in every row of a picture, for time, FLOP, bytes, gradients or zeros.

Reads records and measurements, and returns texts and lengths of bars.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from functools import partial

from autograd_cnn.studio.picture.layout import Overlay, Reading
from autograd_cnn.studio.program.measure import Measures, Stats, flops, measure
from autograd_cnn.studio.records import Graph, Op
from autograd_cnn.studio.text import bytes_text

Cost = tuple[float, float]  # of an operation, and of all its rules


def overlay_of(graph: Graph, ops: list[Op], name: str | None) -> Overlay | None:
    """Return the overlay `name` for `ops`, the rows of the folded `graph`; None if `name` is None."""
    if name is None:
        return None
    if name not in list(OVERLAYS):  # not in the dict, since `name` may be a list, which has no hash
        raise ValueError(f"graph: overlay is {name!r}. There are {', '.join(OVERLAYS)}")
    return OVERLAYS[name](graph, ops)


def _bars(readings: dict[str, tuple[str, float]], *others: dict[str, tuple[str, float]]) -> dict[str, Reading]:
    """Divide the numbers of `readings` by the largest number in them and in `others`."""
    largest = max((n for r in (readings, *others) for _, n in r.values()), default=0) or 1
    return {op: (text, n / largest) for op, (text, n) in readings.items()}


def _costs(graph: Graph, ops: list[Op], cost: Callable[[Op], Cost], write: Callable[[float], str]) -> Overlay:
    """Return the overlay of `cost`; the cost of a folded row is the sum of those of its parts."""
    costs = {op.id: cost(op) for op in graph.ops}
    forward, backward = {}, {}
    for op in ops:
        own, back = _sums([costs[part.id] for part in op.parts or (op,)])
        forward[op.id] = write(own), own
        if op.rules:
            backward[op.id] = write(back), back
    own, back = _sums(costs.values())
    return Overlay(f"forward {write(own)}, backward {write(back)}", _bars(forward, backward), _bars(backward, forward))


def _sums(costs: Collection[Cost]) -> Cost:
    return sum(own for own, _ in costs), sum(back for _, back in costs)


def _ms(number: float) -> str:
    if number < 0.00995:
        return f"{1000 * number:.2g} us"
    return f"{number:#.2g} ms" if number < 9.95 else f"{number:.0f} ms"


def _flop(number: float) -> str:
    """Format a number of operations as ``2.4 MFLOP``."""
    power = next((k for k in (4, 3, 2, 1) if number >= 0.9995 * 1000**k), 0)
    return f"{number / 1000**power:.3g} {['', *'kMGT'][power]}FLOP"


def _time(graph: Graph, ops: list[Op]) -> Overlay:
    found: Measures | None = graph.measured
    if found is None or not found.forward:
        raise ValueError("graph: no time was taken. ag.trace(f, *args, repeat=3) does, of several runs the shortest")
    forward, rules = found.forward, found.rules  # without the rules of a computation that has no backward pass
    return _costs(graph, ops, lambda op: (forward[op.id], rules.get(op.id, 0)), _ms)


def _flops(graph: Graph, ops: list[Op]) -> Overlay:
    return _costs(graph, ops, partial(flops, graph), _flop)


def _bytes(graph: Graph, ops: list[Op]) -> Overlay:
    if graph.kept_bytes is None:
        raise ValueError("graph: the saved arrays were freed. Take the graph before backward()")
    totals = {op.id: sum(k.nbytes for k in graph.added(op)) for op in ops}
    texts = {op: f"keeps {bytes_text(total) if total else 'nothing new'}" for op, total in totals.items()}
    return Overlay("bars: bytes kept", _bars({op: (texts[op], total) for op, total in totals.items()}))


def _faults(graph: Graph, found: Measures) -> str:
    """Report the place of the first nan or infinity, if there is one."""
    for op in graph.ops:
        if found.values[op.output].bad:
            return f"first nan or inf in {op.name}, {op.place.file}:{op.place.line}"
    for op in reversed(graph.ops):
        for _, v in op.inputs:
            if v in found.gradients and found.gradients[v].bad:
                return f"first nan or inf in the gradient of {graph.values[v].name}"
    return ""


def _or_fault(stats: Stats, text: str) -> str:
    return f"{stats.bad:,} nan or inf" if stats.bad else text


def _gradient(graph: Graph, ops: list[Op]) -> Overlay:
    """Return the root mean square of the gradient that each rule receives, on a scale of eight decades."""
    found: Measures = graph.measured or measure(graph)
    every = [s.rms for s in found.gradients.values() if 0 < s.rms < math.inf]
    largest = max(every, default=1)

    def bar(stats: Stats) -> float:
        return 1.0 if stats.bad else max(0.02, 1 + math.log10(stats.rms / largest) / 8) if stats.rms > 0 else 0.0

    incoming = {op.id: found.gradients[op.output] for op in ops if op.rules and op.output in found.gradients}
    caption = f"rms of gradients, {min(every, default=0):.1e} to {largest:.1e}"
    leaves = {v: _or_fault(s, f"{s.rms:.1e}") for v, s in found.gradients.items()}
    backward: dict[str, Reading] = {op: (_or_fault(s, f"rms of g {s.rms:.1e}"), bar(s)) for op, s in incoming.items()}
    return Overlay(_faults(graph, found) or caption, {}, backward, leaves)


def _zeros(graph: Graph, ops: list[Op]) -> Overlay:
    found, dead = graph.measured or measure(graph), 0
    forward: dict[str, Reading] = {}
    backward: dict[str, Reading] = {}
    for op in ops:
        value, g = found.values[op.output], found.gradients.get(op.output)
        text = f"{100 * value.zeros:.0f} % zero"
        if value.dead and op.call.primitive.rectifies and not op.parts:
            dead += value.dead
            text += f": {value.dead:,} of {value.channels:,} dead"
        forward[op.id] = _or_fault(value, text), value.zeros
        if g and op.rules:
            backward[op.id] = _or_fault(g, f"{100 * g.zeros:.0f} % zero: arriving g"), g.zeros
    caption = f"{dead:,} dead channels (0 in the whole batch)"
    return Overlay(_faults(graph, found) or caption, forward, backward)


OVERLAYS = {"time": _time, "flops": _flops, "bytes": _bytes, "gradient": _gradient, "zeros": _zeros}
