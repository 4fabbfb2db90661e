"""Runs the forward lines of the program again from a changed number on, and chooses the numbers that are examples.

So the page tells what happens to the loss when a number is raised, and what one number does to an operation's result.
"""

from __future__ import annotations

import ast
import math
import re
from collections import defaultdict, namedtuple
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import chain, pairwise, product
from typing import Any

import numpy as np

from autograd_cnn.studio.player.array_views import EXACT, Views
from autograd_cnn.studio.player.wording import number, signed, significant
from autograd_cnn.studio.program.listing import shown
from autograd_cnn.studio.program.measure import flops
from autograd_cnn.studio.program.syntax import evaluate, names_in
from autograd_cnn.studio.program.write import Author
from autograd_cnn.studio.records import Op, Value
from autograd_cnn.studio.text import clip, count_text, plain

COLOURS = "red", "green", "blue"
RAISE = 0.01  # of a number that is tried
EFFORT, RUNS = 2.2e9, 8000  # floating-point operations and lines for all trials
STEP, LARGEST = 1e-6, 300_000  # of differences; elements of an array, for more of which they take too long
PLACES = 11  # of a number that is moved; the middle one is where it stands
NEXT, ENTRIES = 8, 3  # elements that may take the place of one at a kink, and in a comparison beside the example
PART = ", this rule's part"  # of a gradient to which other rules add
ONE = ast.Constant(1)

# A contribution to a gradient: the operation whose rule made it; its expression, if a line adds it alone; the numbers,
# if they are kept; and their look, if there are several contributions
Share = namedtuple("Share", "op expression array look")
Pick = namedtuple("Pick", "i name x g")  # the element that is the example: its flat index, name, number and gradient
# The explanation of a value that has no name in the user's code: a sentence; words for parentheses ("" if the value is
# only a part of what a line computes); and its expression if that is short
Origin = namedtuple("Origin", "told short expression")


class Trials:
    """Tries a written program; `shares` are the contributions to each gradient, in the order of the walk.

    `origins` are those of values whose names the user's code does not give. `before` are the values of another moment,
    whose examples stay. Unless the graph is shown whole, nothing is tried.
    """

    reach: dict[str, Any]  # operation -> its geometry
    axes: dict[str, tuple[str, ...]]  # value -> the names of its axes

    def __init__(
        self, author: Author, shares: dict[str, list[Share]], origins: dict[str, Origin], views: Views,
        classes: Sequence[str], before: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self.origins, self.views, self.whole, self.classes = origins, views, views.whole, classes
        self.author, self.graph, self.shares = author, author.graph, shares
        self.wrong: dict[tuple[int, str], str] = {}  # places and names of operations by whose rules a gradient is wrong
        self.values, self.ops, self.scope = author.graph.values, author.graph.ops, author.scope
        self.result = self.values[self.graph.result]
        self.places = {op.id: k for k, op in enumerate(self.ops)}
        self.end = clip(self.result.name)
        self.goal = "the loss" if self.graph.loss is not None else f"the sum of {self.end}"
        self.lines = dict(zip([op.id for op in self.ops], author.forward_lines, strict=True))
        self.codes = {op: compile(line, "<forward>", "exec") for op, line in self.lines.items()}
        self.costs = [flops(self.graph, op)[0] for op in self.ops] if self.whole else []
        self.uses: dict[tuple[str, str], list[int]] = defaultdict(list)  # operation, value -> indices of its shares
        for v, all_ in shares.items():
            for k, share in enumerate(all_):
                self.uses[share.op.id, v].append(k)
        self.learnt = [v for v in author.learnt() if v.size and is_float(self.array(v))]
        walk = zip(reversed(self.ops), author.backward_lines, strict=True)
        self.rules = {op.id: [text for text, _ in shown(lines)] for op, lines in walk}  # the lines of the program
        back = [op for op, lines in self.rules.items() if lines]
        self.back = {op: len(self.ops) + 2 + k for k, op in enumerate(back)}  # operation -> its step on the way back
        self.picks: dict[str, Pick] = {}
        self.exact: dict[str, Any] = {}  # the scope in float64
        self.known: dict[Any, Any] = {}  # what was found for an operation and a value
        # value -> element -> the change of the loss if it is raised; if it was moved, how far, and the changes there
        self.tried: dict[str, dict[int, list[Any]]] = defaultdict(dict)
        self.moves: dict[str, dict[str, list[Any]]] = {}  # of single numbers: value -> all that change, at the places
        self.scalar = all(v.size == 1 for v in self.values.values())
        self.digits = 9 if self.scalar else 5  # of changes of the loss
        self.base = math.nan  # the loss
        if self.whole:
            self.exact = {n: np.asarray(a, np.float64) if is_float(a) else a for n, a in self.scope.items()}
            self.base = self.run(self.exact, ran := set(author.inputs))
            for v, i in ((v, fact["example"]) for v, fact in before.items() if "example" in fact):
                self.choose(self.values[v], np.arange(self.values[v].size) == i)
            self.follow()
            if author.name(self.result) in ran:
                self.try_elements()

    def array(self, value: Value) -> Any:
        return self.scope.get(self.author.name(value))

    def gradient(self, value: Value) -> Any:
        return self.scope.get(self.author.gradient(value))

    def pick(self, value: Value) -> Pick:
        return self.picks.get(value.id) or self.choose(value, self.gradient(value), np.ones(value.shape))

    def choose(self, value: Value, *scores: Any) -> Any:
        """Make the element with the largest of the first `scores` that are not all 0 the example, if any are."""
        for each, places in product(scores, self.views.places(value)):  # one that is drawn, if it can be
            if (sizes := np.abs(np.nan_to_num(np.reshape(each, -1)[places]))).any():
                i = int(places[sizes.argmax()])
                x, g = (None if a is None else np.reshape(a, -1)[i] for a in (self.array(value), self.gradient(value)))
                return self.picks.setdefault(value.id, Pick(i, self.named(value, i), x, g))
        return None

    def follow(self) -> None:
        """Choose the examples along the way back: those of a step are the factors of one product, and its result.

        The first step that speaks of a value chooses the element to which the example of the result gives most, if the
        factors that are chosen are the only ones. What nothing that is learnt moves would be the end of the way.
        """
        moved = attempt(self.moved) or {}
        for op in (op for op in reversed(self.ops) if op.id in self.back and self.values[op.output].size):
            factors: dict[str, Any] = {}
            one = self.alone(out := self.values[op.output], 1.0)
            for value in (self.values[v] for v in learning(op)):
                if value.id not in self.picks:
                    shares = [attempt(self.returned, op, one, only) for only in (factors, {})]
                    found = [each[value.id] for each in shares if each]
                    change = self.gradient(value) * moved.get(value.id, 1.0)  # of the loss
                    self.choose(value, *(c * change for c in found), *found[1:], *[one] * (value.shape == out.shape))
                if value.id in self.picks:
                    factors[self.author.name(value)] = self.alone(value, self.array(value))

    def moved(self) -> dict[str, Any]:
        """Return how far the numbers in the page move if all that is learnt takes a small step, and no other moves."""
        scope, found, made = {**self.exact}, {}, {op.output: self.codes[op.id] for op in self.ops}
        for value in (*self.learnt, *(self.values[op.output] for op in self.ops)):
            was = self.exact[name := self.author.name(value)]
            if value.id in made:
                exec(made[value.id], scope)
            else:
                scope[name] = was + STEP * np.sign(self.gradient(value))
            if is_float(was):
                known = np.isin(np.arange(value.size), self.views.places(value)[1]).reshape(value.shape)
                found[value.id] = np.where(known, scope[name] - was, 0.0)
                scope[name] = was + found[value.id]
        return found

    def alone(self, value: Value, array: Any) -> Any:
        """Return an array in which all but the example is 0."""
        return np.where(np.arange(value.size).reshape(value.shape) == self.pick(value).i, array, 0.0)

    def returned(self, op: Op, g: Any, others: Mapping[str, Any]) -> dict[str, Any]:
        """Run the rules of `op` in float64 on a gradient of its result; return what they give to each input."""
        names = {v: self.author.gradient(self.values[v]) for v in learning(op)}
        scope = {**self.exact, **others, self.author.gradient(self.values[op.output]): g}
        scope |= {name: np.zeros(self.values[v].shape) for v, name in names.items()}
        exec("\n".join(self.rules[op.id]), scope)
        return {v: scope[name] for v, name in names.items()}

    def named(self, value: Value, i: int) -> str:
        """Return the name of the i-th element: ``h[2, 5]``."""
        return f"{clip(value.name)}{self.place(value, i) or ''}"

    def place(self, value: Value, i: Any) -> list[int]:
        """Return the place of the i-th element, an index for each axis."""
        return [int(k) for k in np.unravel_index(i, value.shape)]

    def told(self, value: Value, i: int) -> str:
        """Return the place of the i-th element in words: ``row 2, column 0, red, filter 2``; "" if they are unknown."""
        return ", ".join(map(self.called, self.axes.get(value.id, ()), self.place(value, i)))

    def called(self, axis: str, k: Any) -> str:
        name = f" ({plain(self.classes[k])})" if axis == "class" and self.classes else ""
        return COLOURS[k] if axis == "colour" else f"{axis} {k}{name}"

    def extent(self, value: Value) -> str:
        """Return the shape in words: `` (4 images, 32 × 32, 3 colours)``; "" if they are unknown."""
        words = ", ".join(map(count_text, value.shape, self.axes.get(value.id, ())))
        return re.sub(r" rows?, (\S+) columns?", r" × \1", f" ({words})") if words else ""

    def run(self, scope: dict[str, Any], stale: set[str]) -> float:
        """Run in `scope` the lines that read the names `stale` or the results of such lines; return the loss or nan."""

        def loss() -> float:
            for op in self.ops:
                if any(self.author.name(self.values[v]) in stale for _, v in op.inputs):
                    exec(self.codes[op.id], scope)
                    stale.add(self.author.name(self.values[op.output]))
            return float(np.sum(scope[self.author.name(self.result)]))

        found = attempt(loss)  # None if the program holds for the recorded numbers only
        return math.nan if found is None else found

    def try_elements(self) -> None:
        """Raise single numbers, and move them about, while that is cheap: of each value the example, then others."""
        first = {v: k for k, op in reversed(list(enumerate(self.ops))) for _, v in op.inputs}
        values = {v.id: v for v in [*self.learnt, *(self.values[v] for v in self.shares)]}.values()
        floats = [v for v in values if v.size and is_float(self.exact[self.author.name(v)]) and v is not self.result]
        examples = [(v, self.pick(v).i) for v in floats]
        offered = [(v, np.arange(v.size) if v.size <= EXACT else self.views.places(v)[0]) for v in floats]
        few = [(v, int(i)) for v, some in offered if len(some) <= EXACT for i in some if i != self.pick(v).i]
        left = np.array([RUNS, EFFORT])
        for runs, elements in (1, examples), (PLACES, examples), (1 + PLACES, few):
            for value, i in elements:
                start = first.get(value.id, len(self.ops))
                rest = left - runs * np.array([len(self.ops) - start, sum(self.costs[start:])])
                if rest.min() < 0:
                    continue
                left = rest
                if runs != PLACES and math.isfinite(change := self.move(value, i, RAISE)[0] - self.base):
                    self.tried[value.id][i] = [significant(change, self.digits)]
                if runs > 1 and i in self.tried.get(value.id, {}):
                    self.tried[value.id][i] += self.around(value, i)

    def around(self, value: Value, i: int) -> list[Any]:
        """Return how far the i-th number of `value` was moved, and the changes of the loss; None if not finite."""
        x = float(self.exact[self.author.name(value)].flat[i])
        for span in float(f"{max(abs(x), 1):.1g}") / 4.0 ** np.arange(4):  # a probability stays below 1
            by = [float(f"{x + span * k:.6g}") - x if k else 0.0 for k in np.linspace(-1, 1, PLACES)]
            losses, moves = zip(*[self.move(value, i, far) for far in by], strict=True)
            if np.isfinite(losses).all():
                break
        if self.scalar:
            self.moves[value.id] = {v: [move[v] for move in moves] for v in moves[-1]}
        return [significant(x, self.digits) for x in (span, *np.subtract(losses, self.base))]

    def move(self, value: Value, i: int, by: float) -> tuple[float, dict[str, float | None]]:
        """Run with the i-th number of `value` moved; return the loss, and what changes if all values are numbers."""
        name = self.author.name(value)
        scope, stale = {**self.exact, name: np.array(self.exact[name])}, {name}
        scope[name].flat[i] += by
        loss, names = self.run(scope, stale), {v: self.author.name(self.values[v]) for v in self.values if self.scalar}
        found = {v: float(np.reshape(scope[n], -1)[0]) for v, n in names.items() if n in stale}
        return loss, {v: x if math.isfinite(x) else None for v, x in found.items()}

    def slopes(self, op: Op, value: Value, i: int | None = None) -> Any:
        """Return how fast the numbers of the result of `op` change when the i-th of `value`, or its example, is raised.

        Return None if there are too many numbers or none, or if the operation does not run in float64.
        """
        i = (self.pick(value).i if value.size else 0) if i is None else i
        key, out = (op.id, value.id, i), self.values[op.output]
        if key not in self.known:
            fits = out.size and value.size and max(out.size, value.size) <= 4 * LARGEST
            sides = attempt(self.sides, op, value, i) if fits else None
            self.known[key] = None if sides is None else sum(sides) / 2
        return self.known[key]

    def sides(self, op: Op, value: Value, i: int) -> list[Any]:
        """Return the slopes of `slopes` below and above the number."""
        name, ends = self.author.name(value), []
        step = STEP * max(1.0, abs(float(self.exact[name].flat[i])))
        for move in -step, 0, step:
            scope = {**self.exact, name: np.array(self.exact[name])}
            scope[name].flat[i] += move
            exec(self.codes[op.id], scope)
            ends.append(np.array(scope[self.author.name(self.values[op.output])], np.float64).reshape(-1))
        return [np.diff(pair, axis=0)[0] / step for pair in pairwise(ends)]

    def products(self, value: Value, share: Share, i: int) -> list[Any] | None:
        """Return the `few` products, incoming gradient times local slope, whose sum is a share of the i-th gradient.

        Return None unless they are known and explain the share, which they do not where a rule is wrong.
        """
        op, out = share.op, self.values[share.op.output]
        incoming, slope = np.reshape(self.gradient(out), -1), self.local(value, share)
        c = np.reshape(self.gradient(value) if share.array is None else share.array, -1)[i]
        if slope is not None and abs(slope.flat[i] * incoming[k := i if out.size > 1 else 0] - c) <= 1e-5 * abs(c):
            return [1, significant(incoming[k]), significant(slope.flat[i]), "", f"g_{self.named(out, k)}"]
        slopes = self.slopes(op, value, i) if len(self.uses[op.id, value.id]) == 1 else None
        if slopes is None:
            return None
        # Not if one of them is not finite
        near = abs(slopes @ incoming - c) < 1e-3 * abs(c) + 1e-6 * (np.abs(slopes) @ np.abs(incoming)) + 1e-12
        return self.few(out, incoming, slopes, "g_") if near else None

    def summands(self, op: Op, i: int) -> list[str] | None:
        """Return the `few` products whose sum is the i-th number of the result, and words for their numbers.

        If the operation is linear in an input, these are its numbers, and its rule tells the slopes. Else return None.
        """
        out = self.values[op.output]
        one = np.reshape(np.arange(out.size) == i, out.shape) * 1.0
        for v, gradient in self.returned(op, one, {}).items():
            numbers, slopes = np.reshape(self.exact[self.author.name(self.values[v])], -1), gradient.reshape(-1)
            if slopes.any() and np.isclose(numbers @ slopes, np.reshape(self.array(out), -1)[i], 1e-4):
                count, _, slope, terms, which = self.few(self.values[v], numbers, slopes)
                return [terms, f"of {which}"] if count > 1 else [f"{which} × {signed(slope)}", ""]
        return None

    def few(self, value: Value, numbers: Any, slopes: Any, prefix: str = "") -> list[Any]:
        """Return the count of products in a sum, the factors of the first, text of two or three, and names for these.

        The `numbers` are those of `value`, and what the products that are not shown add is one number.
        """
        terms = slopes * numbers
        count = int(np.count_nonzero(np.abs(slopes) > STEP * np.abs(slopes).max()))
        sizes = np.abs(terms if terms.any() else slopes)
        sizes[self.pick(value).i] *= 1e99  # the example comes first, if it has a part
        shown = np.argsort(-sizes, kind="stable")[: 2 if count > 3 else max(1, count)]
        products = [f"{signed(numbers[k])} × {signed(slopes[k])}" for k in shown]
        which = ", ".join(prefix + self.named(value, k) for k in shown)
        if count > len(shown):
            products.append(signed(terms.sum() - terms[shown].sum()))
            which += f", and {count - 2:,} more as one number"
        return [count, *(significant(a[shown[0]]) for a in (numbers, slopes)), " + ".join(products), which]

    def local(self, value: Value, share: Share) -> Any:
        """Return the local slopes of a rule that is a product with the incoming gradient, or None."""
        out, key = self.values[share.op.output], (id(share), "slope")
        if key not in self.known:
            tree = share.expression and factor(share.expression, self.author.gradient(out))
            fits = tree is not None and out.size in (1, value.size) and is_float(self.gradient(out))
            slope = attempt(evaluate, tree, self.scope) if fits else None
            self.known[key] = None if slope is None else attempt(np.broadcast_to, slope, value.shape)
        return self.known[key]

    def changed(self, op: Op, value: Value) -> Any:
        """Return which numbers of the result of `op` the example of `value` changes; the first if none can be tried."""
        slopes = self.slopes(op, value)
        return np.zeros(1, int) if slopes is None else np.flatnonzero(np.abs(slopes) > STEP * np.abs(slopes).max())

    def words(self, value: Value) -> str:
        """Return the name of a value, or the expression that makes it if the user's code gives it no name."""
        origin = self.origins.get(value.id)
        return origin.expression if origin and origin.expression else clip(value.name)

    def introduced(self, value: Value) -> str:
        """Return the name of a value, and in parentheses what it is if the user's code has words for that."""
        origin = self.origins.get(value.id)
        return clip(value.name) + (f" ({origin.short})" if origin and origin.short else "")


def factor(tree: Any, g: str) -> Any:
    """Return the factor of the name `g` in a product, or None if the expression is not a product with one `g`."""
    match tree:
        case ast.Name(name) if name == g:
            return ONE
        case ast.UnaryOp(ast.USub(), inner):
            return (found := factor(inner, g)) and ast.UnaryOp(ast.USub(), found)
        case ast.BinOp(left, ast.Div(), right) if g not in names_in(right):
            return (found := factor(left, g)) and ast.BinOp(found, ast.Div(), right)
        case ast.BinOp(left, ast.Mult(), right) if (g in names_in(left)) != (g in names_in(right)):
            inside, other = (left, right) if g in names_in(left) else (right, left)
            match factor(inside, g):
                case found if found is None or found is ONE:
                    return found and other
                case ast.BinOp(above, ast.Div(), below) if above is ONE:
                    return ast.BinOp(other, ast.Div(), below)
                case found:
                    return ast.BinOp(found, ast.Mult(), other)
    return None


def is_float(array: Any) -> bool:
    return isinstance(array, (np.ndarray, np.generic, float)) and np.asarray(array).dtype.kind == "f"


def inputs_of(op: Op) -> list[str]:
    """Return the inputs, each once."""
    return list(dict.fromkeys(v for _, v in op.inputs))


def learning(op: Op) -> list[str]:
    """Return the inputs that receive a gradient, each once."""
    return list(dict.fromkeys(v for p, v in op.inputs if p in op.rules))


def attempt(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the value of a call, or None if it raises an error.

    A user's operation may need its own dtype or the recorded arrays, and may raise anything.
    """
    with suppress(Exception):
        return function(*arguments)


# Is a rule right?


def compare(t: Trials, op: Op) -> dict[str, Any] | None:
    """Compare the rules of `op` with central differences; return None if that is impossible.

    A row has an element of a gradient, the number by differences and by the rule, and whether they are near. The
    rules get the recorded gradient. Gradients that disagree are noted in `t.wrong`.
    """
    values, output = [t.values[v] for v in learning(op)], t.values[op.output]
    floats = all(map(is_float, [t.gradient(output), *(t.exact.get(t.author.name(v)) for v in values)]))
    if not floats or op.id not in t.back or not all(0 < v.size <= LARGEST for v in [output, *values]):
        return None

    g = np.array(t.gradient(output), np.float64)
    given = attempt(t.returned, op, g, {})  # a user's rule may not work in float64
    each = given and attempt(lambda: [_rows(t, op, v, given[v.id], g.reshape(-1)) for v in values])
    found = list(chain(*each or ()))
    return each and {"rows": found, "good": all(near for *_, near in found)}


def _rows(t: Trials, op: Op, value: Value, gradient: Any, g: Any) -> list[Any]:
    """Compare a gradient with differences, times `g`, at the example, its largest element and two others.

    At a kink, as in a tie of a pool, there is no slope to compare with: another element takes its place.
    """
    rows, some = {}, np.flatnonzero(gradient) if np.any(gradient) else np.arange(value.size)
    name, part = t.author.gradient(value), PART * any(s.op is not op for s in t.shares[value.id])
    for k in t.pick(value).i, np.abs(gradient).argmax(), *some[len(some) * np.arange(1, ENTRIES) // ENTRIES]:
        for i in map(int, (k, *some[some > k][:NEXT])):
            left, right = (float(g @ side) for side in t.sides(op, value, i))
            if abs(left - right) <= 1e-2 * max(abs(left), abs(right)):
                d, r = (left + right) / 2, float(gradient.flat[i])
                near = abs(d - r) <= 1e-4 * max(abs(d), abs(r)) + 1e-9
                rows[i] = f"{name}{t.place(value, i) or ''}{part}", number(d, 6), number(r, 6), near
                break
    if not all(near for *_, near in rows.values()):
        t.wrong[t.places[op.id], value.id] = clip(op.name)
    return [rows[i] for i in sorted(rows)]
