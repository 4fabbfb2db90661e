"""Measures the time, values and gradients of every operation and rule by running the program of a trace.

Operations and rules are pure functions, so each can be run again to be timed. Reads records and the program.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import signature
from time import perf_counter
from typing import Any

import numpy as np

from autograd_cnn.nn.functions import dead_channels
from autograd_cnn.studio.program.listing import rms
from autograd_cnn.studio.program.program import as_recorded
from autograd_cnn.studio.program.write import Author, asked
from autograd_cnn.studio.records import Graph, Op


@dataclass(slots=True)
class Stats:
    """Statistics of an array; its last axis has `channels` channels, and `dead` of them are 0 everywhere."""

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
            dead = dead_channels(array).sum()
        bad = array.size - np.count_nonzero(np.isfinite(array))
        return cls(rms(array), 1 - nonzero / max(array.size, 1), int(bad), int(dead), channels)


@dataclass(slots=True)
class Measures:
    """Milliseconds of operations and of all their rules, if they were timed; statistics by value."""

    forward: dict[str, float] = field(default_factory=dict)
    rules: dict[str, float] = field(default_factory=dict)
    values: dict[str, Stats] = field(default_factory=dict)
    gradients: dict[str, Stats] = field(default_factory=dict)


def measure(graph: Graph, repeat: int = 0) -> Measures:
    """Run `graph` again, and keep the statistics and, if each part runs `repeat` more times, its shortest time.

    Raises
    ------
    ValueError
        If `graph` has no arrays, because `trace` did not make it.
    """
    if graph.arrays is None:
        raise ValueError("graph: the numbers are not at hand. ag.trace(f, ...) keeps what it takes to compute them")
    found = Measures()

    def ran(op: Op, rule: Any, again: Callable[[], Any]) -> None:
        shortest = math.inf
        for _ in range(repeat):
            start = perf_counter()
            again()
            shortest = min(shortest, perf_counter() - start)
        times = found.forward if rule is None else found.rules
        times[op.id] = times.get(op.id, 0) + 1000 * shortest

    author = Author(graph, ran=ran if repeat else None)
    with as_recorded():
        author.write()
        for v in graph.values.values():
            name, gradient = author.name(v), author.gradient(v)
            if name in author.scope:
                found.values[v.id] = Stats.of(author.scope[name])
            if graph.loss is not None and gradient in author.received:  # else the graph is forward only
                found.gradients[v.id] = Stats.of(author.scope[gradient])
    graph.measured = found
    if graph.loss is None:
        found.rules.clear()
    return found


def flops(graph: Graph, op: Op) -> tuple[float, float]:
    """Count the floating-point operations of `op`, and of all its rules.

    If the primitive declares a count, each of its rules has the same count. The exception is the rule of an addend,
    such as a bias: it only sums `g`, and is recognised because it takes no input while other rules do. Without a
    declared count, a primitive that moves elements counts 0, and any other counts 1 per element of its largest array.
    """
    primitive, out = op.call.primitive, graph.values[op.output]
    asks = signature(primitive.flops).parameters if primitive.flops else ()
    declared = primitive.flops(**{ask: asked(op, ask, out) for ask in asks}) if primitive.flops else 0
    elements = 0 if primitive.moves else max(out.size, *(graph.values[v].size for _, v in op.inputs))
    factors = [name for name, rule in primitive.rules.items() if not primitive.rules.keys().isdisjoint(rule.needs)]
    backward = 0
    for _, rule in op.call.steps:  # a joint rule runs once for all its inputs
        addend = factors and rule.inputs[0] not in factors
        backward += elements if not declared else out.size if addend else declared
    return declared or elements, backward
