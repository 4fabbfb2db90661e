"""Measure what every operation and rule costs and yields, by running a trace again on copies of its arrays.

Operations and rules are pure functions, so each can be called again for its time: operations in order of birth, rules
in reverse, as in the walk. Reads records and the engine.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from autograd_cnn.engine.fitting import unbroadcast
from autograd_cnn.engine.mode import enable_grad
from autograd_cnn.engine.plan import Plan
from autograd_cnn.graph.player.looks import rms
from autograd_cnn.graph.records import Graph, Op, Use


@dataclass(slots=True)
class Stats:
    """Statistics of an array; `dead` of its `channels`, the last axis, are 0 everywhere."""

    rms: float
    zeros: float
    bad: int
    dead: int
    channels: int

    @classmethod
    def of(cls, array: Any) -> Stats:
        array = np.asarray(array)
        nonzero, channels, dead = np.count_nonzero(array), array.shape[-1] if array.ndim > 1 and array.size else 0, 0
        if channels and nonzero < array.size:
            dead = channels - np.count_nonzero(array.any(axis=tuple(range(array.ndim - 1))))
        bad = array.size - np.count_nonzero(np.isfinite(array))
        return cls(rms(array), 1 - nonzero / max(array.size, 1), int(bad), int(dead), channels)


@dataclass(slots=True)
class Measures:
    """Milliseconds by operation, forward and for each rule; statistics of values and of their gradients, by value."""

    forward: dict[str, float] = field(default_factory=dict)
    rules: dict[str, dict[str, float]] = field(default_factory=dict)
    values: dict[str, Stats] = field(default_factory=dict)
    gradients: dict[str, Stats] = field(default_factory=dict)


def measure(graph: Graph, repeat: int = 0) -> Measures:
    """Run `graph` again; each time is the shortest of `repeat` runs, infinite for none.

    Raises
    ------
    ValueError
        If `graph` has no arrays: `trace` keeps them.
    """
    if graph.arrays is None:
        raise ValueError("graph: the numbers are not at hand. ag.trace(f, ...) keeps what it takes to compute them")
    with enable_grad(), np.errstate(all="ignore"):  # as recorded: by-products are asked for
        return _Runner(graph, repeat).measures


class _Runner:
    def __init__(self, graph: Graph, repeat: int) -> None:
        self.repeat = repeat
        self.measures = Measures()
        self.arrays: dict[str, Any] = dict(graph.arrays or {})
        self.saved: dict[str, list[Any]] = {}
        self.g: dict[str, Any] = {}
        for op in graph.ops:
            self.measures.forward[op.id] = self.forward(op)
        if graph.loss is not None:
            self.g[graph.result] = np.ones_like(self.arrays[graph.result])
            for op in reversed(graph.ops):
                self.measures.rules[op.id] = self.backward(op)
        self.measures.values = {v: Stats.of(array) for v, array in self.arrays.items()}
        self.measures.gradients |= {v: Stats.of(g) for v, g in self.g.items()}

    def timed(self, function: Callable[..., Any], *args: Any) -> tuple[Any, float]:
        result, least = function(*args), math.inf
        for _ in range(self.repeat):
            start = perf_counter()
            function(*args)
            least = min(least, perf_counter() - start)
        return result, 1000 * least

    def forward(self, op: Op) -> float:
        if op.call.inside:
            spent = sum(map(self.forward, op.call.inside.ops))
            self.arrays[op.output] = self.arrays[op.call.inside.result]
            return spent
        primitive = op.call.primitive
        values = [self.argument(a) for a in op.call.arguments]
        if primitive.sequence:
            out, ms = self.timed(primitive.compute, values, op.ports.count(primitive.sequence))
        else:
            out, ms = self.timed(primitive.raw, *values)
        out, *byproducts = out if primitive.byproducts else (out,)
        self.arrays[op.output] = np.asarray(out)
        self.saved[op.id] = [*values, self.arrays[op.output], *byproducts]
        return ms

    def argument(self, value: Any) -> Any:
        if isinstance(value, Use):
            array = self.arrays[value.value.id]
            return array.item() if value.cast == "item" else array.astype(value.cast) if value.cast else array
        return tuple(map(self.argument, value)) if isinstance(value, tuple) else value

    def backward(self, op: Op) -> dict[str, float]:
        """Add the contributions of the rules of `op`; what they took, by input."""
        if op.output not in self.g or not op.rules:
            return {}
        g = self.g.pop(op.output)
        self.measures.gradients[op.output] = Stats.of(g)
        if op.call.inside:  # run again, and walked
            self.g[op.call.inside.result] = g
            walked = [ms for inner in reversed(op.call.inside.ops) for ms in self.backward(inner).values()]
            return {"again": sum(map(self.forward, op.call.inside.ops)), "walked": sum(walked)}
        primitive = op.call.primitive
        spent: dict[str, float] = {}
        elements = op.ports.count(primitive.sequence) if primitive.sequence else 0
        plan = Plan(primitive, sum(1 << port for port in op.rules), elements)
        saved = plan.keep(self.saved[op.id])
        for positions, rule, pick in plan.steps:
            result, ms = self.timed(rule.function, g, *pick(saved))
            spent[rule.name] = spent.get(rule.name, 0) + ms
            for position, c in zip(positions, result if rule.joint else [result], strict=True):
                if position is not None:
                    spent[rule.name] += self.receive(op.call.arguments[position].value, c)
        return spent

    def receive(self, value: Any, c: Any) -> float:
        """Add a contribution; what it took to undo its broadcasting."""
        c, ms = np.asarray(c), 0.0
        if c.shape != value.shape:
            c, ms = self.timed(unbroadcast, c, value.shape)
        c = c.astype(value.dtype, copy=False)
        self.g[value.id] = self.g[value.id] + c if value.id in self.g else c
        return ms


def flops(graph: Graph, op: Op) -> tuple[int, dict[str, float]]:
    """Count the floating-point operations of `op` and of each of its rules, by input.

    The primitive declares its count, and each of its rules costs as much; only the rule of an addend (a bias), which
    asks for no input where others do, sums `g`. A primitive that moves elements has none; any other has one an element.
    """
    if parts := op.parts or (op.call.inside.ops if op.call.inside else ()):
        counts = [flops(graph, part) for part in parts]
        return sum(count for count, _ in counts), {"": sum(sum(rules.values()) for _, rules in counts)}
    primitive, out = op.call.primitive, graph.values[op.output]
    declared = _declared(op, out.shape) if primitive.flops else 0
    elements = 0 if primitive.moves else max(out.size, *(graph.values[v].size for _, v in op.inputs))
    factors = [name for name, rule in primitive.rules.items() if not primitive.rules.keys().isdisjoint(rule.asks)]
    rules: dict[str, float] = {}
    for port, rule in op.rules.items():
        name = ", ".join(rule.inputs)
        if len(rule.inputs) == 1 or name not in rules:  # a joint rule runs once
            addend = factors and op.ports[port] not in factors
            rules[name] = rules.get(name, 0) + (elements if not declared else out.size if addend else declared)
    return declared or elements, rules


def _declared(op: Op, out_shape: tuple[int, ...]) -> int:
    """Call the primitive's `flops` with what its parameters name: options, and shapes of inputs and of the output."""

    def named(ask: str) -> Any:
        name = ask if ask in op.ports else ask.removesuffix("_shape")
        found = [a for port, a in zip(op.ports, op.call.arguments, strict=True) if port == name]
        if name != ask:
            found = [a.value.shape if isinstance(a, Use) else np.shape(a) for a in found]
        return out_shape if name == "out" else found if name == primitive.sequence else found[0]

    primitive = op.call.primitive
    count: int = primitive.flops(**{ask: named(ask) for ask in inspect.signature(primitive.flops).parameters})
    return count
