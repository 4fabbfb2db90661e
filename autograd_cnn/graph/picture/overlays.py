"""Overlays: in every row of a picture one number and its bar, time, operations, bytes, gradients or zeros.

Reads records and what `measure` finds; gives texts and lengths of bars.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from autograd_cnn.graph.picture.layout import Overlay, Reading
from autograd_cnn.graph.picture.measure import Measures, Stats, flops, measure
from autograd_cnn.graph.records import Graph, Op
from autograd_cnn.graph.text import bytes_text, clip


def overlay_of(graph: Graph, ops: list[Op], name: str | None) -> Overlay | None:
    """The readings of `ops`, rows of the folded `graph`."""
    if name is None:
        return None
    if name not in list(OVERLAYS):  # whatever it is: a list has no hash
        raise ValueError(f"graph: overlay is {name!r}. There are {', '.join(OVERLAYS)}")
    return OVERLAYS[name](graph, ops)


def _bars(readings: dict[str, tuple[str, float]], *others: dict[str, tuple[str, float]]) -> dict[str, Reading]:
    """Lengths as shares of the largest there is."""
    most = max((n for r in (readings, *others) for _, n in r.values()), default=0) or 1
    return {op: (text, n / most) for op, (text, n) in readings.items()}


def _learnt(graph: Graph, op: Op, rules: dict[str, float]) -> dict[str, float]:
    """What the `rules` of `op` cost, by the gradients that they give."""
    given: dict[str, list[str]] = {}
    for port, v in op.inputs:
        if port in op.rules:
            name = ".".join(graph.values[v].name.split(".")[-2:])  # of a parameter its layer's name is enough
            given.setdefault(", ".join(op.rules[port].inputs), []).append(f"g_{clip(name, 16)}")
    costs: dict[str, float] = {}
    for rule, cost in rules.items():
        name = ", ".join(dict.fromkeys(given.get(rule, [rule])))
        costs[name] = costs.get(name, 0) + cost
    return costs


def _split(shares: dict[str, float], write: Callable[[float], str], unit: str) -> str:
    """``5.4 ms: g_x 3.1, g_w 2.2``; what is less than a tenth goes unsaid."""
    total = sum(shares.values())
    brief = {name: write(share).removesuffix(unit).rstrip() for name, share in shares.items() if share >= 0.1 * total}
    return f"{write(total)}: {', '.join(map(' '.join, brief.items()))}" if len(brief) > 1 else write(total)


def _ms(number: float) -> str:
    if number < 0.00995:
        return f"{1000 * number:.2g} us"
    return f"{number:#.2g} ms" if number < 9.95 else f"{number:.0f} ms"


def _flop(number: float) -> str:
    """``2.4 MFLOP``."""
    for prefix, scale in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= 0.9995 * scale:
            return f"{number / scale:.3g} {prefix}FLOP"
    return f"{number:.3g} FLOP"


def _time(graph: Graph, ops: list[Op]) -> Overlay:
    found: Measures | None = graph.measured
    if found is None or math.inf in found.forward.values():
        raise ValueError("graph: no time was taken. ag.trace(f, *args, repeat=3) does, of several runs the shortest")
    forward, backward = {}, {}
    for op in ops:
        ms = sum(found.forward[o.id] for o in op.parts or (op,))
        forward[op.id] = _ms(ms), ms
        if op.rules:
            ms = sum(sum(found.rules[o.id].values()) for o in op.parts or (op,))
            shares = {"": ms} if op.parts else _learnt(graph, op, found.rules[op.id])
            backward[op.id] = _split(shares, _ms, "us" if ms < 0.00995 else "ms"), ms
    there, back = sum(found.forward.values()), sum(sum(r.values()) for r in found.rules.values())
    caption = f"forward {_ms(there)}, backward {_ms(back)}"
    return Overlay(caption, _bars(forward, backward), _bars(backward, forward))


def _flops(graph: Graph, ops: list[Op]) -> Overlay:
    forward: dict[str, tuple[str, float]] = {}
    backward: dict[str, tuple[str, float]] = {}
    for op in ops:
        there, rules = flops(graph, op)
        forward[op.id] = _flop(there), float(there)
        shares = rules if op.parts else _learnt(graph, op, rules)
        backward[op.id] = _split(shares, _flop, "FLOP"), float(sum(rules.values()))
    counts = [flops(graph, op) for op in graph.ops]
    there, back = sum(c for c, _ in counts), sum(sum(r.values()) for _, r in counts)
    caption = f"forward {_flop(there)}, backward {_flop(back)}"
    return Overlay(caption, _bars(forward, backward), _bars(backward, forward))


def _bytes(graph: Graph, ops: list[Op]) -> Overlay:
    forward = {}
    for op in ops:
        total = sum(k.nbytes for k in op.kept or () if k.first is None and graph.counted(k))
        forward[op.id] = f"keeps {bytes_text(total)}" if total else "keeps nothing new", float(total)
    if graph.kept_bytes is None:
        raise ValueError("graph: the walk has let go of what was kept. Take the graph before backward()")
    return Overlay("bars: bytes kept", _bars(forward))


def _numbers(graph: Graph) -> Measures:
    graph.measured = graph.measured or measure(graph)
    found: Measures = graph.measured
    return found


def _faults(graph: Graph, found: Measures) -> str:
    """Where the first nan or infinity is."""
    for op in graph.ops:
        if found.values[op.output].bad:
            return f"first nan or inf in {op.name}, {op.place.file}:{op.place.line}"
    for op in reversed(graph.ops):
        for _, v in op.inputs:
            if v in found.gradients and found.gradients[v].bad:
                return f"first nan or inf in the gradient of {graph.values[v].name}"
    return ""


def _said(stats: Stats, text: str) -> str:
    return f"{stats.bad:,} nan or inf" if stats.bad else text


def _gradient(graph: Graph, ops: list[Op]) -> Overlay:
    """Root mean square of what arrives at a rule, on a scale of eight decades."""
    found = _numbers(graph)
    every = [s.rms for s in found.gradients.values() if 0 < s.rms < math.inf]
    most = max(every, default=1)

    def bar(stats: Stats) -> float:
        return 1.0 if stats.bad else max(0.02, 1 + math.log10(stats.rms / most) / 8) if stats.rms > 0 else 0.0

    arriving = {op.id: found.gradients[op.output] for op in ops if op.rules and op.output in found.gradients}
    caption = f"rms of gradients, {min(every, default=0):.1e} to {most:.1e}"
    leaves = {v: _said(s, f"{s.rms:.1e}") for v, s in found.gradients.items()}
    backward: dict[str, Reading] = {op: (_said(s, f"rms of g {s.rms:.1e}"), bar(s)) for op, s in arriving.items()}
    return Overlay(_faults(graph, found) or caption, {}, backward, leaves)


def _zeros(graph: Graph, ops: list[Op]) -> Overlay:
    found = _numbers(graph)
    forward: dict[str, Reading] = {}
    backward: dict[str, Reading] = {}
    dead = 0
    for op in ops:
        value, g = found.values[op.output], found.gradients.get(op.output)
        text = f"{100 * value.zeros:.0f} % zero"
        if value.dead and op.call.primitive.rectifies and not op.parts:
            dead += value.dead
            text += f", {value.dead:,} of {value.channels:,} dead"
        forward[op.id] = _said(value, text), value.zeros
        if g and op.rules:
            backward[op.id] = _said(g, f"{100 * g.zeros:.0f} % of g zero"), g.zeros
    caption = f"{dead:,} dead channels (0 in the whole batch)"
    return Overlay(_faults(graph, found) or caption, forward, backward)


OVERLAYS = {"time": _time, "flops": _flops, "bytes": _bytes, "gradient": _gradient, "zeros": _zeros}
