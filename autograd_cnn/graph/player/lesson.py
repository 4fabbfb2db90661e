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
from autograd_cnn.graph.text import clip, count_text, listed

RAISE = 0.01  # of a number that is tried
EFFORT, RUNS = 1.2e9, 4000  # floating-point operations and lines for all trials
RATES = [0.03, 0.1, 0.3, 1, 3, 10, 30]  # times a rate that would remove a tenth to all of the loss, were it a plane
SHOWN, MANY, FAR, ENDS = 5, 4, 100, 0.02  # shares, parameters; ratio between layers, distance from the end of a range
TERMS = {
    "begin": "Loss: the number at the end, to be made small. Gradient: how fast the loss changes when one number is "
    "raised.",
    "loss": "g_h is short for the gradient of the loss with respect to h; calculus writes d loss / d h.",
    "backward": "Local slope: how fast the result of one operation changes when its input is raised. Rule: the line "
    "that multiplies the incoming gradient by it. Kept: what stayed in memory because a rule needs it.",
    "end": "lr, the learning rate, says how far to go against the gradient.",
}


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


def moved(change: float) -> str:
    return f"{'down' if change < 0 else 'up'} by {number(abs(change), brief(abs(change)))}"


def apart(before: float, after: float) -> list[str]:
    """Format two numbers with as many digits as show their difference."""
    change = abs(after - before)
    digits = max(4, 1 - math.floor(math.log10(change))) if 0 < change < math.inf else 4
    return [number(x, f"{float(x):.{digits}f}" if digits < 13 and abs(x) < 1e6 else "") for x in (before, after)]


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
    """The element of a value with the largest gradient: its flat index, name, number and gradient."""

    i: int
    name: str
    x: Any
    g: Any


class Lesson:
    """Describes a written program; `shares` are the contributions to each gradient, in the order of the walk.

    `called` returns the expression of an operation whose result has no name, or "". Unless the graph is shown `whole`,
    nothing is tried, and no sum is written out.
    """

    def __init__(
        self, author: Author, shares: dict[str, list[Share]], called: Callable[[Op], str], whole: bool
    ) -> None:
        self.called = called
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
        self.trials: dict[str, tuple[float, float]] = {}  # value -> loss after its largest element is raised, change
        if whole:
            with suppress(Exception):  # a user's operation that needs its own dtype, or arrays that are not at hand
                double = {n: np.asarray(a, np.float64) if is_float(a) else a for n, a in self.scope.items()}
                self.base = self.run(double, set(author.inputs))
                self.double = double
                self.tried()

    def array(self, value: Value) -> Any:
        return self.scope.get(self.author.name(value))

    def pick(self, value: Value) -> Pick:
        if value.id in self.picks:
            return self.picks[value.id]
        g = np.reshape(self.scope[self.author.gradient(value)], -1)
        i = int(np.argmax(np.abs(np.nan_to_num(g))))
        x = self.array(value)
        pick = Pick(i, self.named(value, i), x if x is None else np.reshape(x, -1)[i], g[i])
        return self.picks.setdefault(value.id, pick)

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
        """Raise the largest element of each value, first of those that are learnt, while that is cheap."""
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

    def told(self, value: Value) -> str:
        """Tell what raising the largest element of `value` did, beside what its gradient predicts."""
        if value.id not in self.trials:
            return ""
        (after, change), pick = self.trials[value.id], self.pick(value)
        before, then = apart(self.base, after)
        predicted = RAISE * float(pick.g)
        happens = f"goes from {before} to {then}, {moved(change)}" if change else "does not move"
        words = f"Raise {pick.name} by {RAISE}: {self.goal} {happens}. "
        words += f"Predicted: {RAISE} × {signed(pick.g)} = {number(predicted, brief(predicted))}."
        far = abs(change - predicted) > 0.2 * abs(change)
        return words + " They differ: the slope changes along the way, or a rule is wrong." * far

    # What the steps mean

    def begin(self) -> list[str]:
        """Return the result with these numbers, the goal, and how to go on."""
        given = [v for v in self.author.initial if v.role in ("input", "target") and self.array(v) is not None]
        told = [f"{clip(v.name)} = {number(self.array(v).item())}" if v.size == 1 else clip(v.name) for v in given][
            :MANY
        ]
        if count := sum(v.size for v in self.graph.parameters):
            told.append(count_text(count, "parameter"))
        end = number(self.graph.loss) if self.graph.loss is not None else f"{self.end}, of {self.result.size:,} numbers"
        lines = [f"With {listed(told)} the result is {end}." if told else f"The result is {end}."]
        for value in self.learnt[:1]:
            name, g = self.pick(value).name, float(self.pick(value).g)
            change = self.trials.get(value.id, (0, RAISE * g))[1]
            about = "" if value.id in self.trials else "about "
            moves = f"{'falls' if change < 0 else 'rises'} by {about}{number(abs(change), brief(abs(change)))}"
            lines.append(
                f"How does {self.goal} change when {name} changes a little? Raise {name} by {RAISE} and "
                f"{self.goal} {moves}."
            )
        return [*lines, "Press → to walk forward; at the loss the way back begins."]

    def forward(self, op: Op, line: str) -> list[dict[str, Any]]:
        """Return the line with the numbers in it, if its result is one number: ``h = x × y``, ``= 0.5 × 1.2 = 0.6``."""
        out = self.values[op.output]
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
        out, name = clip(self.values[op.output].name), clip(op.name)
        words, single = [], [clip(v.name) for v in values if len(self.shares[v.id]) == 1]
        for v in values:
            shares, here = self.shares[v.id], clip(v.name)
            if len(shares) > 1:
                mine, ways = [f"{k + 1:,}" for k in self.mine[op.id, v.id]], f"{len(shares):,}"
                this = "this is share" if len(mine) == 1 else "these are shares"
                words.append(
                    f"{here} is used {ways} times, so it reaches {self.goal} in {ways} ways. Each way sends back a "
                    f"share, and g_{here} is their sum: {this} {listed(mine)} of {ways}."
                )
        if single:
            reach, its = ("reaches", "its gradient") if len(single) == 1 else ("reach", "each gradient")
            words.append(
                f"{listed(single)} {reach} {self.goal} only through {out}. So {its} is the gradient of {out}, "
                f"times the local slope of {name}."
            )
        kept = [clip(k.label) for k in op.kept or ()]
        if op.call.primitive.rectifies and len(op.inputs) == 1:
            words.append(
                f"The slope is 1 where {out} is above 0, and 0 where it is 0: there nothing comes back. So {out} was "
                "kept."
            )
        elif kept:
            words.append(
                f"The slope depends on {listed(kept[:MANY])}, so {'it was' if len(kept) == 1 else 'they were'} kept."
            )
        return " ".join(words), [self.formula(op, v) for v in values if v.size]

    def formula(self, op: Op, value: Value) -> dict[str, Any]:
        """Return the chain rule for the largest element: of one share, or the shares until now and their sum."""
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
            for share in shares[max(0, last + 1 - SHOWN) : last + 1]:
                out = self.values[share.op.output]
                numbers.append(np.reshape(share.array, -1)[pick.i])
                (text, *rest), _ = (
                    self.product(share.op, value, pick, share) if value.size == out.size == 1 else (("",), "")
                )
                how = f"{text.partition(' = ')[2]} {rest[0]}" if rest else number(numbers[-1])
                lines.append(f"through {self.called(share.op) or clip(out.name)}: {how}")
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
            count = int(np.count_nonzero(np.abs(slopes) > STEP * np.abs(slopes).max()))
            products = [f"{signed(incoming[k])} × {signed(float(f'{slopes[k]:.6g}'))}" for k in order[:2]]
            if abs(float(terms.sum()) - float(c)) <= 1e-3 * abs(float(c)) + 1e-12:
                if count <= 1:
                    head = f"{called} = g_{self.named(out, int(order[0]))} × local slope"
                    return [head, f"= {products[0]} = {number(c)}"], "incoming gradient × local slope"
                dots = " + …" * (count > 2)
                head = f"{called} = sum over the {count:,} numbers of {clip(out.name)} that it changes"
                return [head, f"= {' + '.join(products)}{dots} = {number(c)}"], "each: incoming gradient × local slope"
        return [f"{called} = {number(c)}"], "by the derived line"

    def slopes(self, op: Op, value: Value, i: int) -> Any:
        """Return how fast each number of the result of `op` changes when the i-th number in `value` is raised."""
        out, name = self.values[op.output], self.author.name(value)
        if max(out.size, value.size) > LARGEST:
            raise ValueError
        step, ends = STEP * max(1.0, abs(float(self.double[name].flat[i]))), []
        for move in (step, -step):
            raised = np.array(self.double[name])
            raised.flat[i] += move
            scope = {**self.double, name: raised}
            exec(self.codes[op.id], scope)
            ends.append(np.reshape(np.asarray(scope[self.author.name(out)], np.float64), -1))
        return (ends[0] - ends[1]) / (2 * step)

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
                x, y = apart(pick.x, np.reshape(new[self.author.name(v)], -1)[pick.i])
                lines.append([pick.name, f"= {x} − {number(lr)} × {signed(pick.g)} = {y}"])
            x, y = apart(loss, after)
            verdict = "It falls." if after < loss else "It does not fall: this step is too long."
            say = f"{self.goal[0].upper()}{self.goal[1:]} goes from {x} to {y}. {verdict}"
            found = after if math.isfinite(after) else None
            choices.append({"lr": number(lr), "rate": lr, "after": found, "lines": lines, "say": say})
        start = next((k for k in (2, 1, 0) if k < len(choices) and choices[k]["after"] is not None), 0)
        return {"start": start, "choices": choices, "more": max(0, len(pairs) - MANY)}

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
            alive = a.any(axis=tuple(range(a.ndim - 1))) if a.ndim > 1 else a
            if op.call.primitive.rectifies and (dead := alive.size - np.count_nonzero(alive)):
                which = f"{dead:,} of {alive.size:,} channels of {name}"
                found.append((f"dead {op.name}: {which} are 0 in the whole batch, so nothing comes back", k))
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
