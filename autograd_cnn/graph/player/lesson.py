"""Teaches the steps of the player: what each means, the chain rule with its numbers, trials, and the update.

The forward lines of the program run again from a changed number on, so the page tells what happens to the loss when
this number is raised, or when all parameters take a step against their gradients.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from autograd_cnn.graph.picture.measure import flops
from autograd_cnn.graph.player.broken import LARGEST, STEP
from autograd_cnn.graph.program.expressions import parsed, renamed
from autograd_cnn.graph.program.write import Author
from autograd_cnn.graph.records import Op, Value
from autograd_cnn.graph.text import clip, count_text, listed, shape_text

RAISE = 0.01  # of a number that is tried
EFFORT, RUNS = 1.2e9, 4000  # floating-point operations and lines for all trials
RATES = [0.03, 0.1, 0.3, 1, 3, 10, 30]  # times a rate that would remove a tenth to all of the loss, were it a plane
SHOWN, MANY, FAR, ENDS = 5, 4, 100, 0.02  # shares, parameters; ratio between layers, distance from the end of a range
TERMS = {
    "begin": "Loss: the number at the end, to be made small. Gradient: how fast the loss changes when one number is "
    "raised.",
    "loss": "g_{0} is short for the gradient of the loss with respect to {0}; calculus writes d loss / d {0}.",
    "backward": "Local slope: how fast the result of one operation changes when its input is raised. Rule: the line "
    "that multiplies the incoming gradient by it. Kept: what stayed in memory because a rule needs it. Check: a "
    "gradient predicts a straight line, which only nearly fits. Numbers are shown with four digits, so a product of "
    "two can differ in the last.",
}
ARRAYS = (
    " Parameters: the numbers that training changes. Batch: the items that run together, along the first axis. "
    "Channel: one place on the last axis, as a colour of an image or what one filter makes."
)
INDEX = " In brackets: [item, row, column, channel]; of filters [row, column, input channel, filter]."
DEAD = "Where relu gives 0 its slope is 0: nothing comes back. A channel that is 0 for all items never learns."
ADD = (
    "Raise {0} a little: each way changes the loss a little, and the changes add up. For example, x × x uses x twice, "
    "and its slope is x + x = 2x."
)
MINUS = "Where g is above 0, raising the number raises the loss, so it goes down; where g is below 0, it goes up."


def number(x: Any, short: str = "") -> str:
    """Format a number with four digits, followed by all of its digits between characters that no name contains."""
    short = (short or f"{x if np.iscomplexobj(x) else float(x):.4g}").replace("-", "−")
    return f"\ue000{short}\ue001{x}\ue002" if short != str(x) else f"\ue000{short}\ue002"


def signed(x: Any) -> str:
    """Format a number for use in an expression: in parentheses if it is negative."""
    return f"({number(x)})" if np.iscomplexobj(x) or float(x) < 0 else number(x)


def brief(x: float, digits: int = 2) -> str:
    """Format a small change, without an exponent if it has few zeros."""
    rounded = float(f"{x:.{digits}g}")
    plain = not rounded or 1e-8 < abs(rounded) < 1e6
    return np.format_float_positional(rounded, trim="-") if plain else f"{x:.{digits}g}"


def apart(before: float, after: float) -> list[str]:
    """Format two numbers and how far they are apart; the third is the difference of the first two as they are shown."""
    change = abs(after - before)
    digits = max(4, 2 - math.floor(math.log10(change))) if 0 < change < math.inf else 4
    if digits > 12 or not abs(before) + abs(after) < 1e6:
        return [number(before), number(after), number(change, brief(change, 3))]
    shown = [f"{float(x):.{digits}f}" for x in (before, after)]
    apart_as_shown = abs(float(shown[1]) - float(shown[0]))
    return [*map(number, (before, after), shown), number(change, f"{apart_as_shown:.{digits}f}")]


def bare(line: str) -> str:
    """Return a line of the program as mathematics is written: without modules, with × for ``*``."""
    text = re.sub(r"(?<!\*) \* (?!\*)", " × ", re.sub(r"\b(ag|np)\.", "", line))
    return re.sub(r"\((\(\ue000[^()]*\ue002\))\)", r"\1", text)


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


class Lesson:
    """Describes a written program; `shares` are the contributions to each gradient, in the order of the walk.

    `called` returns the expression of an operation whose result has no name, or "", and `drawn` the flat indices of the
    elements of a value that the page draws, or None. Unless the graph is shown `whole`, nothing is tried, and no sum is
    written out.
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

    # Running the program again

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

    def moved(self, value: Value) -> tuple[str, str]:
        """Return the way in which raising the example of `value` moves the loss, up or down, and how far."""
        after, change = self.trials.get(value.id, (0.0, RAISE * float(self.pick(value).g)))
        far = apart(self.base, after)[2] if value.id in self.trials else number(abs(change), brief(abs(change), 3))
        return "down" if change < 0 else "up", far

    def told(self, value: Value) -> str:
        """Tell what raising the example of `value` did, beside what its gradient predicts."""
        if value.id not in self.trials:
            return ""
        (after, change), pick = self.trials[value.id], self.pick(value)
        before, then, _ = apart(self.base, after)
        predicted = RAISE * float(pick.g)
        happens = f"goes from {before} to {then}, {' by '.join(self.moved(value))}" if change else "does not move"
        words = f"Raise {pick.name} by {RAISE}: {self.goal} {happens}. "
        words += f"Predicted: {RAISE} × {signed(pick.g)} = {number(predicted, brief(predicted, 4))}."
        far = abs(change - predicted) > 0.2 * abs(change)
        return words + " They differ: the slope changes along the way, or a rule is wrong." * far

    # What the steps mean

    def begin(self) -> list[str]:
        """Return the result with these numbers, the goal, and how to go on."""
        given = [v for v in self.author.initial if v.role in ("input", "target") and self.array(v) is not None]
        told = [
            f"{clip(v.name)} = {number(self.array(v).item())}" if v.size == 1 else f"{clip(v.name)}{_extent(v)}"
            for v in given[:MANY]
        ]
        if count := sum(v.size for v in self.graph.parameters):
            told.append(count_text(count, "parameter"))
        end = number(self.graph.loss) if self.graph.loss is not None else f"{self.end}, of {self.result.size:,} numbers"
        lines = [f"With {listed(told)} the result is {end}." if told else f"The result is {end}."]
        for value in self.learnt[:1]:
            name, (way, far) = self.pick(value).name, self.moved(value)
            about = "" if value.id in self.trials else "about "
            moves = f"{'falls' if way == 'down' else 'rises'} by {about}{far}"
            lines.append(
                f"How does {self.goal} change when {name} changes a little? Raise {name} by {RAISE} and "
                f"{self.goal} {moves}."
            )
        return [*lines, "Press → to walk forward; at the loss the way back begins."]

    def forward(self, op: Op, line: str) -> list[dict[str, Any]]:
        """Return the line with the numbers in it, if its result is one number: ``h = x × y``, ``= 0.5 × 1.2 = 0.6``.

        A rectified array gives two elements instead: one that passes, and one that is blocked.
        """
        out = self.values[op.output]
        if self.rectified(op):
            x, y = self.values[op.inputs[0][1]], self.array(out)
            places = [i for i in (self.passing(op), self.blocked(op)) if i is not None]
            numbers = [(self.named(out, i), self.array(x).flat[i], y.flat[i]) for i in places]
            lines = [f"{name} = {op.name}({number(a)}) = {number(b)}: slope {int(b > 0)}" for name, a, b in numbers]
            return [{"lines": lines, "note": "above 0 a number passes; below, it is blocked"}]
        if out.size != 1 or "\n" in line or self.array(out) is None:
            return []
        target, _, text = line.partition(" = ")

        def filled(n: str) -> str:
            a: Any = self.scope.get(n)
            return signed(np.reshape(a, -1)[0]) if is_float(a) and np.size(a) == 1 else n

        value = number(np.reshape(self.array(out), -1)[0])
        written = bare(renamed(text, filled))
        steps = [written] if written != bare(text) and "-" not in written[:1] else []
        return [
            {
                "lines": [f"{target.partition(',')[0]} = {bare(text)}", " ".join(f"= {t}" for t in [*steps, value])],
                "note": "",
            }
        ]

    def backward(self, op: Op, values: list[Value]) -> tuple[str, list[dict[str, Any]]]:
        """Return the meaning of a step back, and the chain rule for each of `values`."""
        out, name = clip(self.values[op.output].name), f"{clip(op.name)}()"
        words, single = [], [clip(v.name) for v in values if len(self.shares[v.id]) == 1]
        for v in values:
            shares, here = self.shares[v.id], clip(v.name)
            if len(shares) > 1:
                mine, ways = [f"{k + 1:,}" for k in self.mine[op.id, v.id]], f"{len(shares):,}"
                this = "this is share" if len(mine) == 1 else "these are shares"
                words.append(
                    f"{here} is used {ways} times, so it reaches {self.goal} in {ways} ways. {ADD.format(here)} "
                    f"So g_{here} is the sum of {ways} shares: {this} {listed(mine)} of {ways}."
                )
        if single:
            reach, its = ("reaches", f"g_{single[0]}") if len(single) == 1 else ("reach", "each gradient")
            made = bare(self.called(op))
            made = f"{made}, here called {out}" if made else f"{name}, which makes {out}"
            many = f", summed over the numbers of {out}" if self.values[op.output].size > 1 else ""
            words.append(
                f"{listed(single)} {reach} {self.goal} only through {made}. So {its} is g_{out} times the local slope "
                f"of {name}{many}."
            )
        kept = [clip(k.label) for k in op.kept or ()]
        if op.call.primitive.rectifies and len(op.inputs) == 1:
            words.append(
                f"The slope is 1 where {out} is above 0, and 0 where it is 0: there nothing comes back. So {out} was "
                "kept. In the rule, ag.where(a, b, c) is b where a holds, and c elsewhere."
            )
        elif any(name.startswith("argmax") for name in op.byproducts):
            words.append(
                f"The gradient goes to the winner only: {listed(kept)} says which number of each window won, so it was "
                "kept."
            )
        elif kept:
            words.append(
                f"The slope depends on {listed(kept[:MANY])}, so {'it was' if len(kept) == 1 else 'they were'} kept."
            )
        formulas = [self.formula(op, v) for v in values if v.size]
        if self.rectified(op) and (i := self.blocked(op)) is not None:
            result, g = self.values[op.output], self.scope[self.author.gradient(self.values[op.output])]
            head = f"g_{self.named(self.values[op.inputs[0][1]], i)} = g_{self.named(result, i)} × local slope"
            numbers = f"= {number(np.reshape(g, -1)[i])} × 0 = 0"
            formulas.append({"lines": [head, numbers], "note": f"blocked: {self.named(result, i)} is 0"})
        return " ".join(words), formulas

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
        y = np.asarray(self.array(self.values[op.output]))
        return np.flatnonzero(~(y.any(axis=tuple(range(y.ndim - 1))) if y.ndim > 1 else y.astype(bool)))

    def formula(self, op: Op, value: Value) -> dict[str, Any]:
        """Return the chain rule for the example: of one share, or the shares until now and their sum."""
        shares, pick = self.shares[value.id], self.pick(value)
        last = self.mine[op.id, value.id][-1]
        more, called = len(shares) - 1 - last, f"g_{pick.name}"
        if len(shares) == 1:
            lines, note = self.product(op, value, pick, shares[0])
        elif not self.whole:
            lines, note = (
                [f"{called} = {number(pick.g)}"] if not more else [f"{called}: {more:,} more to come"],
                "a sum of shares",
            )
        else:
            lines, note, numbers = [], "the share of each way, and their sum", []
            for k in range(max(0, last + 1 - SHOWN), last + 1):
                share, out = shares[k], self.values[shares[k].op.output]
                uses = self.mine[share.op.id, value.id]
                place = f", place {uses.index(k) + 1} of {len(uses)}" if len(uses) > 1 else ""
                numbers.append(np.reshape(share.array, -1)[pick.i])
                (text, *rest), _ = (
                    self.product(share.op, value, pick, share) if value.size == out.size == 1 else (("",), "")
                )
                how = f"{text.partition(' = ')[2]} {rest[0]}" if rest else number(numbers[-1])
                lines.append(f"through {bare(self.called(share.op)) or clip(out.name)}{place}: {how}")
            sum_ = ("… + " if last >= SHOWN else "") + " + ".join([number(numbers[0]), *map(signed, numbers[1:])])
            lines.append(
                f"{called} = {sum_} + {more:,} more to come" if more else f"{called} = {sum_} = {number(pick.g)}"
            )
        return {"lines": lines, "note": note, "try": "" if more else self.told(value)}

    def product(self, op: Op, value: Value, pick: Pick, share: Share) -> tuple[list[str], str]:
        """Write a share as incoming gradient × local slope, or as a sum of such products."""
        out, called = self.values[op.output], f"g_{pick.name}"
        g_out, name = self.author.gradient(out), self.author.gradient(value)
        incoming = np.reshape(self.scope[g_out], -1)
        c = pick.g if share.array is None else np.reshape(share.array, -1)[pick.i]
        with suppress(Exception):  # the rule is no product, or its operation does not run in float64
            if value.size == out.size == 1:
                rhs = re.sub(rf"^{name} \+?= (?:{name} \+ )?", "", share.line)
                slope = ast.unparse(_slope(parsed(rhs), g_out))
                s = np.reshape(eval(slope, dict(self.scope)), -1)[0]
                shown = bare(slope if re.fullmatch(r"[\w.]+(\(.*\))?", slope) else f"({slope})")
                return [
                    f"{called} = {g_out} × {shown}",
                    f"= {number(incoming[0])} × {signed(s)} = {number(c)}",
                ], "incoming gradient × local slope"
            slopes = self.slopes(op, value, pick.i)
            terms = np.nan_to_num(slopes * incoming)
            order = np.argsort(-np.abs(terms), kind="stable")
            if out.id in self.picks and terms[first := self.picks[out.id].i]:  # the example goes on
                order = np.array([first, *order[order != first]])
            count = int(np.count_nonzero(np.abs(slopes) > STEP * np.abs(slopes).max()))
            products = [f"{signed(incoming[k])} × {signed(float(f'{slopes[k]:.6g}'))}" for k in order[:2]]
            if abs(float(terms.sum()) - float(c)) <= 1e-3 * abs(float(c)) + 1e-12:
                if count <= 1:
                    head = f"{called} = g_{self.named(out, int(order[0]))} × local slope"
                    same = [self.values[v] for v in dict.fromkeys(v for _, v in op.inputs)]
                    at = [
                        f"{self.named(v, pick.i)} = {number(np.reshape(self.array(v), -1)[pick.i])}"
                        for v in same
                        if v.shape == value.shape and self.array(v) is not None
                    ]
                    note = f"incoming gradient × local slope of {clip(op.name)}() at {listed(at)}"
                    if out.size == 1 < value.size:
                        size = " × ".join(map(str, value.shape))
                        note += f"; {clip(value.name)} has {size} = {value.size:,} numbers"
                    return [head, f"= {products[0]} = {number(c)}"], note
                dots = " + …" * (count > 2)
                head = f"{called} = sum over the {count:,} numbers of {clip(out.name)} that it changes"
                note = f"each: incoming gradient × local slope; first that of g_{self.named(out, int(order[0]))}"
                return [head, f"= {' + '.join(products)}{dots} = {number(c)}"], note
        return [f"{called} = {number(c)}"], "by the derived line"

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

    # The update, and what looks wrong

    @cached_property
    def update(self) -> dict[str, Any] | None:
        """A step against the gradient at some learning rates: its lines, and the loss before and after."""
        pairs = [(v, self.array(v), self.scope[self.author.gradient(v)]) for v in self.learnt]
        slope = sum(float(np.sum(np.square(np.asarray(g, np.float64)))) for _, _, g in pairs)
        loss = math.nan if self.array(self.result) is None else float(np.sum(self.array(self.result)))
        if not self.ops or not slope or not math.isfinite(slope + loss):
            return None
        unit = 10.0 ** math.floor(math.log10((abs(loss) or 1.0) / slope))
        choices: list[dict[str, Any]] = []
        for rate in RATES if self.whole and sum(self.costs) < EFFORT / 4 else RATES[1:6:2]:
            lr = float(f"{unit * rate:.1g}")
            new = {self.author.name(v): np.asarray(w - np.asarray(lr, w.dtype) * g, w.dtype) for v, w, g in pairs}
            after = math.nan
            with suppress(Exception):  # the program may hold for the recorded numbers only
                after = self.run({**self.scope, **new}, set(new))
            lines = []
            for v in self.learnt[:MANY]:
                pick = self.pick(v)
                x, y, _ = apart(pick.x, np.reshape(new[self.author.name(v)], -1)[pick.i])
                line = f"{pick.name} ← {pick.name} − lr × g_{pick.name}"
                lines.append([line, f"= {x} − {number(lr)} × {signed(pick.g)} = {y}"])
            x, y, _ = apart(loss, after)
            verdict = "It falls." if after < loss else "It does not fall: this step is too long."
            say = f"{self.goal[0].upper()}{self.goal[1:]} goes from {x} to {y}. {verdict}"
            found = after if math.isfinite(after) else None
            choices.append({"lr": number(lr), "rate": lr, "after": found, "lines": lines, "say": say})
        start = next((k for k in (2, 1, 0) if k < len(choices) and choices[k]["after"] is not None), 0)
        rises = any(c["after"] is None or c["after"] > loss for c in choices)
        why = (
            "lr, the learning rate, is yours to choose: too small is slow, too large jumps past the bottom"
            f"{'' if rises else ' (none of these does)'}. Training repeats this step many times, each time with new "
            "gradients."
        )
        return {"start": start, "choices": choices, "more": max(0, len(pairs) - MANY), "why": why}

    def worth(self) -> list[tuple[str, int]]:
        """Return what looks wrong, each with the step that shows it."""
        found: list[tuple[str, int]] = []
        layers: list[
            tuple[float, str, int]
        ] = []  # norms of gradients of operations with parameters, the last one first
        for k, op in enumerate(self.ops, 1):
            a, name = np.asarray(self.array(self.values[op.output])), clip(self.values[op.output].name)
            if a.dtype.kind != "f" or not a.size:
                continue
            if bad := a.size - np.count_nonzero(np.isfinite(a)):
                return [*found, (f"{name} is the first with nan or infinity, in {count_text(int(bad), 'number')}", k)]
            shapes = [self.values[v].shape for _, v in op.inputs]
            if op.call.primitive.symbol in tuple("+-*/") and all(math.prod(s) not in (1, a.size) for s in shapes):
                spread = " and ".join(map(shape_text, shapes))
                found.append((f"{name}: {spread} spread to {shape_text(a.shape)}, which is often a mistake", k))
            if op.call.primitive.rectifies and len(dead := self.dead(op)):
                which = f"{len(dead):,} of {a.shape[-1] if a.ndim else 1:,} channels of {name}"
                found.append((f"dead {op.name}: {which} are 0 in the whole batch ({listed(list(map(str, dead)))})", k))
            low = {"tanh": -1, "sigmoid": 0}.get(op.name)
            if low is not None and (part := float(np.mean((a < low + ENDS) | (a > 1 - ENDS)))) > 0.5:
                which = f"{100 * part:.0f} % of {name}"
                found.append((f"saturated {op.name}: {which} is at its ends, where the slope is almost 0", k))
            if op.id in self.back and any(self.values[v].role == "parameter" for _, v in op.inputs):
                g = np.asarray(self.scope[self.author.gradient(self.values[op.output])], np.float64)
                layers.append((float(np.linalg.norm(g)), name, self.back[op.id]))
        for (far, name, step), (near, _, _) in pairwise(layers):
            if 0 < far < math.inf and 0 < near < math.inf and max(near / far, far / near) > FAR:
                word, ratio = ("shrinks", near / far) if near > far else ("grows", far / near)
                found.append((f"the gradient {word} {ratio:,.0f} times on the way back to {name}", step))
        for v in self.graph.parameters:
            if v.id not in self.shares or not np.any(self.scope[self.author.gradient(v)]):
                found.append(
                    (f"the gradient of {clip(v.name)} is 0: it does not learn", len(self.ops) + 2 + len(self.back))
                )
        return found


def _extent(value: Value) -> str:
    """Return the shape of images in words: `` (4 images of 32 × 32 points in 3 colours)``."""
    if len(value.shape) != 4 or value.shape[-1] not in (1, 3):
        return ""
    count, height, width, colours = value.shape
    return f" ({count_text(count, 'image')} of {height} × {width} points in {count_text(colours, 'colour')})"


def _slope(node: Any, g: str) -> Any:
    """Return the factor of the name `g` in a product; raise ValueError if `node` is not a product with one `g`."""
    match node:
        case ast.Name(name) if name == g:
            return ast.Constant(1)
        case ast.UnaryOp(ast.USub(), inner):
            return ast.UnaryOp(ast.USub(), _slope(inner, g))
        case ast.BinOp(left, ast.Div(), right) if not _has(right, g):
            return ast.BinOp(_slope(left, g), ast.Div(), right)
        case ast.BinOp(left, ast.Mult(), right) if _has(left, g) != _has(right, g):
            inside, other = (left, right) if _has(left, g) else (right, left)
            slope = _slope(inside, g)
            return other if ast.unparse(slope) == "1" else ast.BinOp(slope, ast.Mult(), other)
    raise ValueError


def _has(node: Any, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(node))


def is_float(array: Any) -> bool:
    return isinstance(array, (np.ndarray, np.generic, float)) and np.asarray(array).dtype.kind == "f"
