"""Collects the facts that the player shows: every value, contribution, line and sentence, forward and backward.

The facts are collected while the derived program is written, because writing it runs every line. Sentences are written
here; the page writes the formula of the selected number from the numbers that it finds here. In the page a record is an
object, without the fields that are None. A value is given by its id, and an operation by its id or its index.
"""

from __future__ import annotations

import ast
import inspect
import math
import re
import textwrap
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise, zip_longest
from typing import Any

import numpy as np

from autograd_cnn.engine.observe import operations
from autograd_cnn.nn.functions import dead_channels
from autograd_cnn.ops.activations import log_softmax, sigmoid, softmax
from autograd_cnn.ops.arithmetic import tanh
from autograd_cnn.ops.layers import batch_norm, standardize
from autograd_cnn.studio.player import lesson
from autograd_cnn.studio.player.array_views import Views
from autograd_cnn.studio.player.geometry import axes, geometry
from autograd_cnn.studio.player.quiz import questions
from autograd_cnn.studio.player.trials import Origin, Share, Trials, attempt, compare, factor, inputs_of, learning
from autograd_cnn.studio.player.wording import bare, number, record, template
from autograd_cnn.studio.program.program import as_recorded
from autograd_cnn.studio.program.syntax import Replaced, evaluate, literal, names_in, parsed, renamed
from autograd_cnn.studio.program.write import Author
from autograd_cnn.studio.records import Graph, Op, Place, Use
from autograd_cnn.studio.records import Value as Recorded
from autograd_cnn.studio.text import clip, count_text, listed, plain, shape_text

FAR, ROUNDING, ENDS = 100, 2**23, 0.02  # ratio between layers; of a rounding error; distance from the end of a range
MANY = 32  # items, of which a unit that is on for one in ten is off for all with a chance of 3 %; of 4, of 66 %
CONTEXT = 6  # lines of source shown before and after those with operations
LONGEST, FUNCTIONS = 40, 3  # lines of a rule; functions that the first step shows
REMARK = r"(?<=\S) *# .*"  # beside a rule of the user's: shown when the reader has judged the rule
ROW = "axis=axis, keepdims=True"
FORMULAS = {  # of operations whose numbers depend on a whole row, or channel, by sums over it
    softmax: f"ag.exp(x) / ag.sum(ag.exp(x), {ROW})",
    log_softmax: f"x - ag.log(ag.sum(ag.exp(x), {ROW}))",
    standardize: f"(x - ag.mean(x, {ROW})) / ag.sqrt(ag.var(x, {ROW}) + eps)",
    batch_norm: f"(x - ag.mean(x, {ROW})) / ag.sqrt(ag.var(x, {ROW}) + eps) * w + b",
}
Functions = dict[Any, tuple[int, list[tuple[int, str]]]]  # by code object: the indent, and the lines with their numbers
Step = dict[str, Any]  # its question, sentences and formulas; `op` is the index of its operation, or -1


def facts_of(
    graph: Graph, source: bool, rounds: Mapping[str, str], classes: Sequence[str], first: Mapping[str, Any]
) -> dict[str, Any]:
    """Return everything that the page shows of `graph`, as text and numbers.

    If `source`, the user's code is included. `rounds` maps the ids of operations to the rounds of their loops;
    `classes` are the names of classes. The selected numbers and the learning rates of the `first` moment, if these are
    facts of a later one, stay: moments can be compared.
    """
    views = Views(graph)
    shares: dict[str, list[Share]] = defaultdict(list)
    counts = Counter(v for op in graph.ops for p, v in op.inputs if p in op.rules)  # expected contributions

    def contributed(op: Op, value: Recorded, tree: Any, array: Any) -> None:
        view = None
        if counts[value.id] > 1:  # a single contribution is the gradient itself
            view = views.look(array, value, True)
            array = np.array(array) if views.whole else None  # the walk may add to it in place
        shares[value.id].append(Share(op, tree, array, view))

    with as_recorded():
        author = Author(graph, contributed=contributed)
        author.write()
        functions = functions_of(graph) if source else {}
        trials = Trials(author, shares, origins(graph, functions), views, classes, first.get("values", {}))
        trials.reach = {op.id: geometry(trials, op) for op in graph.ops if trials.whole}
        trials.axes = axes(trials)
        return _Facts(trials, rounds, functions).moment(first.get("update", {}).get("rates", ()))


class _Facts:
    """Writes down what was found in a program that was written and tried."""

    def __init__(self, trials: Trials, rounds: Mapping[str, str], functions: Functions) -> None:
        self.trials, self.rounds, self.functions = trials, rounds, functions
        self.author, self.graph = trials.author, trials.graph
        ops = [*self.graph.ops, *([self.graph.failure.op] if self.graph.failure else [])]
        self.terms: dict[str, str] = defaultdict(str)  # operation -> what it is the first to need explained
        for word, meaning in lesson.FIRST.items():
            said = {o.id: f"{o.name} {_first_line(o.call.primitive)} {trials.axes.get(o.output)}" for o in ops}
            self.terms[next((o for o in said if word in said[o]), "")] += meaning
        self.outside = {v for op in ops for v in (op.output, *inputs_of(op))} | {self.graph.result}
        self.known = {self.author.name(v): v.id for v in trials.values.values() if v.id in self.outside}
        self.rows: dict[str, Any] = {}  # what formulas need beside values: sums over a row, and gradients

    def moment(self, rates: Sequence[float]) -> dict[str, Any]:
        t, graph = self.trials, self.graph
        ops = [self.operation(op) for op in graph.ops]
        found, update = ([], None) if graph.failure else (diagnose(t), lesson.update(t, rates))
        steps = self.steps(found, update is not None)
        quiz = [] if graph.failure else questions(t, steps, update)
        values = {v.id: self.value(v) for v in graph.values.values() if v.id in self.outside}
        return record(
            name=_title(graph), scalar=t.scalar, steps=steps, ops=ops, values=values, result=graph.result,
            summary=plain(graph.summary()[-1]), update=update, quiz=quiz, goal=t.goal,
            base=t.base if math.isfinite(t.base) else None, rows=self.rows,
            wrong=[(*place, name) for place, name in t.wrong.items()] or None,
        )  # fmt: skip

    def value(self, value: Recorded) -> dict[str, Any]:
        """Return an array with its gradient, and what each operation contributed to that.

        `code` and `full` are its names in the program and in full; `example` is the flat index of its example.
        """
        t, views = self.trials, self.trials.views
        array, gradient = t.array(value), t.gradient(value)
        array = None if array is None else views.look(array, value, False)
        gradient = None if gradient is None else views.look(np.conj(gradient), value, True)  # as `backward` returns it
        example = t.pick(value).i if gradient and views.whole and value.size > 1 else None
        parts = [self.part(value, share) for share in t.shares.get(value.id, ())] or None
        return record(
            name=clip(value.name), role=value.role, shape=value.shape, dtype=value.dtype, code=self.author.name(value),
            full=plain(value.name), array=array, gradient=gradient, example=example, parts=parts,
            words=words if (words := t.words(value)) != clip(value.name) else None, axes=t.axes.get(value.id),
            tried=t.tried.get(value.id), moves=t.moves.get(value.id),
        )  # fmt: skip

    def part(self, value: Recorded, share: Share) -> list[Any]:
        """Return a share of a gradient: its operation, look, local slope, products by element, and formula."""
        t, slope = self.trials, None
        if t.whole and t.local(value, share) is not None:
            tree = factor(share.expression, self.author.gradient(t.values[share.op.output]))
            slope = template(tree, self.known if _of_each(tree) else {})
            if not isinstance(tree, (ast.Name, ast.Constant, ast.Attribute, ast.Call)):
                slope = [f"({slope[0]}", *slope[1:]]
                slope[-1] += ")"
        products = self.each(value, t.products, value, share)
        return [t.places[share.op.id], share.look, slope, products, attempt(self.formula, share.op, share.expression)]

    def each(self, value: Recorded, find: Any, *given: Any) -> list[Any]:
        """Return what ``find(*given, i)`` finds of the elements that were tried, and of the one that is selected."""
        shown = {*self.trials.tried.get(value.id, ()), *([pick.i] if (pick := self.trials.pick(value)) else ())}
        return [(i, *found) for i in sorted(shown) if (found := attempt(find, *given, i))]

    def result(self, op: Op) -> list[str] | None:
        """Return the `formula` of a result, if there is one, and NumPy agrees."""
        t, out = self.trials, self.trials.array(self.trials.values[op.output])
        given = zip(op.call.primitive.parameters, op.call.arguments, strict=False)
        names: dict[str, Any] = {"axis": literal(tuple(range(out.ndim - 1)))}  # of channels, if it is not given
        names |= {n: parsed(t.author.name(a.value)) if isinstance(a, Use) else literal(a) for n, a in given}
        tree = renamed(parsed(FORMULAS[op.call.primitive]), names.get)
        near = np.allclose(evaluate(tree, t.scope), out, 1e-3, 1e-6 * np.abs(out).max())
        return self.formula(op, tree) if near else None

    def formula(self, op: Op, tree: Any) -> list[str] | None:
        """Return an expression of whose values a number needs those in its place, and sums over its row, else None."""
        t, out, sums = self.trials, self.trials.values[op.output], {}

        def summed(node: Any) -> Any:
            if not t.whole or "keepdims" not in [option.arg for option in getattr(node, "keywords", ())]:
                return None
            text = re.sub(r"\((-?\d+),\), keepdims=True|, keepdims=True", r"\1", bare(ast.unparse(node)))
            sums[text] = evaluate(node, t.scope)
            return ast.Name(text)  # the page has its numbers, as those of any name

        tree = Replaced(summed).visit(tree)
        if not sums or not _of_each(tree):
            return None
        for name in names_in(tree):
            if name not in self.known and isinstance(row := sums.get(name, t.scope.get(name)), np.ndarray):
                self.known[name] = name
                self.rows[name] = record(code=name, shape=row.shape, array=t.views.look(row, out, False))
        return template(tree, self.known)

    def operation(self, op: Op) -> dict[str, Any]:
        """Return the line of an operation and those of its rules, and what goes in and out.

        Values that `learn` get a gradient, those that are `used` are in the rules. Its `own` rule is the user's.
        """
        t, inputs, rules = self.trials, inputs_of(op), [*self.trials.rules[op.id]]
        words = names_in(ast.parse("\n".join(rules)))
        used = [v for v in [*inputs, op.output] if self.author.name(t.values[v]) in words]
        own = not op.call.primitive.packaged
        opaque = [k for k, text in enumerate(rules) if text.endswith(": the rule itself is called") and self.functions]
        functions = [rule.textbook.function for _, rule in op.call.steps if opaque or (own and self.functions)]
        written = "\n".join(dict.fromkeys(map(text_of_source, functions)))
        for k in opaque[: bool(written)]:  # the user's code is in the page: it has the rules in place of that comment
            rules[k] = re.sub(REMARK, "", written)
        reach, call, formula = t.reach.get(op.id), self.author.call(op), attempt(self.result, op)
        alone = op.id in t.back and not (own or reach or formula)  # a wrong rule of one's own would tell itself
        return record(
            name=clip(op.name), inputs=inputs, output=op.output, learns=learning(op),
            forward=t.lines[op.id], rules=rules, used=used, source=source_of(op.place, self.functions),
            expression=formula or (template(call, self.known) if t.whole else None), test=compare(t, op),
            sums=self.each(t.values[op.output], t.summands, op) if alone else None,
            own=own, remarks=[line.strip() for line in written.splitlines() if own and re.search(REMARK, line)] or None,
            row=bool(formula) or None, reach=reach and record(**reach._asdict()),
        )  # fmt: skip

    def steps(self, found: list[tuple[str, int]], moves: bool) -> list[Step]:
        """Return the steps of both passes in order: what each asks, means and computes."""
        graph, t = self.graph, self.trials
        steps = [self.begin(), *(self.forward(i, op) for i, op in enumerate(graph.ops))]
        if graph.failure:
            steps.append(self.failed(graph.failure.op))
        else:
            back = [(i, op) for i, op in reversed(list(enumerate(graph.ops))) if op.id in t.back]
            steps += [self.loss(), *(self.backward(i, op) for i, op in back), self.end(moves)]
        for text, k in found:
            warn = f"{text[0].upper()}{text[1:]}. {lesson.DEAD * text.startswith('dead')}"
            steps[k]["warn"] = f"{steps[k].get('warn', '')} {warn}".strip()
        return steps

    def begin(self) -> Step:
        say, *goal = lesson.begin(self.trials)
        known = {v.role for v in self.graph.values.values()}.union(*self.trials.axes.values())
        term = lesson.LOSS + "".join(meaning for words, meaning in lesson.ARRAYS.items() if known & set(words.split()))
        places = [*{op.place.code: op.place for op in self.graph.ops}.values()][: FUNCTIONS if self.functions else 1]
        source = [source_of(place, self.functions, whole=True) for place in places]
        own = [clip(op.name) for op in self.graph.ops if op.id in self.trials.back and not op.call.primitive.packaged]
        goal[1:1] = [lesson.JUDGE.format(listed([*dict.fromkeys(own)]))] * bool(own)
        title = _title(self.graph)
        ask = f"What {'do' if ' and ' in title else 'does'} {title} compute?"
        return _step("begin", ask, say, goal=goal, source=source, term=term)

    def forward(self, i: int, op: Op) -> Step:
        t, out = self.trials, self.graph.values[op.output]
        origin, say = t.origins.get(op.output), self.doc(op)
        if origin:
            where = f", in {self.rounds[op.id]}" if op.id in self.rounds else ""
            say = f"{clip(out.name)} is {origin.told}{where}. {say}"
        if not op.kept and not op.rules and not self.graph.failure:
            say += " Nothing before it learns, so it has no step on the way back."
        more = {"term": self.terms[op.id] or None, "formulas": attempt(lesson.terms, t, op) or []}
        return _step("forward", f"What is {t.words(out)}?", say, i, round=self.rounds.get(op.id), **more)

    def failed(self, op: Op) -> Step:
        failure: Any = self.graph.failure
        name, error = clip(op.name), clip(failure.error)
        say = f"{name} raises {error}, so nothing after it ran, and there is no way back."
        message = {"lines": [plain(text) for text in failure.message.splitlines()], "note": error}
        source = [source_of(op.place, self.functions)]
        return _step("failed", f"Why does {name} fail?", say, formulas=[message], source=source, inputs=inputs_of(op))

    def loss(self) -> Step:
        graph, end = self.graph, self.trials.end
        say = f"{end} is not one number, so its sum is differentiated, and the way back begins with a gradient of 1."
        if graph.loss is not None:
            say = (
                f"The loss is {number(graph.loss)}. Now the question turns round: how fast does the loss change "
                "when a value is raised? For the loss itself the answer is 1."
            )
        first = [v for op in graph.ops[:1] for v in (op.output, *learning(op)) if v != graph.result]
        term = lesson.SHORT.format(clip(graph.values[first[0]].name)) if first else None
        formula = {"lines": [f"g_{end} = 1"], "note": f"d {end} / d {end}"}
        return _step("loss", "Where does the way back begin?", say, formulas=[formula], term=term)

    def backward(self, i: int, op: Op) -> Step:
        t, values = self.trials, [self.graph.values[v] for v in learning(op)]
        say = lesson.backward(t, op, values)
        ask = f"How does {t.goal} change with {listed([t.words(v) for v in values])}?"
        term = lesson.BACKWARD if op.id == next(iter(t.back)) else None
        return _step("backward", ask, say, i, round=self.rounds.get(op.id), term=term)

    def end(self, moves: bool) -> Step:
        names = listed([clip(v.name) for v in self.author.learnt()])
        say = f"Each number of {names} has its complete gradient: loss.backward() puts it beside the array, as grad."
        goal = [f"{lesson.PLAIN} {lesson.MINUS}"] if moves else None
        return _step("end", "What do we do with the gradients?", say, goal=goal, term=lesson.RATE)

    def doc(self, op: Op) -> str:
        """Return the first line of the operation's docstring, with the names of the inputs in its formulas."""
        line = _first_line(op.call.primitive) or f"Computes {op.name}."
        names = {op.ports[p]: clip(self.graph.values[v].name) for p, v in op.inputs}

        def named(formula: re.Match[str]) -> str:
            return re.sub(r"\w+", lambda word: names.get(word[0], word[0]), formula[0].strip("`"))

        text = re.sub(r"``.*?``|`\w+`", named, line)
        return plain(text.replace(", element by element", "") if self.graph.values[op.output].size == 1 else text)


def _step(kind: str, ask: str, say: str, op: int = -1, **more: Any) -> Step:
    return record(kind=kind, ask=ask, say=say, op=op, **more)


def origins(graph: Graph, functions: Functions) -> dict[str, Origin]:
    """Return what the values are whose names the user's code does not give.

    A name is that of an operation, or of a function of this package, or the page has numbered a variable that is
    assigned again. If one expression runs several operations, the last one computes its value.
    """
    found, places = {}, [(op.place.code, op.place.line, op.place.columns) for op in graph.ops]
    for op, here, after in zip_longest(graph.ops, places, places[1:]):
        (code, line, columns), name = here, graph.values[op.output].name
        base, derived = re.sub(r"_\d+$", "", name), re.fullmatch(rf"{re.escape(op.name)}(_\d+)?", name)
        known = {*code.co_names, *code.co_varnames, *code.co_cellvars}
        if op.output == graph.result or (name in known and not derived):
            continue
        lines = source_of(op.place, functions)["lines"] if columns else []
        marked = next((marked for _, _, marked, _ in lines if marked), "")
        last = here != after or any(word and word in marked for word in (op.name, op.call.primitive.symbol))
        text, where = (bare(clip(marked)), f" on line {line}") if marked else (f"line {line}", "")
        told, short = f"{'the result' if last else 'a part'} of {text}{where}", text * last
        if base in known and not derived:
            told, short = f"the variable {base} as line {line} sets it", f"{base} of line {line}"
        found[op.output] = Origin(told, short, text if derived and last and len(marked) <= 24 else "")
    return found


def _of_each(tree: ast.expr) -> bool:
    """Return whether each element of an expression depends on the elements in its own place only."""
    nodes = [*ast.walk(tree)]
    calls = [node.func for node in nodes if isinstance(node, ast.Call)]
    every = all(getattr(operations.get(getattr(f, "attr", "")), "elementwise", False) for f in calls)
    return every and not any(isinstance(node, ast.Subscript) for node in nodes)


def _title(graph: Graph) -> str:
    """Return the user's function with its parameters, ``f(x, y)``, or the names of several."""
    ops = [*graph.ops, *([graph.failure.op] if graph.failure else [])]
    code = {op.place.code: op.place.code.co_name for op in ops if not op.place.code.co_name.startswith("<")}
    named = [f"{name}({', '.join(c.co_varnames[: c.co_argcount])})" for c, name in code.items()]
    return clip(named[0] if len(named) == 1 else listed([*dict.fromkeys(code.values())]) if code else "your function")


def _first_line(function: Any) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]


# Warnings about the numbers


def diagnose(t: Trials) -> list[tuple[str, int]]:
    """Return what looks wrong, each with the step that shows it."""
    found: list[tuple[str, int]] = []
    layers: list[tuple[float, str, int]] = []  # norms of gradients of operations with parameters, the last one first
    for k, op in enumerate(t.ops, 1):
        a, name = np.asarray(t.array(t.values[op.output])), clip(t.values[op.output].name)
        if a.dtype.kind != "f" or not a.size:
            continue
        if bad := a.size - np.count_nonzero(np.isfinite(a)):
            found.append((f"the first nan or infinity is in {name}: {int(bad):,} of {count_text(a.size, 'number')}", k))
            return found
        shapes = [t.values[v].shape for _, v in op.inputs]
        if op.call.primitive.symbol not in ("", "@", "[]") and all(math.prod(s) not in (1, a.size) for s in shapes):
            spread = " and ".join(map(shape_text, shapes))
            found.append((f"{spread} spread to {shape_text(a.shape)}, which is often a mistake: {name}", k))
        many = op.call.primitive.rectifies and a.ndim > 1 and len(a) >= MANY
        if many and len(dead := np.flatnonzero(dead_channels(a))):
            which = f"{len(dead):,} of {a.shape[-1]:,} channels of {name}"
            which += f" are 0 in the whole batch of {len(a):,} ({listed(list(map(str, dead)))})"
            found.append((f"dead {op.name}: {which}", k))
        low = {tanh: -1, sigmoid: 0}.get(op.call.primitive)
        if low is not None and (part := float(np.mean((a < low + ENDS) | (a > 1 - ENDS)))) > 0.5:
            which = f"saturated {op.name}: {100 * part:.0f} % of {name} is at its ends, where the slope is almost 0"
            found.append((which, k))
        if op.id in t.back and any(t.values[v].role == "parameter" for _, v in op.inputs):
            g = np.asarray(t.gradient(t.values[op.output]), np.float64)
            layers.append((float(np.linalg.norm(g)), name, t.back[op.id]))
    for (far, name, step), (near, _, _) in pairwise(layers):
        if 0 < far < math.inf and 0 < near < math.inf and FAR < max(near / far, far / near) < ROUNDING:
            word, ratio = ("shrinks", near / far) if near > far else ("grows", far / near)
            found.append((f"the gradient {word} {ratio:,.0f} times on the way back to {name}", step))
    for v in t.graph.parameters:
        if v.id not in t.shares or not np.any(t.gradient(v)):
            found.append((f"the gradient of {clip(v.name)} is 0: it does not learn", len(t.ops) + 2 + len(t.back)))
    return found


# The user's lines


def functions_of(graph: Graph) -> Functions:
    """Return the user's functions whose source is available, as far as the page shows them."""
    used: dict[Any, list[int]] = defaultdict(list)
    for op in (*graph.ops, *([graph.failure.op] if graph.failure else [])):
        used[op.place.code].append(op.place.line)
    found: Functions = {}
    for code, lines in used.items():
        with suppress(OSError, TypeError, SyntaxError):  # raised if there is no source
            # for the code of a module, `getsourcelines` would return the first statement only
            whole = code.co_name == "<module>"
            source, first = (inspect.findsource(code)[0], 1) if whole else inspect.getsourcelines(code)
            shown = range(min(lines) - CONTEXT, max(lines) + CONTEXT + 1)
            text = [(k, line.rstrip("\n")) for k, line in enumerate(source, first) if k in shown]
            found[code] = min((len(line) - len(line.lstrip()) for _, line in text if line.strip()), default=0), text
    return found


def text_of_source(function: Any) -> str:
    """Return the source of a rule, at most `LONGEST` lines of it, or "" if there is none."""
    with suppress(OSError, TypeError):
        return "\n".join(map(plain, textwrap.dedent(inspect.getsource(function)).splitlines()[:LONGEST]))
    return ""


def source_of(place: Place, functions: Functions, whole: bool = False) -> dict[str, Any]:
    """Return the lines around `place`, or its `whole` function.

    Each has its number, and its text before, in and after the expression that is marked.
    """
    indent, lines = functions.get(place.code, (0, []))
    if not whole:
        here = next((i for i, (k, _) in enumerate(lines) if k == place.line), 0)
        lines = lines[max(0, min(here - 1, len(lines) - 3)) :][:3]
    shown = []
    for k, text in lines:
        line = text.encode()
        start, end = place.columns or (indent, len(line)) if k == place.line and not whole else (len(line), len(line))
        parts = [line[indent:start], line[start:end], line[end:]]
        before, marked, after = (plain(part.decode(errors="replace"))[:400] for part in parts)
        shown.append((k, before, marked, after))
    return {"at": clip(f"{place.file}:{place.code.co_firstlineno if whole else place.line}"), "lines": shown}
