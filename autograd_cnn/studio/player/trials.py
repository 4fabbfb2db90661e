"""Runs the forward lines of the program again from a changed number on, and chooses the numbers that are examples.

So the page tells what happens to the loss when a number is raised, and what one number does to an operation's result.
"""

from __future__ import annotations

import math
from collections import namedtuple
from typing import Any

import numpy as np

from autograd_cnn.nn.functions import alive_channels
from autograd_cnn.studio.player.array_views import Views
from autograd_cnn.studio.player.lines import Refusal, attempt, result_at
from autograd_cnn.studio.player.mistakes import LARGEST, STEP
from autograd_cnn.studio.player.wording import bare
from autograd_cnn.studio.program.measure import flops
from autograd_cnn.studio.program.write import Author
from autograd_cnn.studio.records import Op, Value
from autograd_cnn.studio.text import clip

RAISE = 0.01  # of a number that is tried
EFFORT, RUNS = 1.2e9, 4000  # floating-point operations and lines for all trials

# A contribution to a gradient: the operation whose rule made it; its expression, if a line adds it alone; the numbers,
# if they are kept; and their look, if there are several contributions
Share = namedtuple("Share", "op expression array look")
Pick = namedtuple("Pick", "i name x g")  # the element that is the example: its flat index, name, number and gradient


class Trials:
    """Tries a written program; `shares` are the contributions to each gradient, in the order of the walk.

    `expressions` are the user's expressions of operations whose results have no name, or "". Unless the graph is shown
    whole, nothing is tried.
    """

    def __init__(
        self, author: Author, shares: dict[str, list[Share]], expressions: dict[str, str], views: Views
    ) -> None:
        self.expressions, self.views, self.whole = expressions, views, views.whole
        self.author, self.graph, self.shares = author, author.graph, shares
        self.values, self.ops, self.scope = author.graph.values, author.graph.ops, author.scope
        self.result = self.values[self.graph.result]
        self.end = clip(self.result.name)
        self.goal = "the loss" if self.graph.loss is not None else f"the sum of {self.end}"
        self.lines = dict(zip([op.id for op in self.ops], author.forward_lines, strict=True))
        self.codes = {op: compile(line, "<forward>", "exec") for op, line in self.lines.items()}
        self.costs = [flops(self.graph, op)[0] for op in self.ops] if self.whole else []
        self.mine: dict[tuple[str, str], list[int]] = {}  # operation, value -> the indices of its shares
        for v, all_ in shares.items():
            for k, share in enumerate(all_):
                self.mine.setdefault((share.op.id, v), []).append(k)
        self.learnt = [v for v in author.learnt() if v.size and is_float(self.array(v))]
        back = [op.id for op, lines in zip(reversed(self.ops), author.backward_lines, strict=True) if lines]
        self.back = {op: len(self.ops) + 2 + k for k, op in enumerate(back)}  # operation -> its step on the way back
        self.makers = {op.output: op for op in self.ops}
        self.picks: dict[str, Pick] = {}
        self.double: dict[str, Any] = {}  # the whole scope in float64; empty if the program does not run in it
        self.known: dict[tuple[str, str, int], Any] = {}  # operation, value, element -> slopes
        self.trials: dict[str, tuple[float, float]] = {}  # value -> loss after its example is raised, change
        if self.whole:
            double = {n: np.asarray(a, np.float64) if is_float(a) else a for n, a in self.scope.items()}
            loss = self.run(double, set(author.inputs))
            if not isinstance(loss, Refusal):
                self.base, self.double = loss, double
                self.follow()
                self.try_examples()

    def array(self, value: Value) -> Any:
        return self.scope.get(self.author.name(value))

    def pick(self, value: Value) -> Pick:
        if value.id in self.picks:
            return self.picks[value.id]
        return self.choose(value, np.reshape(self.scope[self.author.gradient(value)], -1))

    def choose(self, value: Value, scores: Any) -> Pick:
        """Make the element with the largest of `scores` the example, if possible one that is drawn."""
        places, scores = self.views.drawn(value) if self.whole else None, np.abs(np.nan_to_num(scores))
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
                slopes = self.slopes(op, value, self.pick(value).i) if value.size else Refusal("no elements")
                if not isinstance(slopes, Refusal):
                    terms = slopes * np.reshape(self.scope[self.author.gradient(out)], -1)
                    if np.any(np.nan_to_num(terms)):
                        self.choose(out, terms)

    def named(self, value: Value, i: int) -> str:
        """Return the name of the i-th element: ``h[2, 5]``."""
        place = ", ".join(str(int(k)) for k in np.unravel_index(i, value.shape))
        return clip(value.name) + (f"[{place}]" if value.shape else "")

    def run(self, scope: dict[str, Any], stale: set[str]) -> float | Refusal:
        """Run in `scope` the lines that read the names `stale` or the results of such lines; return the loss."""

        def loss() -> float:
            for op in self.ops:
                if any(self.author.name(self.values[v]) in stale for _, v in op.inputs):
                    exec(self.codes[op.id], scope)
                    stale.add(self.author.name(self.values[op.output]))
            return float(np.sum(scope[self.author.name(self.result)]))

        return attempt(loss)

    def try_examples(self) -> None:
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
            if not isinstance(after, Refusal) and math.isfinite(after - self.base):
                self.trials[value.id] = after, after - self.base

    def slopes(self, op: Op, value: Value, i: int) -> Any:
        """Return how fast each number of the result of `op` changes when the i-th number in `value` is raised.

        Return a `Refusal` if there are too many numbers, or if the operation does not run in float64.
        """
        key, out, name = (op.id, value.id, i), self.values[op.output], self.author.name(value)
        if max(out.size, value.size) > 4 * LARGEST:
            return Refusal("too large")

        def differences() -> Any:
            step, result = STEP * max(1.0, abs(float(self.double[name].flat[i]))), self.author.name(out)
            ends = (result_at(self.codes[op.id], self.double, name, i, move, result) for move in (step, -step))
            up, down = (np.reshape(np.asarray(end, np.float64), -1) for end in ends)
            return (up - down) / (2 * step)

        if key not in self.known:
            self.known[key] = attempt(differences)
        return self.known[key]

    def changed(self, op: Op, value: Value) -> int:
        """Return how many numbers of the result of `op` the example of `value` changes; 1 if that cannot be tried."""
        slopes = self.slopes(op, value, self.pick(value).i) if value.size else Refusal("no elements")
        if isinstance(slopes, Refusal) or not slopes.size:
            return 1
        return int(np.count_nonzero(np.abs(slopes) > STEP * np.abs(slopes).max()))

    def words(self, value: Value) -> str:
        """Return the name of a value, or the expression that makes it if the user's code gives it no name."""
        op = self.makers.get(value.id)
        return (bare(self.expressions[op.id]) if op else "") or clip(value.name)

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
