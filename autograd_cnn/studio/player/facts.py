"""Collects the facts that the player shows: every value, contribution, line and sentence, forward and backward.

The facts are collected while the derived program is written, because writing it runs every line. Numbers and sentences
are formatted here, not by the page, so that the page agrees with the listing and with `.grad`.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from autograd_cnn.engine.observe import operations
from autograd_cnn.studio.picture.fold import called
from autograd_cnn.studio.player import lesson
from autograd_cnn.studio.player.array_views import Store, Views, share
from autograd_cnn.studio.player.diagnose import diagnose
from autograd_cnn.studio.player.geometry import geometry
from autograd_cnn.studio.player.lines import contribution, statement
from autograd_cnn.studio.player.mistakes import compare
from autograd_cnn.studio.player.quiz import questions
from autograd_cnn.studio.player.schema import Formula, Moment, Operation, Part, Reach, Step, Value, Window
from autograd_cnn.studio.player.sources import functions_of, source_of
from autograd_cnn.studio.player.trials import Share, Trials
from autograd_cnn.studio.player.wording import ARRAYS, DEAD, INDEX, MINUS, TERMS, number
from autograd_cnn.studio.program.listing import shown
from autograd_cnn.studio.program.measure import keep_statistics
from autograd_cnn.studio.program.program import as_recorded
from autograd_cnn.studio.program.syntax import names_in
from autograd_cnn.studio.program.write import Author
from autograd_cnn.studio.records import Graph, Kept, Op
from autograd_cnn.studio.records import Value as Recorded
from autograd_cnn.studio.text import bytes_text, clip, listed, plain, shape_text


def facts_of(graph: Graph, channels: int, source: bool, rounds: Mapping[str, str], store: Store) -> Moment:
    """Return everything that the page shows of `graph`, as text and numbers, but for the overlays.

    At most `channels` maps of an array are drawn; their numbers go into `store`. If `source`, the user's code is
    included. `rounds` maps the ids of operations to the rounds of their loops.
    """
    views = Views(graph, channels, store)
    shares: dict[str, list[Share]] = defaultdict(list)
    counts = Counter(v for op in graph.ops for p, v in op.inputs if p in op.rules)  # expected contributions

    def contributed(op: Op, value: Recorded, array: Any) -> None:
        if author.inner:  # inside a checkpoint
            return
        added, view = contribution(statement(author.lines[-1][0]), author.gradient(value)), None
        if counts[value.id] > 1:  # a single contribution is the gradient itself
            view = views.look(array, value, True)
            array = np.array(array) if views.whole else None  # the walk may add to it in place
        shares[value.id].append(Share(op, added, array, view))

    with as_recorded():
        author = Author(graph, contributed=contributed)
        author.write()
        keep_statistics(author)
        functions = functions_of(graph) if source else {}
        expressions = {op.id: _expression(op, graph.values[op.output], functions) for op in graph.ops}
        trials = Trials(author, shares, expressions, views)
        return _Facts(trials, views, rounds).moment(functions)


class _Facts:
    """Writes down what was found in a program that was written and tried."""

    def __init__(self, trials: Trials, views: Views, rounds: Mapping[str, str]) -> None:
        self.trials, self.views, self.rounds = trials, views, rounds
        self.author, self.graph, self.scope = trials.author, trials.graph, trials.scope
        ops = [*self.graph.ops, *([self.graph.failure.op] if self.graph.failure else [])]
        self.places = {_key(op): op.place for op in ops}
        self.numbers = {key: i for i, key in enumerate(self.places)}
        self.scalar = all(v.size == 1 for v in self.graph.values.values())
        self.outside = {v for op in ops for v in (op.output, *_inputs(op))} | {self.graph.result}

    def moment(self, functions: Mapping[Any, Any]) -> Moment:
        graph, lines = self.graph, reversed(self.author.backward_lines)
        found = [] if graph.failure else diagnose(self.trials)
        update = None if graph.failure else lesson.update(self.trials)
        ops = [
            self.operation(op, [text for text, _ in shown(rules)]) for op, rules in zip(graph.ops, lines, strict=True)
        ]
        values = {v.id: self.value(v) for v in graph.values.values() if v.id in self.outside}
        texts = {f.name: f.text for f in functions.values()}
        places = [source_of(place, functions.get(place.code)) for place in self.places.values()]
        quiz = [] if graph.failure else questions(self.trials, ops, update)
        return Moment(
            _title(graph), self.scalar, self.steps(found), ops, values, texts, places, graph.result,
            [plain(text) for text in graph.summary()], update, found, quiz, None, None,
        )  # fmt: skip

    def value(self, value: Recorded) -> Value:
        code, gradient, scope = self.author.name(value), self.author.gradient(value), self.scope
        name, full, kind = clip(value.name), plain(value.name), f"{shape_text(value.shape)} {value.dtype}"
        array, g = scope.get(code), scope[gradient] if gradient in self.author.received else None
        own, slope = (None if a is None or value.size != 1 else number(np.reshape(a, -1)[0]) for a in (array, g))
        view, view_of_g = (None if a is None else self.views.look(a, value, a is g) for a in (array, g))
        example = parts = None
        if g is not None and self.views.whole and (places := self.views.drawn(value)) is not None:
            example = next(iter(np.flatnonzero(places == self.trials.pick(value).i).tolist()), None)
        if value.id in self.trials.shares:
            parts = [Part(s.op.id, s.look) for s in self.trials.shares[value.id]]
        names = name, value.role, kind, code if code != name else None, full if full != name else None
        return Value(*names, view, view_of_g, own, slope, example, parts)

    def operation(self, op: Op, rules: list[str]) -> Operation:
        scopes = (f"{called(s, ())}{f' ({s.instance})' if s.instance > 1 else ''}" for s in op.scopes)
        line, inputs = self.trials.lines[op.id], _inputs(op)
        words = set().union(*(names_in(tree) for tree in map(statement, rules) if tree))
        used = [v for v in [*inputs, op.output] if self.author.name(self.graph.values[v]) in words]
        calls = [f"{f.__name__}: {_first_line(f)}".replace("`", "") for f in _called(rules)]
        comparison = compare(self.author, op, line, rules) if self.views.whole else None
        return Operation(
            op.id, clip(op.name), inputs, op.output, _learning(op), plain("/".join(scopes)), line, rules, used, calls,
            self.numbers[_key(op)], comparison, self.reach(op) if self.views.whole else None,
        )  # fmt: skip

    def reach(self, op: Op) -> Reach | None:
        """Return how the output depends on the inputs, with the winners of a pool: places in their windows."""
        names = {v: self.author.name(self.graph.values[v]) for v in (op.output, *_inputs(op))}
        found = geometry(op, {v: np.asarray(self.scope[name]) for v, name in names.items() if name in self.scope})
        if isinstance(found, Window) and found.pool == "max":
            winners = self.scope.get(self.author.names.get((op.id, op.byproducts[0]), ""))  # none without a gradient
            return found._replace(won=self.views.winners(winners))
        return found

    def steps(self, found: list[tuple[str, int]]) -> list[Step]:
        """Return the steps of both passes in order: what each asks, means, computes and costs."""
        graph, t = self.graph, self.trials
        steps = [self.begin(), *(self.forward(i, op) for i, op in enumerate(graph.ops))]
        if graph.failure:
            steps.append(self.failed(graph.failure.op))
        else:
            back = [(i, op) for i, op in reversed(list(enumerate(graph.ops))) if op.id in t.back]
            steps += [self.loss(), *(self.backward(i, op) for i, op in back), self.end()]
        held, peak = 0, graph.kept_bytes
        for k, step in enumerate(steps):
            more: dict[str, Any] = {}
            if step.op >= 0:
                more["round"] = self.rounds.get(graph.ops[step.op].id)
                held += self.bytes(graph.ops[step.op]) * (-1 if step.kind == "backward" else 1)
            if peak is not None:
                more |= {"held": held, "holds": f"{bytes_text(held, 'bytes')} of {bytes_text(peak, 'bytes')}"}
            if step.kind in TERMS and (k == 0 or step.kind != steps[k - 1].kind):
                more["term"] = self.term(step.kind)
            steps[k] = step._replace(**more)
        for text, k in found:
            steps[k] = steps[k]._replace(warn=f"{text[0].upper()}{text[1:]}. {DEAD if text.startswith('dead') else ''}")
        return steps

    def term(self, kind: str) -> str:
        """Return the explanation of the words that are new at the first step of this kind."""
        ops, values = self.graph.ops, self.graph.values
        first = clip(values[ops[0].output].name) if ops else self.trials.end
        begins = kind == "begin" and not self.scalar
        images = begins and any(len(v.shape) == 4 for v in values.values())
        return TERMS[kind].format(first) + ARRAYS * begins + INDEX * images

    def begin(self) -> Step:
        say, *goal = lesson.begin(self.trials)
        costs = f"{', '.join(self.graph.summary())}."
        return Step("begin", f"What does {_title(self.graph)} compute?", say, -1, None, costs, goal)

    def forward(self, i: int, op: Op) -> Step:
        out, expression, kept = self.graph.values[op.output], self.trials.expressions[op.id], self.bytes(op)
        name, say = clip(out.name), self.doc(op)
        if expression:
            say = f"Your code gives {expression} no name; here it is called {name}. {say}"
        costs = [f"Its shape is {shape_text(out.shape)}." if out.shape else ""]
        if kept:
            costs.append(f"It keeps {bytes_text(kept, 'bytes')} for the way back: {self.kept(op)}.")
        elif op.kept:
            costs.append(f"It keeps nothing new: {self.kept(op)}.")
        elif not op.rules and not self.graph.failure:
            say += " Nothing before it learns, so it has no step on the way back."
        elif op.kept is not None:
            costs.append("It keeps nothing for the way back.")
        text = " ".join(filter(None, [*costs, *self.notes(out, self.author.name(out), name)]))
        return Step("forward", f"What is {expression or name}?", say, i, lesson.forward(self.trials, op), text)

    def failed(self, op: Op) -> Step:
        failure: Any = self.graph.failure
        name, error = clip(op.name), clip(failure.error)
        say = f"{name} raises {error}, so nothing after it ran, and there is no way back."
        message, place = Formula([plain(text) for text in failure.message.splitlines()], error), self.numbers[_key(op)]
        return Step("failed", f"Why does {name} fail?", say, -1, [message], place=place, inputs=_inputs(op))

    def loss(self) -> Step:
        end = self.trials.end
        say = f"{end} is not one number, so its sum is differentiated, and the way back begins with a gradient of 1."
        if self.graph.loss is not None:
            say = (
                f"The loss is {number(self.graph.loss)}. Now the question turns round: how fast does the loss change "
                "when a value is raised? For the loss itself the answer is 1."
            )
        return Step(
            "loss", "Where does the way back begin?", say, -1, [Formula([f"g_{end} = 1"], f"d {end} / d {end}")]
        )

    def backward(self, i: int, op: Op) -> Step:
        values = [self.graph.values[v] for v in _learning(op)]
        say, formulas = lesson.backward(self.trials, op, values)
        ask = f"How does {self.trials.goal} change with {listed([self.trials.words(v) for v in values])}?"
        kept = self.kept(op)
        others = [clip(self.graph.values[v].name) for v in dict.fromkeys(v for p, v in op.inputs if p not in op.rules)]
        costs = [f"It uses {kept}." if kept else "", f"No gradient is needed for {listed(others)}." if others else ""]
        costs += [note for v in values for note in self.notes(v, self.author.gradient(v), f"g_{clip(v.name)}")]
        return Step("backward", ask, say, i, formulas, " ".join(filter(None, costs)))

    def end(self) -> Step:
        names = listed([clip(v.name) for v in self.author.learnt()])
        say = f"The gradients of {names} are complete: after loss.backward() they are in .grad of each Tensor. "
        say += f"Each number takes a step against its gradient. {MINUS}"
        return Step("end", "What do we do with the gradients?", say, -1)

    def doc(self, op: Op) -> str:
        """Return the first line of the operation's docstring, with the names of the inputs in its formulas."""
        line = _first_line(op.call.primitive) or f"Computes {op.name}."
        names = {op.ports[p]: clip(self.graph.values[v].name) for p, v in op.inputs}

        def named(formula: re.Match[str]) -> str:
            return re.sub(r"\w+", lambda word: names.get(word[0], word[0]), formula[0].strip("`"))

        text = re.sub(r"``.*?``|`\w+`", named, line)
        return plain(text.replace(", element by element", "") if self.graph.values[op.output].size == 1 else text)

    def bytes(self, op: Op) -> int:
        """Return the bytes of the arrays that `op` is the first to keep."""
        return sum(k.nbytes for k in self.graph.added(op))

    def kept(self, op: Op) -> str:
        def cost(kept: Kept) -> str:
            return "(kept before, counted once)" if kept.first else bytes_text(kept.nbytes, "bytes")

        return clip(self.graph.kept(op, cost=cost), 120)

    def notes(self, value: Recorded, code: str, name: str) -> list[str]:
        """Return remarks on zeros, nan and infinities in an array."""
        a = np.asarray(self.scope.get(code))
        if value.size < 2 or a.dtype.kind not in "fc":
            return []
        zeros, bad = (value.size - np.count_nonzero(a)) / value.size, value.size - np.count_nonzero(np.isfinite(a))
        found = [f"{share(zeros)} of {name} is zero."] if zeros >= 0.2 else []
        return found + ([f"{bad:,} of its elements are not finite!"] if bad else [])


def _expression(op: Op, value: Recorded, functions: Mapping[Any, Any]) -> str:
    """Return the expression of an operation that the user's code gives no name, if it is short."""
    function, named = functions.get(op.place.code), not re.fullmatch(rf"{re.escape(op.name)}(_\d+)?", value.name)
    marked = function.marked(op.place) if function and not named else []
    return marked[1] if marked and len(marked[1]) <= 24 else ""


def _title(graph: Graph) -> str:
    """Return the function of the last operation with its parameters, ``f(x, y)``."""
    code = graph.ops[-1].place.code if graph.ops else None
    if code is None or code.co_name.startswith("<"):
        return "your function"
    return clip(f"{code.co_name}({', '.join(code.co_varnames[: code.co_argcount])})")


def _key(op: Op) -> Any:
    return op.place.code, op.place.line, op.place.columns


def _inputs(op: Op) -> list[str]:
    return list(dict.fromkeys(v for _, v in op.inputs))


def _learning(op: Op) -> list[str]:
    """Return the inputs that receive a gradient."""
    return list(dict.fromkeys(v for p, v in op.inputs if p in op.rules))


def _called(lines: list[str]) -> list[Any]:
    """Return the functions of the library that the lines of a rule call."""
    names = dict.fromkeys(re.findall(r"\bag\.(\w+)\(", " ".join(lines)))
    return [operations[name] for name in names if name in operations]


def _first_line(function: Any) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]
