"""The facts that the player shows: every value, contribution, line and sentence of a network, forward and back.

They are collected while the derived program is written, which runs it line by line. Numbers and sentences are text
before they reach the page, so that page, listing and `.grad` agree.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from autograd_cnn.graph.player.broken import trial
from autograd_cnn.graph.player.looks import look, share
from autograd_cnn.graph.program.expressions import renamed
from autograd_cnn.graph.program.listing import Line, rms, shown
from autograd_cnn.graph.program.program import as_recorded
from autograd_cnn.graph.program.write import Author
from autograd_cnn.graph.records import Graph, Op, Value
from autograd_cnn.graph.text import bytes_text, clip, count_text, listed, plain, shape_text

WHOLE = 300  # operations up to which there are images and trials
CONTEXT = 6  # lines of the user's around those that are marked


def facts_of(graph: Graph, channels: int, source: bool, rounds: Mapping[str, str]) -> dict[str, Any]:
    """Everything that the page shows of `graph`, as text and numbers.

    Of an array at most `channels` are drawn; `source` adds the user's code; `rounds` says by id in which round of its
    loop an operation is.
    """
    with as_recorded():
        return _Watch(graph, channels, rounds).facts(source)


class _Watch(Author):
    """Collects what every line contributes, while the program is written."""

    def __init__(self, graph: Graph, channels: int, rounds: Mapping[str, str]) -> None:
        super().__init__(graph)
        self.channels = channels
        self.rounds = rounds
        self.whole = len(graph.ops) <= WHOLE
        self.parts: dict[str, list[dict[str, Any]]] = {}  # value -> its contributions, in order
        self.rules: dict[str, list[Line]] = {}  # operation -> its lines, once written
        self.sums: dict[str, str] = {}  # value -> its gradient so far, where that is a number
        self.orders: dict[tuple[str, str], list[int]] = {}  # operation, value -> which of its contributions
        self.counts = Counter(_given(op, p) for op in graph.ops for p in _served(op))  # how many it will have

    # While the program is written

    def contributed(self, op: Op, value: Value, contribution: Any) -> None:
        if self.inner:  # inside a checkpoint
            return
        parts = self.parts.setdefault(value.id, [])
        orders = self.orders.setdefault((op.id, value.id), [])
        ports = [op.ports[p] for p in _served(op) if _given(op, p) == value.id]
        part: dict[str, Any] = {"op": op.id}
        if self.counts[value.id] > 1:  # else it is the gradient itself
            part |= {"port": ports[len(orders)], "line": self.lines[-1][0], "rms": _rms(contribution)}
            part["look"] = self.looked(contribution, value, True)
        if not value.shape and (numbers := self.numbers(value, self.sums.get(value.id, ""))):
            part["numbers"] = numbers
        if not value.shape:
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
        """The last line with numbers for its names, where all are numbers: ``g_x = 0.5 * 1.64 = 0.82``."""
        line, name = self.lines[-1][0], self.gradient(value)
        text = line.removeprefix(f"{name} = ").removeprefix(f"{name} += ")
        rounded = False

        def short(number: str) -> str:
            nonlocal rounded
            if len(number) <= 8:
                return number
            digits = f"{float(number):.6g}"
            rounded |= float(digits) != float(number)
            return digits

        def filled(n: str) -> str:
            number = self.scope.get(n)
            if not isinstance(number, (np.ndarray, np.generic, float, int)):
                return n  # a module or a function
            if np.ndim(number) or re.search(rf"\b{n}\.", text):
                raise ValueError
            digits = short(before if n == name else str(number))
            return f"({digits})" if digits.startswith("-") else digits

        if text == line or re.fullmatch(r"[\w.]+", text):  # nothing to compute
            return ""
        try:
            written = renamed(text, filled)
        except ValueError:
            return ""
        plus, result = f"{short(before)} + " if " += " in line else "", short(str(self.scope[name]))
        return f"{name} = {plus}{written} {'≈' if rounded else '='} {result}"

    def looked(self, array: Any, value: Value, gradient: bool) -> dict[str, Any]:
        return look(array, value.role, gradient, self.whole, self.channels)

    # Once it is written

    def facts(self, source: bool) -> dict[str, Any]:
        self.write()
        graph = self.graph
        self.rules = {op.id: shown(lines) for op, lines in zip(graph.ops, reversed(self.backward_lines), strict=True)}
        texts, places = _functions(graph, source)
        numbers = {key: i for i, key in enumerate(places)}
        outside = {v for op in graph.ops for v in (op.output, *(i for _, i in op.inputs))} | {graph.result}
        ops = []
        for op, line in zip(graph.ops, self.forward_lines, strict=True):
            key = op.place.code, op.place.line, op.place.columns
            ops.append({**self.operation(op, line), "place": numbers[key]})
        result = graph.values[graph.result]
        docs = {clip(op.name): inspect.getdoc(op.call.primitive) or "" for op in graph.ops}
        return {
            "steps": self.steps(),
            "ops": ops,
            "values": {v.id: self.value(v) for v in graph.values.values() if v.id in outside},
            "docs": {name: plain(doc.partition("\n")[0].replace("`", "")) for name, doc in docs.items()},
            "functions": texts,
            "places": list(places.values()),
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
        if value.id in self.parts:
            fact["parts"] = self.parts[value.id]
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
        return fact

    def steps(self) -> list[dict[str, Any]]:
        """In the order of the walk: what is done, a sentence about it, bytes held after it."""
        graph, held = self.graph, 0
        count, known, peak = len(graph.ops), graph.kept_bytes is not None, bytes_text(graph.kept_bytes or 0)
        names = listed([clip(v.name) for v in self.learnt()])
        steps: list[dict[str, Any]] = []

        def step(kind: str, sentence: str, op: int = -1) -> None:
            fact = {"kind": kind, "op": op, "say": sentence, "held": held if known else None}
            steps.append({**fact, "holds": f"{bytes_text(held)} of {peak}" if known else ""})

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
        """The bytes of the arrays that `op` is the first to keep."""
        return sum(k.nbytes for k in op.kept or () if k.first is None and self.graph.counted(k))

    def forward_sentence(self, op: Op) -> str:
        values, kept = self.graph.values, self.bytes(op)
        out = values[op.output]
        given = listed([clip(values[v].name) for v in _inputs(op)])
        words = [f"{clip(op.name)} makes {clip(out.name)} {shape_text(out.shape)} from {given}."]
        if kept:
            words.append(f"It keeps {bytes_text(kept)} for the way back.")
        elif op.kept:
            words.append(f"It keeps nothing new: {clip(self.graph.kept(op), 120)}.")
        elif op.kept == [] and op.rules:
            words.append("It keeps nothing for the way back.")
        elif not op.rules:
            words.append("Nothing before it learns, so it has no step on the way back.")
        return " ".join([*words, *self.notes(out, self.name(out), clip(out.name))])

    def backward_sentence(self, op: Op) -> str:
        values = self.graph.values
        out = values[op.output]
        served = [values[v] for v in _learning(op)]
        given = listed([f"g_{clip(v.name)}" for v in served])
        words = [f"The rule of {clip(op.name)} turns g_{clip(out.name)} into {given}."]
        if uses := self.graph.kept(op):
            words.append(f"It uses what was kept: {clip(uses, 120)}.")
        for v in served:
            name = f"g_{clip(v.name)}"
            ours = self.orders.get((op.id, v.id), [])
            total = len(self.parts.get(v.id, []))
            if total > 1:
                these = "this is contribution" if len(ours) == 1 else "these are contributions"
                numbers = listed([f"{i + 1:,}" for i in ours])
                done = ", and completes it" if total - 1 in ours else ""
                words.append(
                    f"{name} is a sum, for {clip(v.name)} was used {total:,} times: "
                    f"{these} {numbers} of {total:,}{done}."
                )
            words += self.notes(v, self.gradient(v), name)
        parameters = [v for v in served if v.role == "parameter" and out.shape]
        shared = [f"g_{clip(v.name)}" for v in parameters if v.size < out.size or op.call.primitive.flops]
        if shared:
            sums = "is a sum" if len(shared) == 1 else "are sums"
            words.append(f"{listed(shared)} {sums} over all items.")
        rest = [clip(values[v].name) for v in dict.fromkeys(v for p, v in op.inputs if p not in op.rules)]
        if rest:
            needs, them = ("needs", "it") if len(rest) == 1 else ("need", "them")
            words.append(f"{listed(rest)} {needs} no gradient: no rule runs for {them}.")
        return " ".join(words)

    def notes(self, value: Value, code: str, name: str) -> list[str]:
        """Remarks on zeros and infinities in an array."""
        a = self.scope.get(code)
        if a is None or value.size < 2 or np.asarray(a).dtype.kind not in "fc":
            return []
        zeros, bad = (value.size - np.count_nonzero(a)) / value.size, value.size - np.count_nonzero(np.isfinite(a))
        found = [f"{share(zeros)} of {name} is zero."] if zeros >= 0.2 else []
        return found + ([f"{bad:,} of its elements are not finite!"] if bad else [])


def _functions(graph: Graph, visible: bool) -> tuple[dict[str, Any], dict[Any, Any]]:
    """The user's functions, if they are `visible`, and the places of the operations.

    A function has the number of its first line, and the text around the lines that are marked. A place has its
    function, its line, and this line in three parts: before the expression, the expression, the rest.
    """
    used: dict[Any, list[int]] = {}
    for op in graph.ops if visible else ():
        used.setdefault(op.place.code, []).append(op.place.line)
    texts: dict[str, Any] = {}
    sources: dict[Any, Any] = {}
    for code, lines in used.items():
        try:
            # Of a script's own code Python would give the first statement only
            whole = code.co_name == "<module>"
            source, first = (inspect.findsource(code)[0], 1) if whole else inspect.getsourcelines(code)
        except (OSError, TypeError, SyntaxError):
            continue
        start = max(first, min(lines) - CONTEXT)
        text = [line.rstrip("\n") for line in source[start - first : max(lines) - first + CONTEXT + 1]]
        margin = min((len(line) - len(line.lstrip()) for line in text if line.strip()), default=0)
        name = f"{len(texts)}"
        texts[name] = {"first": start, "lines": [plain(line[margin:])[:400] for line in text]}
        sources[code] = name, first, source, margin
    places: dict[Any, Any] = {}
    for op in graph.ops:
        if (key := (op.place.code, op.place.line, op.place.columns)) in places:
            continue
        name, first, source, margin = sources.get(op.place.code, ("", 0, (), 0))
        at = clip(f"{op.place.file}:{op.place.line}")
        place: dict[str, Any] = {"at": at, "function": name, "line": op.place.line}
        if name and op.place.columns and 0 <= op.place.line - first < len(source):
            line = source[op.place.line - first].encode()
            start, end = op.place.columns
            parts = line[:start], line[start:end], line[end:].rstrip(b"\n")
            before, marked, after = (plain(part.decode(errors="replace")) for part in parts)
            if len(before + marked + after) <= 400:
                place["marked"] = [before[margin:], marked, after]
        places[key] = place
    return texts, places


def _inputs(op: Op) -> list[str]:
    return list(dict.fromkeys(v for _, v in op.inputs))


def _learning(op: Op) -> list[str]:
    """The inputs that get a gradient."""
    return list(dict.fromkeys(v for p, v in op.inputs if p in op.rules))


def _served(op: Op) -> list[int]:
    """The ports that rules serve, in the order of the walk."""
    return [p for positions, _ in op.call.steps for p in positions if p is not None]


def _given(op: Op, position: int) -> str:
    """The value that went in there."""
    value: str = op.call.arguments[position].value.id
    return value


def _rms(array: Any) -> str:
    """As the listing writes it."""
    return f"{rms(array):.1e}" if np.size(array) else ""
