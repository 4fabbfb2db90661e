"""Measures what every operation and rule costs and yields, by running the derived program of a trace.

Operations and rules are pure functions, so each can be run again for its time. Reads records and the program.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from autograd_cnn.graph.program.listing import rms
from autograd_cnn.graph.program.write import Author, as_recorded, every
from autograd_cnn.graph.records import Graph, Op, Value
from autograd_cnn.ops.linalg import _letters


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
    with as_recorded():
        return _Watch(graph, repeat).measured()


class _Watch(Author):
    """Takes the time of every operation and rule while the program is written, and then reads the arrays."""

    def __init__(self, graph: Graph, repeat: int) -> None:
        super().__init__(graph)
        self.repeat = repeat
        self.whole = {part.id: op.id for op in graph.ops for part in every([op])}  # of a checkpoint's operation
        self.forward_ms = {op.id: 0.0 for op in graph.ops}
        self.rules_ms: dict[str, dict[str, float]] = {op.id: {} for op in graph.ops}

    def measured(self) -> Measures:
        self.write()
        values = self.graph.values.values()
        known = {v.id: Stats.of(self.scope[name]) for v in values if (name := self.name(v)) in self.scope}
        if self.graph.loss is None:  # forward only: nobody has given the gradient of the result
            return Measures(self.forward_ms, {op.id: {} for op in self.graph.ops}, known)
        for op in self.graph.ops:
            if op.call.inside and op.rules:
                self.rules_ms[op.id]["again"] = self.forward_ms[op.id]
        gradients = {v.id: Stats.of(self.scope[g]) for v in values if (g := self.gradient(v)) in self.received}
        return Measures(self.forward_ms, self.rules_ms, known, gradients)

    def ran(self, op: Op, rule: Any, again: Callable[[], Any]) -> None:
        least = math.inf
        for _ in range(self.repeat):
            start = perf_counter()
            again()
            least = min(least, perf_counter() - start)
        whole = self.whole[op.id]
        if rule is None:
            self.forward_ms[whole] += 1000 * least
        else:
            name = rule.name if whole == op.id else "walked"
            self.rules_ms[whole][name] = self.rules_ms[whole].get(name, 0) + 1000 * least

    def into(self, op: Op, rule: Any, value: Value, texts: list[str]) -> Callable[[], Any]:
        again, name = super().into(op, rule, value, texts), self.gradient(value)
        gradient, self.scope[name] = self.scope[name], self.scope[name].copy()
        self.ran(op, rule, again)
        self.scope[name] = gradient
        return again


def _einsum(op: Op, out: Any, shapes: Any) -> int:
    operands = [shape for name, shape in shapes if name == "operands"]
    terms, _ = _letters(op.call.arguments[0], operands)
    return math.prod(dict(zip("".join(terms), (n for shape in operands for n in shape), strict=True)).values())


# Multiplications of a product, by the shapes of its output and of its inputs.
PRODUCTS: dict[str, Callable[[Op, Any, Any], int]] = {
    "conv2d": lambda op, out, shapes: math.prod((*out, *dict(shapes)["w"][:-1])),
    "conv_transpose2d": lambda op, out, shapes: math.prod((*dict(shapes)["x"], *dict(shapes)["w"][:-1])),
    "conv2d_weight_gradient": lambda op, out, shapes: math.prod((*dict(shapes)["gy"], *out[:-1])),
    "matmul": lambda op, out, shapes: math.prod((*out, dict(shapes)["x"][-1])),
    "linear": lambda op, out, shapes: math.prod((*out, dict(shapes)["x"][-1])),
    "einsum": _einsum,
}
MOVES = {
    "broadcast_to", "concatenate", "expand_dims", "flatten", "flip", "getitem", "pad", "reshape", "squeeze", "stack",
    "take", "transpose",
}  # fmt: skip


def flops(graph: Graph, op: Op) -> tuple[int, dict[str, float]]:
    """Floating-point operations of `op` and of its rules, a multiplication with its addition as 2.

    Products of matrices and convolutions are counted, and each of their rules is a product of the same size; what
    moves elements has none; anything else is taken for one operation an element.
    """
    if parts := op.parts or (op.call.inside.ops if op.call.inside else ()):
        counts = [flops(graph, part) for part in parts]
        return sum(count for count, _ in counts), {"": sum(sum(rules.values()) for _, rules in counts)}
    shapes = [(op.ports[p], graph.values[v].shape) for p, v in op.inputs]
    out = graph.values[op.output]
    product = 2 * PRODUCTS[op.name](op, out.shape, shapes) if op.name in PRODUCTS else 0
    elements = 0 if op.name in MOVES else max(out.size, *(math.prod(shape) for _, shape in shapes))
    rules: dict[str, float] = {}
    for port, rule in op.rules.items():
        name = ", ".join(rule.inputs)
        if len(rule.inputs) == 1 or name not in rules:  # a joint rule runs once
            cost = elements if not product else out.size if op.ports[port] == "b" else product
            rules[name] = rules.get(name, 0) + cost
    return product or elements, rules
