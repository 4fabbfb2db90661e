"""Collects the facts that the player shows: every value, contribution, line and sentence, forward and backward.

The facts are collected while the derived program is written, because writing it runs every line. Numbers and sentences
are formatted here, not by the page, so that the page agrees with the listing and with `.grad`.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from autograd_cnn.engine.registry import registry
from autograd_cnn.studio.picture.fold import called
from autograd_cnn.studio.picture.measure import statistics
from autograd_cnn.studio.player.array_views import Store, look, maps, share
from autograd_cnn.studio.player.diagnose import diagnosed
from autograd_cnn.studio.player.geometry import geometry
from autograd_cnn.studio.player.lesson import Lesson
from autograd_cnn.studio.player.mistakes import compared
from autograd_cnn.studio.player.quiz import questions
from autograd_cnn.studio.player.trials import Share
from autograd_cnn.studio.player.wording import ARRAYS, DEAD, INDEX, MINUS, TERMS, number
from autograd_cnn.studio.program.listing import shown
from autograd_cnn.studio.program.program import as_recorded
from autograd_cnn.studio.program.write import Author
from autograd_cnn.studio.records import Graph, Kept, Op, Place, Use, Value
from autograd_cnn.studio.text import bytes_text, clip, listed, plain, shape_text

WHOLE = 300  # operations; longer graphs have no images and no trials
CONTEXT = 6  # lines of source shown before and after those with operations


def facts_of(graph: Graph, channels: int, source: bool, rounds: Mapping[str, str], store: Store) -> dict[str, Any]:
    """Return everything that the page shows of `graph`, as text and numbers.

    At most `channels` maps of an array are drawn; their numbers go into `store`. If `source`, the user's code is
    included. `rounds` maps the ids of operations to the rounds of their loops.
    """
    with as_recorded():
        return _Watch(graph, channels, rounds, store).facts(source)


class _Watch(Author):
    """Records the contribution of every line while the program is written."""

    def __init__(self, graph: Graph, channels: int, rounds: Mapping[str, str], store: Store) -> None:
        super().__init__(graph, contributed=self.contribution)
        self.channels = channels
        self.rounds = rounds
        self.store = store
        self.whole = len(graph.ops) <= WHOLE
        self.parts: dict[str, list[dict[str, Any]]] = defaultdict(list)  # value -> its contributions, in order
        self.shares: dict[str, list[Share]] = defaultdict(list)  # the same, with the numbers
        self.rules: dict[str, list[str]] = {}  # operation -> its lines, once written
        calls = [zip(op.call.primitive.parameters, op.call.arguments, strict=False) for op in graph.ops]
        self.filters = {a.value.id for call in calls for name, a in call if name == "w" and isinstance(a, Use)}
        self.counts = Counter(v for op in graph.ops for p, v in op.inputs if p in op.rules)  # expected contributions

    # While the program is written

    def contribution(self, op: Op, value: Value, array: Any) -> None:
        if self.inner:  # inside a checkpoint
            return
        part: dict[str, Any] = {"op": op.id}
        if self.counts[value.id] > 1:  # a single contribution is the gradient itself
            part["look"] = self.looked(array, value, True)
            array = np.array(array) if self.whole else None  # the walk may add to it in place
        self.shares[value.id].append(Share(op, self.lines[-1][0], array))
        self.parts[value.id].append(part)

    def role(self, value: Value) -> str:
        images = len(value.shape) == 4 and value.role == "parameter" and value.id not in self.filters
        return "activation" if images else value.role

    def looked(self, array: Any, value: Value, gradient: bool) -> dict[str, Any]:
        found, role = look(array, self.whole), self.role(value)
        if self.whole and (drawn := maps(array, role, self.channels)):
            found["m"] = self.store.drawn(drawn, gradient, role)
        return found

    def drawn(self, value: Value) -> Any:
        """Return the flat indices of the elements that are drawn, or None."""
        drawn = maps(np.arange(value.size).reshape(value.shape), self.role(value), self.channels)
        return drawn and drawn.numbers.astype(int).ravel()

    # After the program is written

    def facts(self, source: bool) -> dict[str, Any]:
        self.write()
        graph, result = self.graph, self.graph.values[self.graph.result]
        if graph.arrays is not None:  # the overlays need not run the program again
            graph.measured = graph.measured or statistics(self)
        self.functions = functions = _functions(graph) if source else {}
        self.expressions = {op.id: self.expression(op) for op in graph.ops}
        self.lesson = Lesson(self, self.shares, self.called, self.drawn, self.whole)
        self.found = [] if graph.failure else diagnosed(self.lesson)
        self.rules = {
            op.id: [text for text, _ in shown(lines)]
            for op, lines in zip(graph.ops, reversed(self.backward_lines), strict=True)
        }
        places = {_key(op): op.place for op in (*graph.ops, *([graph.failure.op] if graph.failure else []))}
        self.numbers = numbers = {key: i for i, key in enumerate(places)}
        outside = {v for op in graph.ops for v in (op.output, *_inputs(op))} | {graph.result}
        outside |= set(_inputs(graph.failure.op)) if graph.failure else set()
        pairs = zip(graph.ops, self.forward_lines, strict=True)
        ops = [{**self.operation(op, line), "place": numbers[_key(op)]} for op, line in pairs]
        return {
            "name": _title(graph),
            "scalar": self.scalar(),
            "steps": self.steps(),
            "ops": ops,
            "values": {v.id: self.value(v) for v in graph.values.values() if v.id in outside},
            "functions": {f.name: f.text for f in functions.values()},
            "places": [_fact_of(place, functions.get(place.code)) for place in places.values()],
            "result": graph.result,
            "summary": [plain(text) for text in graph.summary()],
            "seed": f"{self.gradient(result)} = np.ones_like({self.name(result)})",
            "update": self.lesson.update if not graph.failure else None,
            "worth": self.found,
            "quiz": questions(self.lesson, ops) if not graph.failure else [],
        }

    def value(self, value: Value) -> dict[str, Any]:
        name, gradient = self.name(value), self.gradient(value)
        kind = f"{shape_text(value.shape)} {value.dtype}"
        fact: dict[str, Any] = {"name": clip(value.name), "role": value.role, "type": kind}
        if name != fact["name"]:
            fact["code"] = name
        if plain(value.name) != fact["name"]:
            fact["full"] = plain(value.name)
        if name in self.scope:
            fact["v"] = self.looked(self.scope[name], value, False)
            if value.size == 1:
                fact["n"] = number(np.reshape(self.scope[name], -1)[0])
        if gradient in self.received:
            if value.size == 1:
                fact["gn"] = number(np.reshape(self.scope[gradient], -1)[0])
            fact["g"] = self.looked(self.scope[gradient], value, True)
            places = self.drawn(value) if self.whole else None
            if places is not None and len(at := np.flatnonzero(places == self.lesson.pick(value).i)):
                fact["at"] = int(at[0])
        if parts := self.parts.get(value.id):
            fact["parts"] = parts
        return fact

    def operation(self, op: Op, line: str) -> dict[str, Any]:
        lines = self.rules[op.id]
        scopes = (f"{called(s, ())}{f' ({s.instance})' if s.instance > 1 else ''}" for s in op.scopes)
        fact: dict[str, Any] = {
            "id": op.id,
            "name": clip(op.name),
            "in": _inputs(op),
            "out": op.output,
            "learns": _learning(op),
            "scope": plain("/".join(scopes)),
            "forward": line,
            "rules": lines,
            "calls": [f"{f.__name__}: {_first_line(f)}".replace("`", "") for f in _called(lines)],
        }
        if self.whole:
            fact["trial"] = compared(self, op, line, lines)
            fact["reach"] = self.reach(op)
        return fact

    def doc(self, op: Op) -> str:
        """Return the first line of the operation's docstring, with the names of the inputs in its formulas."""
        line = _first_line(op.call.primitive) or f"Computes {op.name}."
        names = {op.ports[p]: clip(self.graph.values[v].name) for p, v in op.inputs}

        def named(formula: re.Match[str]) -> str:
            return re.sub(r"\w+", lambda word: names.get(word[0], word[0]), formula[0].strip("`"))

        text = re.sub(r"``.*?``|`\w+`", named, line)
        return plain(text.replace(", element by element", "") if self.graph.values[op.output].size == 1 else text)

    def reach(self, op: Op) -> dict[str, Any] | None:
        """Return how the output depends on the inputs, with the winners of a pool: places in their windows."""
        names = {v: self.name(self.graph.values[v]) for v in (op.output, *_inputs(op))}
        found = geometry(op, {v: np.asarray(self.scope[name]) for v, name in names.items() if name in self.scope})
        if found and found.get("pool") == "max":
            winners = self.scope.get(self.named((op.id, op.byproducts[0]), ""))
            if drawn := maps(winners, "activation", self.channels):
                found["won"] = self.store.drawn(drawn, False, "")
        return found

    def steps(self) -> list[dict[str, Any]]:
        """Return the steps of both passes in order: what each asks, means, computes and costs."""
        graph, held, peak, lesson = self.graph, 0, self.graph.kept_bytes, self.lesson
        names, end = listed([clip(v.name) for v in self.learnt()]), lesson.end
        first = clip(graph.values[graph.ops[0].output].name) if graph.ops else end
        steps: list[dict[str, Any]] = []

        def step(kind: str, ask: str, say: str, op: int = -1, **more: Any) -> None:
            fact = {"kind": kind, "op": op, "ask": ask, "say": say, **more, "held": None, "holds": ""}
            if op >= 0 and (around := self.rounds.get(graph.ops[op].id)):
                fact["round"] = around
            if peak is not None:
                fact |= {"held": held, "holds": f"{bytes_text(held, 'bytes')} of {bytes_text(peak, 'bytes')}"}
            if kind in TERMS and kind not in [s["kind"] for s in steps[-1:]]:
                begins = kind == "begin" and not self.scalar()
                images = begins and any(len(v.shape) == 4 for v in graph.values.values())
                fact["term"] = TERMS[kind].format(first) + ARRAYS * begins + INDEX * images
            steps.append(fact)

        say, *goal = lesson.begin()
        step("begin", f"What does {_title(graph)} compute?", say, goal=goal, costs=f"{', '.join(graph.summary())}.")
        for i, op in enumerate(graph.ops):
            held += self.bytes(op)
            name, called = clip(graph.values[op.output].name), self.called(op)
            say, costs = self.forward_sentence(op, name, called)
            lines = lesson.forward(op, self.forward_lines[i])
            step("forward", f"What is {called or name}?", say, i, formulas=lines, costs=costs)
        if graph.failure:
            failed, error = graph.failure.op, clip(graph.failure.error)
            say = f"{clip(failed.name)} raises {error}, so nothing after it ran, and there is no way back."
            message = {"lines": [plain(text) for text in graph.failure.message.splitlines()], "note": error}
            place = self.numbers[_key(failed)]
            more: dict[str, Any] = {"formulas": [message], "place": place, "in": _inputs(failed)}
            step("failed", f"Why does {clip(failed.name)} fail?", say, **more)
            return steps
        say = f"{end} is not one number, so its sum is differentiated, and the way back begins with a gradient of 1."
        if graph.loss is not None:
            say = (
                f"The loss is {number(graph.loss)}. Now the question turns round: how fast does the loss change when a "
                "value is raised? For the loss itself the answer is 1."
            )
        seed = {"lines": [f"g_{end} = 1"], "note": f"d {end} / d {end}"}
        step("loss", "Where does the way back begin?", say, formulas=[seed])
        for i in (i for i in reversed(range(len(graph.ops))) if graph.ops[i].id in lesson.back):
            op = graph.ops[i]
            held -= self.bytes(op)
            values = [graph.values[v] for v in _learning(op)]
            say, formulas = lesson.backward(op, values)
            ask = f"How does {lesson.goal} change with {listed([lesson.spoken(v) for v in values])}?"
            step("backward", ask, say, i, formulas=formulas, costs=self.backward_costs(op, values))
        say = f"The gradients of {names} are complete: after loss.backward() they are in .grad of each Tensor. "
        step("end", "What do we do with the gradients?", f"{say}Each number takes a step against its gradient. {MINUS}")
        for text, k in self.found:
            steps[k]["warn"] = f"{text[0].upper()}{text[1:]}. {DEAD if text.startswith('dead') else ''}"
        return steps

    def scalar(self) -> bool:
        return all(v.size == 1 for v in self.graph.values.values())

    def called(self, op: Op) -> str:
        return self.expressions[op.id]

    def expression(self, op: Op) -> str:
        """Return the expression of an operation that the user's code gives no name, if it is short."""
        function, value = self.functions.get(op.place.code), self.graph.values[op.output]
        named = not re.fullmatch(rf"{re.escape(op.name)}(_\d+)?", value.name)
        marked = function.marked(op.place) if function and not named else []
        return marked[1] if marked and len(marked[1]) <= 24 else ""

    def bytes(self, op: Op) -> int:
        """Return the bytes of the arrays that `op` is the first to keep."""
        return sum(k.nbytes for k in self.graph.added(op))

    def forward_sentence(self, op: Op, name: str, called: str) -> tuple[str, str]:
        """Return the meaning of a step forward, and what it costs."""
        kept, out = self.bytes(op), self.graph.values[op.output]
        say = self.doc(op)
        if called:
            say = f"Your code gives {called} no name; here it is called {name}. {say}"
        costs = [f"Its shape is {shape_text(out.shape)}." if out.shape else ""]
        if kept:
            costs.append(f"It keeps {bytes_text(kept, 'bytes')} for the way back: {self.kept(op)}.")
        elif op.kept:
            costs.append(f"It keeps nothing new: {self.kept(op)}.")
        elif not op.rules and not self.graph.failure:
            say += " Nothing before it learns, so it has no step on the way back."
        elif op.kept is not None:
            costs.append("It keeps nothing for the way back.")
        return say, " ".join(filter(None, [*costs, *self.notes(out, self.name(out), name)]))

    def kept(self, op: Op) -> str:
        def cost(kept: Kept) -> str:
            return "(kept before, counted once)" if kept.first else bytes_text(kept.nbytes, "bytes")

        return clip(self.graph.kept(op, cost=cost), 120)

    def backward_costs(self, op: Op, values: list[Value]) -> str:
        kept = self.kept(op)
        rest = listed(
            [clip(self.graph.values[v].name) for v in dict.fromkeys(v for p, v in op.inputs if p not in op.rules)]
        )
        costs = [f"It uses {kept}." if kept else ""]
        costs += [f"No gradient is needed for {rest}." if rest != "nothing" else ""]
        costs += [note for v in values for note in self.notes(v, self.gradient(v), f"g_{clip(v.name)}")]
        return " ".join(filter(None, costs))

    def notes(self, value: Value, code: str, name: str) -> list[str]:
        """Return remarks on zeros, nan and infinities in an array."""
        a = np.asarray(self.scope.get(code))
        if value.size < 2 or a.dtype.kind not in "fc":
            return []
        zeros, bad = (value.size - np.count_nonzero(a)) / value.size, value.size - np.count_nonzero(np.isfinite(a))
        found = [f"{share(zeros)} of {name} is zero."] if zeros >= 0.2 else []
        return found + ([f"{bad:,} of its elements are not finite!"] if bad else [])


class _Function:
    """A function of the user: its source, and the part of it that the page shows."""

    def __init__(self, name: str, code: Any, lines: list[int]) -> None:
        # for the code of a module, `getsourcelines` would return the first statement only
        whole = code.co_name == "<module>"
        self.name = name
        self.source, self.first = (inspect.findsource(code)[0], 1) if whole else inspect.getsourcelines(code)
        start = max(self.first, min(lines) - CONTEXT)
        text = [line.rstrip("\n") for line in self.source[start - self.first : max(lines) - self.first + CONTEXT + 1]]
        self.margin = min((len(line) - len(line.lstrip()) for line in text if line.strip()), default=0)
        self.text = {"first": start, "lines": [plain(line[self.margin :])[:400] for line in text]}

    def marked(self, place: Place) -> list[str]:
        """Split a line into the text before, in and after the expression; return [] if that is unknown or too long."""
        if not place.columns or not 0 <= place.line - self.first < len(self.source):
            return []
        line, (start, end) = self.source[place.line - self.first].encode(), place.columns
        parts = line[:start], line[start:end], line[end:].rstrip(b"\n")
        before, expression, after = (plain(part.decode(errors="replace")) for part in parts)
        short = len(before + expression + after) <= 400
        return [before[self.margin :], expression, after] if short else []


def _functions(graph: Graph) -> dict[Any, _Function]:
    """Return the user's functions whose source is available, by code object."""
    used: dict[Any, list[int]] = defaultdict(list)
    for op in (*graph.ops, *([graph.failure.op] if graph.failure else [])):
        used[op.place.code].append(op.place.line)
    found: dict[Any, _Function] = {}
    for code, lines in used.items():
        with suppress(OSError, TypeError, SyntaxError):
            found[code] = _Function(f"{len(found)}", code, lines)
    return found


def _fact_of(place: Place, function: _Function | None) -> dict[str, Any]:
    """Return a place for the page: its function, its line, and the line split around the expression."""
    at = clip(f"{place.file}:{place.line}")
    fact: dict[str, Any] = {"at": at, "function": function.name if function else "", "line": place.line}
    if function and (marked := function.marked(place)):
        fact["marked"] = marked
    return fact


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
    return [registry[name] for name in names if name in registry and name != "where"]  # told with the slope of relu


def _first_line(function: Any) -> str:
    return (inspect.getdoc(function) or "").partition("\n")[0]
