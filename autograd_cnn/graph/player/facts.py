"""Collects the facts that the player shows: every value, contribution, line and sentence, forward and backward.

The facts are collected while the derived program is written, because writing it runs every line. Numbers and sentences
are formatted here, not by the page, so that the page agrees with the listing and with `.grad`.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from autograd_cnn.graph.player.broken import trial
from autograd_cnn.graph.player.geometry import geometry
from autograd_cnn.graph.player.looks import Store, look, maps, share
from autograd_cnn.graph.program.expressions import renamed
from autograd_cnn.graph.program.listing import Line, rms, shown
from autograd_cnn.graph.program.program import as_recorded
from autograd_cnn.graph.program.write import Author
from autograd_cnn.graph.records import Graph, Op, Place, Value
from autograd_cnn.graph.text import bytes_text, clip, count_text, listed, plain, shape_text

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
        super().__init__(graph)
        self.channels = channels
        self.rounds = rounds
        self.store = store
        self.whole = len(graph.ops) <= WHOLE
        self.parts: dict[str, list[dict[str, Any]]] = defaultdict(list)  # value -> its contributions, in order
        self.orders: dict[tuple[str, str], list[int]] = defaultdict(list)  # operation, value -> their indices
        self.rules: dict[str, list[Line]] = {}  # operation -> its lines, once written
        self.sums: dict[str, str] = {}  # value -> its gradient so far, if that is one number
        self.counts = Counter(v for op in graph.ops for p, v in op.inputs if p in op.rules)  # expected contributions

    # While the program is written

    def contributed(self, op: Op, value: Value, contribution: Any) -> None:
        if self.inner:  # inside a checkpoint
            return
        parts, orders, given = self.parts[value.id], self.orders[op.id, value.id], dict(op.inputs)
        part: dict[str, Any] = {"op": op.id}
        if self.counts[value.id] > 1:  # a single contribution is the gradient itself
            ports = [op.ports[p] for p in op.rules if given[p] == value.id]
            part |= {"port": ports[len(orders)], "line": self.lines[-1][0], "rms": _rms(contribution)}
            part["look"] = self.looked(contribution, value, True)
        if not value.shape:
            if numbers := self.numbers(value, self.sums.get(value.id, "")):
                part["numbers"] = numbers
            self.sums[value.id] = str(self.scope[self.gradient(value)])
        orders.append(len(parts))
        parts.append(part)

    def into(self, op: Op, rule: Any, value: Value, texts: list[str]) -> Callable[[], Any]:
        name = self.gradient(value)
        before = self.scope[name].copy()
        run = super().into(op, rule, value, texts)
        self.contributed(op, value, self.scope[name] - before)
        return run

    def numbers(self, value: Value, before: str) -> str:
        """Return the last line with numbers for its names, ``g_x = 0.5 * 1.64 = 0.82``, or "" if one is an array."""
        line, name = self.lines[-1][0], self.gradient(value)
        text = line.removeprefix(f"{name} = ").removeprefix(f"{name} += ")
        exact = [before, str(self.scope[name])]

        def filled(n: str) -> str:
            number = self.scope.get(n)
            if not isinstance(number, (np.ndarray, np.generic, float, int)):
                return n  # a module or a function
            if np.ndim(number) or re.search(rf"\b{n}\.", text):
                raise ValueError
            exact.append(before if n == name else str(number))
            digits = _short(exact[-1])
            return f"({digits})" if digits.startswith("-") else digits

        if text == line or re.fullmatch(r"[\w.]+", text):  # nothing to compute
            return ""
        try:
            written = renamed(text, filled)
        except ValueError:
            return ""
        plus = f"{_short(before)} + " if " += " in line else ""
        rounded = any(_short(n) != n and float(_short(n)) != float(n) for n in exact)
        return f"{name} = {plus}{written} {'≈' if rounded else '='} {_short(exact[1])}"

    def looked(self, array: Any, value: Value, gradient: bool) -> dict[str, Any]:
        found = look(array, self.whole)
        if self.whole and (drawn := maps(array, value.role, self.channels)):
            found["m"] = self.store.drawn(drawn, gradient, value.role)
        return found

    # After the program is written

    def facts(self, source: bool) -> dict[str, Any]:
        self.write()
        graph, result = self.graph, self.graph.values[self.graph.result]
        self.rules = {op.id: shown(lines) for op, lines in zip(graph.ops, reversed(self.backward_lines), strict=True)}
        functions = _functions(graph) if source else {}
        places = {_key(op): op.place for op in graph.ops}
        numbers = {key: i for i, key in enumerate(places)}
        outside = {v for op in graph.ops for v in (op.output, *_inputs(op))} | {graph.result}
        docs = {clip(op.name): inspect.getdoc(op.call.primitive) or "" for op in graph.ops}
        pairs = zip(graph.ops, self.forward_lines, strict=True)
        return {
            "steps": self.steps(),
            "ops": [{**self.operation(op, line), "place": numbers[_key(op)]} for op, line in pairs],
            "values": {v.id: self.value(v) for v in graph.values.values() if v.id in outside},
            "docs": {name: plain(doc.partition("\n")[0].replace("`", "")) for name, doc in docs.items()},
            "functions": {f.name: f.text for f in functions.values()},
            "places": [_fact_of(place, functions.get(place.code)) for place in places.values()],
            "result": graph.result,
            "summary": [plain(text) for text in graph.summary()],
            "seed": f"{self.gradient(result)} = np.ones_like({self.name(result)})",
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
        if gradient in self.received:
            fact["g"] = self.looked(self.scope[gradient], value, True)
            fact["rms"] = _rms(self.scope[gradient])
        if parts := self.parts.get(value.id):
            fact["parts"] = parts
        return fact

    def operation(self, op: Op, line: str) -> dict[str, Any]:
        lines = self.rules[op.id]
        fact: dict[str, Any] = {
            "id": op.id,
            "name": clip(op.name),
            "in": _inputs(op),
            "out": op.output,
            "learns": _learning(op),
            "kept": clip(self.graph.kept(op), 200),
            "scope": "/".join(f"{plain(s.path)}{f' ({s.instance})' if s.instance > 1 else ''}" for s in op.scopes),
            "forward": line,
            "rules": [[text, "" if rms is None else f"{rms:.1e}"] for text, rms in lines],
        }
        if self.whole:
            fact["trial"] = trial(self, op, line, [text for text, _ in lines])
            fact["reach"] = self.reach(op)
        return fact

    def reach(self, op: Op) -> dict[str, Any] | None:
        """Return how the output depends on the inputs, with the winners of a pool: places in their windows."""
        names = {v: self.name(self.graph.values[v]) for v in (op.output, *_inputs(op))}
        found = geometry(op, {v: np.asarray(self.scope[name]) for v, name in names.items() if name in self.scope})
        winners = self.scope.get(self.named((op.id, "argmax"), ""))
        if found and found.get("pool") == "max" and (won := maps(winners, "activation", self.channels)):
            found["won"] = self.store.drawn(won, False, "")
        return found

    def steps(self) -> list[dict[str, Any]]:
        """Return the steps of both passes in order: kind, operation, a sentence about it, and bytes held after it."""
        graph, held, peak = self.graph, 0, self.graph.kept_bytes
        count, names = len(graph.ops), listed([clip(v.name) for v in self.learnt()])
        steps: list[dict[str, Any]] = []

        def step(kind: str, sentence: str, op: int = -1) -> None:
            fact = {"kind": kind, "op": op, "say": sentence, "held": None, "holds": ""}
            if peak is not None:
                fact |= {"held": held, "holds": f"{bytes_text(held)} of {bytes_text(peak)}"}
            steps.append(fact)

        step("begin", f"The start. {count_text(count, 'operation')} will run; a gradient is wanted for {names}.")
        for i, op in enumerate(graph.ops):
            held += self.bytes(op)
            step("forward", f"Forward {i + 1} of {count}{self.round(op)}. {self.forward_sentence(op)}", i)
        name = clip(graph.values[graph.result].name)
        start = f"The way back begins at {name}. It is not one number: its sum is differentiated, so g_{name} is 1."
        if graph.loss is not None:
            start = f"The loss is {graph.loss:.6g}. The way back begins: g_{name}, d {name} / d {name}, is 1."
        step("loss", start)
        back = [i for i in reversed(range(count)) if self.rules[graph.ops[i].id]]
        for number, i in enumerate(back, 1):
            op = graph.ops[i]
            held -= self.bytes(op)
            step("backward", f"Backward {number} of {len(back)}{self.round(op)}. {self.backward_sentence(op)}", i)
        step("end", f"The end. The gradients of {names} are complete: these are the numbers in .grad.")
        return steps

    def round(self, op: Op) -> str:
        return f", {self.rounds[op.id]}" if op.id in self.rounds else ""

    def bytes(self, op: Op) -> int:
        """Return the bytes of the arrays that `op` is the first to keep."""
        return sum(k.nbytes for k in self.graph.added(op))

    def labels(self, values: Iterable[str], prefix: str = "") -> list[str]:
        return [f"{prefix}{clip(self.graph.values[v].name)}" for v in values]

    def forward_sentence(self, op: Op) -> str:
        out, kept = self.graph.values[op.output], self.bytes(op)
        name = clip(out.name)
        words = [f"{clip(op.name)} makes {name} {shape_text(out.shape)} from {listed(self.labels(_inputs(op)))}."]
        if kept:
            words.append(f"It keeps {bytes_text(kept)} for the way back.")
        elif op.kept:
            words.append(f"It keeps nothing new: {clip(self.graph.kept(op), 120)}.")
        elif not op.rules:
            words.append("Nothing before it learns, so it has no step on the way back.")
        elif op.kept is not None:
            words.append("It keeps nothing for the way back.")
        return " ".join([*words, *self.notes(out, self.name(out), name)])

    def backward_sentence(self, op: Op) -> str:
        out, learning = self.graph.values[op.output], _learning(op)
        gradients = self.labels(learning, "g_")
        served = [(self.graph.values[v], name) for v, name in zip(learning, gradients, strict=True)]
        words = [f"The rule of {clip(op.name)} turns g_{clip(out.name)} into {listed(gradients)}."]
        if uses := self.graph.kept(op):
            words.append(f"It uses what was kept: {clip(uses, 120)}.")
        for v, name in served:
            ours, total = self.orders[op.id, v.id], len(self.parts[v.id])
            if total > 1:
                these = "this is contribution" if len(ours) == 1 else "these are contributions"
                numbers = listed([f"{i + 1:,}" for i in ours])
                done = ", and completes it" if total - 1 in ours else ""
                words.append(
                    f"{name} is a sum, for {clip(v.name)} was used {total:,} times: "
                    f"{these} {numbers} of {total:,}{done}."
                )
            words += self.notes(v, self.gradient(v), name)
        many = [(v, n) for v, n in served if v.role == "parameter" and out.shape]
        shared = [n for v, n in many if v.size < out.size or op.call.primitive.flops]
        if shared:
            words.append(f"{listed(shared)} {'is a sum' if len(shared) == 1 else 'are sums'} over all items.")
        if rest := self.labels(dict.fromkeys(v for p, v in op.inputs if p not in op.rules)):
            needs, them = ("needs", "it") if len(rest) == 1 else ("need", "them")
            words.append(f"{listed(rest)} {needs} no gradient: no rule runs for {them}.")
        return " ".join(words)

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
    for op in graph.ops:
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


def _key(op: Op) -> Any:
    return op.place.code, op.place.line, op.place.columns


def _inputs(op: Op) -> list[str]:
    return list(dict.fromkeys(v for _, v in op.inputs))


def _learning(op: Op) -> list[str]:
    """Return the inputs that receive a gradient."""
    return list(dict.fromkeys(v for p, v in op.inputs if p in op.rules))


def _short(number: str) -> str:
    return number if len(number) <= 8 else f"{float(number):.6g}"


def _rms(array: Any) -> str:
    """Format the root mean square as the listing does."""
    return f"{rms(array):.1e}" if np.size(array) else ""
