"""Runs the forward lines of the program again from a changed number on, and chooses the numbers that are examples.

So the page tells what happens to the loss when a number is raised, and what one number does to an operation's result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from autograd_cnn.ops.activations import alive_channels
from autograd_cnn.studio.picture.measure import flops
from autograd_cnn.studio.player.mistakes import LARGEST, STEP
from autograd_cnn.studio.program.write import Author
from autograd_cnn.studio.records import Op, Value
from autograd_cnn.studio.text import clip

RAISE = 0.01  # of a number that is tried
EFFORT, RUNS = 1.2e9, 4000  # floating-point operations and lines for all trials


@dataclass(slots=True)
class Share:
    """A contribution to a gradient: the operation whose rule made it, its line, and the numbers if they are kept."""

    op: Op
    line: str
    array: Any


class Pick(NamedTuple):
    """The element of a value that is the example: its flat index, name, number and gradient."""

    i: int
    name: str
    x: Any
    g: Any


class Trials:
    """Tries a written program; `shares` are the contributions to each gradient, in the order of the walk.

    `called` returns the expression of an operation whose result has no name, or "", and `drawn` the flat indices of the
    elements of a value that the page draws, or None. Unless the graph is shown `whole`, nothing is tried.
    """

    def __init__(
        self,
        author: Author,
        shares: dict[str, list[Share]],
        called: Callable[[Op], str],
        drawn: Callable[[Value], Any],
        whole: bool,
    ) -> None:
        self.called, self.drawn = called, drawn
        self.author, self.graph, self.shares, self.whole = author, author.graph, shares, whole
        self.values, self.ops, self.scope = author.graph.values, author.graph.ops, author.scope
        self.result = self.values[self.graph.result]
        self.end = clip(self.result.name)
        self.goal = "the loss" if self.graph.loss is not None else f"the sum of {self.end}"
        self.codes = {
            op.id: compile(t, "<forward>", "exec") for op, t in zip(self.ops, author.forward_lines, strict=True)
        }
        self.costs = [flops(self.graph, op)[0] for op in self.ops] if whole else []
        self.mine: dict[tuple[str, str], list[int]] = {}  # operation, value -> the indices of its shares
        for v, all_ in shares.items():
            for k, share in enumerate(all_):
                self.mine.setdefault((share.op.id, v), []).append(k)
        self.learnt = [v for v in author.learnt() if v.size and is_float(self.array(v))]
        back = [op.id for op, lines in zip(reversed(self.ops), author.backward_lines, strict=True) if lines]
        self.back = {op: len(self.ops) + 2 + k for k, op in enumerate(back)}  # operation -> its step on the way back
        self.makers = {op.output: op for op in self.ops}
        self.picks: dict[str, Pick] = {}
        self.double: dict[str, Any] = {}
        self.known: dict[tuple[str, str, int], Any] = {}  # operation, value, element -> slopes
        self.trials: dict[str, tuple[float, float]] = {}  # value -> loss after its example is raised, change
        if whole:
            with suppress(Exception):  # a user's operation that needs its own dtype, or arrays that are not at hand
                double = {n: np.asarray(a, np.float64) if is_float(a) else a for n, a in self.scope.items()}
                self.base = self.run(double, set(author.inputs))
                self.double = double
                self.follow()
                self.tried()

    def array(self, value: Value) -> Any:
        return self.scope.get(self.author.name(value))

    def pick(self, value: Value) -> Pick:
        if value.id in self.picks:
            return self.picks[value.id]
        return self.chosen(value, np.reshape(self.scope[self.author.gradient(value)], -1))

    def chosen(self, value: Value, scores: Any) -> Pick:
        """Make the element with the largest of `scores` the example, if possible one that is drawn."""
        places, scores = self.drawn(value) if self.whole else None, np.abs(np.nan_to_num(scores))
        if places is None or not scores[places].any():
            places = np.arange(scores.size)
        i = int(places[np.argmax(scores[places])])
        x, g = self.array(value), np.reshape(self.scope[self.author.gradient(value)], -1)
        self.picks[value.id] = Pick(i, self.named(value, i), x if x is None else np.reshape(x, -1)[i], g[i])
        return self.picks[value.id]

    def follow(self) -> None:
        """Choose the examples along one way: of each result, the element to which that of the input matters most."""
        for op in self.ops:
            given = [self.values[v] for p, v in op.inputs if p in op.rules]
            if op.id in self.back and given:
                value, out = next((v for v in given if v.id in self.picks), given[0]), self.values[op.output]
                with suppress(Exception):
                    terms = self.slopes(op, value, self.pick(value).i) * np.reshape(
                        self.scope[self.author.gradient(out)], -1
                    )
                    if np.any(np.nan_to_num(terms)):
                        self.chosen(out, terms)

    def named(self, value: Value, i: int) -> str:
        """Return the name of the i-th element: ``h[2, 5]``."""
        place = ", ".join(str(int(k)) for k in np.unravel_index(i, value.shape))
        return clip(value.name) + (f"[{place}]" if value.shape else "")

    def run(self, scope: dict[str, Any], stale: set[str]) -> float:
        """Run in `scope` the lines that read the names `stale` or the results of such lines; return the loss."""
        for op in self.ops:
            if any(self.author.name(self.values[v]) in stale for _, v in op.inputs):
                exec(self.codes[op.id], scope)
                stale.add(self.author.name(self.values[op.output]))
        return float(np.sum(scope[self.author.name(self.result)]))

    def tried(self) -> None:
        """Raise the example of each value, first of those that are learnt, while that is cheap."""
        first: dict[str, int] = {}
        for k, op in enumerate(self.ops):
            for _, v in op.inputs:
                first.setdefault(v, k)
        runs, effort = RUNS, EFFORT
        for value in {v.id: v for v in [*self.learnt, *(self.values[v] for v in self.shares)]}.values():
            start, name = first.get(value.id, len(self.ops)), self.author.name(value)
            runs, effort = runs - len(self.ops) + start, effort - sum(self.costs[start:])
            if min(runs, effort) < 0 or not value.size or value is self.result or not is_float(self.double.get(name)):
                continue
            raised = np.array(self.double[name])
            raised.flat[self.pick(value).i] += RAISE
            after = self.run({**self.double, name: raised}, {name})
            if math.isfinite(after - self.base):
                self.trials[value.id] = after, after - self.base

    def slopes(self, op: Op, value: Value, i: int) -> Any:
        """Return how fast each number of the result of `op` changes when the i-th number in `value` is raised."""
        if (key := (op.id, value.id, i)) in self.known:
            return self.known[key]
        out, name = self.values[op.output], self.author.name(value)
        if max(out.size, value.size) > 4 * LARGEST:
            raise ValueError
        step, ends = STEP * max(1.0, abs(float(self.double[name].flat[i]))), []
        for move in (step, -step):
            raised = np.array(self.double[name])
            raised.flat[i] += move
            scope = {**self.double, name: raised}
            exec(self.codes[op.id], scope)
            ends.append(np.reshape(np.asarray(scope[self.author.name(out)], np.float64), -1))
        return self.known.setdefault(key, (ends[0] - ends[1]) / (2 * step))

    def changed(self, op: Op, value: Value) -> int:
        """Return how many numbers of the result of `op` the example of `value` changes; 1 if that cannot be tried."""
        if not self.double:
            return 1
        with suppress(Exception):  # the operation does not run in float64, or is large
            slopes = np.abs(self.slopes(op, value, self.pick(value).i))
            return int(np.count_nonzero(slopes > STEP * slopes.max()))
        return 1

    def rectified(self, op: Op) -> bool:
        """Return whether `op` is a relu of an array at hand."""
        if len(op.inputs) != 1 or not op.call.primitive.rectifies:
            return False
        out, x = self.array(self.values[op.output]), self.array(self.values[op.inputs[0][1]])
        return is_float(out) and is_float(x) and np.size(out) > 1 and bool(np.shape(x) == np.shape(out))

    def passing(self, op: Op) -> int | None:
        """Return the example of a relu if it is above 0, or its largest element."""
        y = np.reshape(self.array(self.values[op.output]), -1)
        i = self.picks[op.output].i if op.output in self.picks else 0
        i = i if y[i] > 0 else int(np.argmax(y))
        return i if y[i] > 0 else None

    def blocked(self, op: Op) -> int | None:
        """Return an element at which a relu is 0: of a dead channel, if there is one."""
        y = self.array(self.values[op.output])
        shut = y == 0
        if len(dead := self.dead(op)) and y.ndim > 1:
            shut = shut & np.isin(np.arange(y.shape[-1]), dead)
        g = self.scope.get(self.author.gradient(self.values[op.output]))
        scores = np.where(shut, 1.0 if g is None else np.abs(g) + 1e-30, 0)
        return int(np.argmax(scores)) if shut.any() else None

    def dead(self, op: Op) -> Any:
        """Return the channels that are 0 in the whole batch."""
        return np.flatnonzero(~alive_channels(np.asarray(self.array(self.values[op.output]))))


def is_float(array: Any) -> bool:
    return isinstance(array, (np.ndarray, np.generic, float)) and np.asarray(array).dtype.kind == "f"
