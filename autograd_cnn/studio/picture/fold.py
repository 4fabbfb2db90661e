"""Folds a graph that is too long to read into a shorter one, in which an operation may stand for many.

The operations of one scope form a group. Operations that repeat with a period also form a group, if they come from the
same lines with the same shapes and the same wiring: the rounds of a loop, or the blocks of one class. An open group has
a frame around its rows; a closed one is a single row. `depth` is the number of open levels. Only the first of repeated
rounds is drawn, unless all levels are open. Reads records, and returns records.
"""

from __future__ import annotations

import dis
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import groupby, islice, takewhile, zip_longest
from typing import Any

from autograd_cnn.studio.records import Graph, Kept, Op, Rule, Scope, Value
from autograd_cnn.studio.text import count_text

READABLE = 40  # rows; more are folded unless `depth` says otherwise
LIMIT = 1000  # rows: 50,000 points of paper
FEW = 4  # rounds of one operation: a frame around them would take as much room


Items = list["Op | Group"]


@dataclass(slots=True)
class Group:
    """Repeated rounds of items, of which the first is drawn; items that do not repeat are one round."""

    rounds: list[Items]
    key: int = 0
    scopes: list[Scope] = field(default_factory=list)  # one for each round, if each round is a scope
    before: Items = field(default_factory=list)  # of a loop: its first round, if it differs


@dataclass(slots=True)
class Frame:
    """An open group; `path` is that of its scope, or empty, and `around` are the indices of the frames around it."""

    label: str
    path: str
    around: list[int]


class Folding:
    """A graph in groups, viewed at any depth; ``rows[depth]`` is the number of rows, and the last depth opens all."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.keys: dict[object, int] = {}
        self.items = self.grouped(graph.ops)
        self.rows, items = [len(self.items)], self.items
        while self.rows[-1] < len(graph.ops) and any(isinstance(item, Group) for item in items):
            items = [inner for item in items for inner in (item.rounds[0] if isinstance(item, Group) else [item])]
            self.rows.append(len(items))
        if self.rows[-1] < len(graph.ops):  # so far, only the first of repeated rounds is open
            self.rows.append(len(graph.ops))

    def grouped(self, ops: Iterable[Op], level: int = 0) -> Items:
        """Group the operations of each scope that has more than one, and then the rounds of each loop."""
        items: Items = []
        for scope, run in groupby(ops, lambda op: op.scopes[level] if level < len(op.scopes) else None):
            inside = list(run)
            if scope is None or len(inside) == 1:
                items += inside
            else:
                inner = self.grouped(inside, level + 1)
                items.append(Group([inner], self.key("scope", *map(self.key_of, inner)), [scope]))
        while len(shorter := self.shortened(items)) < len(items):
            items = shorter
        return items

    def key(self, *parts: object) -> int:
        """Return a number for `parts`; equal parts have equal numbers."""
        return self.keys.setdefault(parts, len(self.keys))

    def key_of(self, item: Op | Group) -> int:
        """Return a number for `item`; it is the same for items that may correspond in two rounds of a loop."""
        if isinstance(item, Group):
            return item.key
        value, place = self.graph.values[item.output], item.place
        line = place.file, place.line, place.columns
        return self.key(item.name, value.shape, value.dtype, line, len(item.inputs), tuple(item.rules))

    def shortened(self, items: Items) -> Items:
        """Group the rounds of the shortest period; grouping an inner loop shortens the period of the outer one."""
        keys = [self.key_of(item) for item in items]
        before: dict[int, int] = {}
        periods: dict[int, list[int]] = {}  # distance to the next item with the same key: indices
        for i, key in enumerate(keys):
            if key in before:
                periods.setdefault(i - before[key], []).append(before[key])
            before[key] = i
        for period in sorted(periods):
            shorter: Items = []
            done = end = 0
            for i in periods[period]:
                end = max(end, i)
                while end + period < len(keys) and keys[end] == keys[end + period]:
                    end += 1
                if i >= done and end - i >= period:
                    start = i + (end - i) % period  # cut the first round rather than the last one
                    rounds = _alike(items[k : k + period] for k in range(start, end + period, period))
                    if len(rounds) > (1 if isinstance(items[start], Group) or period > 1 else FEW):
                        shorter += [*items[done:start], self.repeated(rounds, items[:start])]
                        done = start + len(rounds) * period
            if done:
                return shorter + items[done:]
        return items

    def repeated(self, rounds: list[Items], before: Items) -> Group:
        """Return the group of `rounds`; if each round is one scope, of the items inside these scopes.

        Items in `before` on the same lines are one more round, which differs: a state may begin as a constant.
        """
        only = [item for items in rounds for item in items if len(items) == 1]
        blocks = [b for b in only if isinstance(b, Group) and len(b.rounds) == 1]
        if blocks:
            rounds = [b.rounds[0] for b in blocks]
        key, lines = self.key("rounds", len(rounds), *map(self.key_of, rounds[0])), [op.place for op in _ops(rounds[0])]
        first = takewhile(lambda item: not blocks and all(op.place in lines for op in _ops([item])), before[::-1])
        return Group(rounds, key, [b.scopes[0] for b in blocks], [*islice(first, len(rounds[0]))][::-1])

    def rounds(self) -> dict[str, str]:
        """Return texts such as ``round 2 of 3, time 4`` by operation: loops and numbered scopes, outer ones first.

        Operations that repeat are rounds if there is a loop around one of their lines that is not told yet: a function
        may be called twice, and one line may have two products.
        """
        found: dict[str, str] = {}

        def number(items: Items, around: list[str], paths: list[str], looping: list[Any]) -> None:
            for item in items:
                if isinstance(item, Op):
                    if around:
                        found[item.id] = ", ".join(around)
                    continue
                rounds = [item.before] * bool(item.before) + item.rounds
                places = [op.place for op in _ops(rounds[0]) if rounds[1:]]
                loop = [p.code for p in places if _loops(p.code, p.line) > looping.count(p.code)][:1]
                for k, (inside, scope) in enumerate(zip_longest(rounds, item.scopes), 1):
                    name = called(scope, paths) if scope else f"round {k:,} of {len(rounds):,}"
                    told = scope.path[-1:].isdigit() if scope else loop
                    inner = [*paths, scope.path] if scope else paths
                    number(inside, [*around, name] if told else around, inner, looping + loop)

        number(self.items, [], [], [])
        return found

    def view(self, depth: int | None = None) -> View:
        """Fold with `depth` levels open; by default into at most 40 rows, if the scopes and loops allow it."""
        items, rows, all_at = self.items, self.rows, len(self.rows) - 1
        if depth is None:
            depth = next((d for d in range(all_at, -1, -1) if rows[d] <= READABLE), 0)
            if rows[depth] > LIMIT:
                items, all_at = [*items[:19], Group([items[19:-20]]), *items[-20:]], max(1, all_at)
        elif not hasattr(depth, "__index__") or depth < 0:
            raise ValueError(f"graph: depth is {depth!r}, want 0 (everything closed) to {all_at} (all operations)")
        return View(self.graph, items, depth, all_at)


@cache
def _loops(code: Any, line: int) -> int:
    """Return how many loops and comprehensions of `code` are around a line; each ends with a jump backward."""
    jumps = [(i.argval, i.offset) for i in dis.get_instructions(code) if i.opcode in {*dis.hasjrel, *dis.hasjabs}]
    starts = [start for start, _, number in code.co_lines() if number == line]
    return max((len({first for first, last in jumps if first <= at <= last}) for at in starts), default=0)


def _ops(items: Iterable[Op | Group]) -> Iterator[Op]:
    """Yield all operations in `items`, of all rounds."""
    for item in items:
        if isinstance(item, Op):
            yield item
        else:
            for one in item.rounds:
                yield from _ops(one)


def _alike(rounds: Iterable[Items]) -> list[Items]:
    """Return the first rounds of `rounds`, as far as they are wired alike.

    In rounds that are wired alike, corresponding inputs come from corresponding operations of the same round or of the
    round before. An input from elsewhere is the same array in all rounds, or a different one in each.
    """
    found: list[Items] = []
    wirings: list[tuple[list[int | None], list[int | str]]] = []  # of the first round, and of the others
    before: dict[str, int] = {}
    previous: list[str] = []
    for items in rounds:
        ops = list(_ops(items))
        made = {op.output: i for i, op in enumerate(ops)}
        inputs = [v for op in ops for _, v in op.inputs]
        inner = [made.get(v) for v in inputs]
        outer = [before.get(v, "same" if v == w else "another") for v, w in zip(inputs, previous, strict=False)]
        if len(wirings) < 2:
            wirings.append((inner, outer))
        if inner != wirings[0][0] or outer != wirings[len(found) > 0][1]:
            break
        found.append(items)
        before, previous = made, inputs
    return found


class View:
    """The folded `graph`, its `frames`, and the indices of those `around` each operation, outermost first.

    `rows` has, for each operation of the whole graph, the id of the one that is drawn for it. The depth `all_at` folds
    nothing.
    """

    def __init__(self, whole: Graph, items: Items, depth: int, all_at: int) -> None:
        self.whole, self.all_at = whole, all_at
        self.values = dict(whole.values)
        self.all = depth >= all_at
        self.ops: list[Op] = []
        self.frames: list[Frame] = []
        self.around: list[list[int]] = []
        self.rows: dict[str, str] = {}
        self.stands: dict[str, str] = {}  # value -> the value that is drawn in its place
        self.many: dict[str, int] = {}  # leaf -> the leaves of other rounds that it stands for, and itself
        self.last_use = {v: i for i, op in enumerate(whole.ops) for _, v in op.inputs} | {whole.result: len(whole.ops)}
        if whole.failure:
            self.last_use |= {v: len(whole.ops) for _, v in whole.failure.op.inputs}
        self.made = {op.output: i for i, op in enumerate(whole.ops)}
        self.emit(items, depth, [])
        failure = whole.failure and replace(whole.failure, op=self.open(whole.failure.op))
        result = self.drawn(whole.result)
        self.graph = replace(whole, ops=self.ops, values=self.values, result=result, failure=failure)

    def emit(self, items: Items, depth: int, around: list[int]) -> None:
        """Add the rows of `items`, which have the frames `around` them."""
        for item in items:
            if isinstance(item, Group) and depth and self.all and len(item.rounds) > 1:
                for one, scope in zip_longest(item.rounds, item.scopes):
                    self.emit([Group([one], scopes=[scope])] if scope else one, depth, around)
            elif isinstance(item, Group) and depth:
                self.framed(item, depth - 1, around)
            else:
                self.ops.append(self.open(item) if isinstance(item, Op) else self.closed(item, around))
                self.around.append(around)
                self.rows |= {op.id: self.ops[-1].id for op in _ops([item])}

    def framed(self, group: Group, depth: int, around: list[int]) -> None:
        """Add the first round in a frame; values that are used after the loop have their names of the last round."""
        alike = list(zip(*map(_ops, group.rounds), strict=True))
        path = group.scopes[0].path if group.scopes else ""
        frame = Frame(_label(group, self.paths(around)), path, around)
        self.frames.append(frame)
        self.emit(group.rounds[0], depth, [*around, len(self.frames) - 1])
        for same in alike:
            self.stands |= {op.output: same[0].output for op in same[1:]}
            self.rows |= {op.id: self.rows[same[0].id] for op in same[1:]}
            for given in zip(*(op.inputs for op in same), strict=True):
                leaves = {v for _, v in given if v not in self.made}
                self.many |= {v: self.many.get(v, 1) * len(leaves) for _, v in given[:1] if len(leaves) > 1}
            names = [self.whole.values[op.output].name for op in same]
            used = [self.whole.values[v].name for v in self.used_after(alike[-1][-1], same)]
            if used and used != names[:1]:
                drawn = self.drawn(same[0].output)
                self.values[drawn] = replace(self.values[drawn], name=_through(used))
                if len(used) == 1 and not path:
                    frame.label += f": {_through(names)}"

    def paths(self, around: list[int]) -> list[str]:
        """Return the paths of the frames `around` an operation."""
        return [self.frames[i].path for i in around]

    def used_after(self, last: Op, ops: Iterable[Op]) -> list[str]:
        """Return the outputs of `ops` that are used after the operation `last`."""
        return [op.output for op in ops if self.last_use.get(op.output, -1) > self.made[last.output]]

    def drawn(self, value: str) -> str:
        while value in self.stands:
            value = self.stands[value]
        return value

    def open(self, op: Op) -> Op:
        """Connect `op` to the drawn values, with one edge for each."""
        first: dict[str, str] = {}
        inputs = [(port, value) for port, v in op.inputs if first.setdefault(value := self.drawn(v), v) == v]
        if inputs == op.inputs:
            return op
        kept = op.kept and [replace(k, value=k.value and self.drawn(k.value)) for k in op.kept]
        return replace(op, inputs=inputs, kept=kept)

    def closed(self, group: Group, around: list[int]) -> Op:
        """Return one operation for the whole group, with one value for its parameters and one for its results."""
        ops = list(_ops([group]))
        first, made = ops[0], {op.output for op in ops}
        outputs = self.used_after(ops[-1], ops) or [ops[-1].output]
        *others, last = outputs
        self.stands |= dict.fromkeys(others, last)
        self.values[last] = replace(self.values[last], name=_through([self.values[v].name for v in outputs]))
        outside = list(dict.fromkeys(self.drawn(v) for op in ops for _, v in op.inputs if v not in made))
        learnt = {self.drawn(v) for op in ops for p, v in op.inputs if p in op.rules}
        outside = self.merged(outside, learnt, "parameter", 1, f"p{first.id[1:]}")
        outside = self.merged(outside, learnt, "input", 4, f"i{first.id[1:]}")
        names = [self.values[v].name for v in outside]
        rules = {p: Rule((names[p],), ()) for p, v in enumerate(outside) if v in learnt}
        own = [k for op in ops for k in self.whole.added(op)]
        kept = [Kept(count_text(len(own), "array"), None, sum(k.nbytes for k in own), None)] if own else []
        return replace(
            first, name=_label(group, self.paths(around)), options={}, ports=names, inputs=list(enumerate(outside)),
            output=last, byproducts=[], rules=rules, kept=None if first.kept is None else kept, parts=tuple(ops),
        )  # fmt: skip

    def merged(self, outside: list[str], learnt: set[str], role: str, most: int, key: str) -> list[str]:
        """Replace the parameters in `outside`, or the other leaves, by the one value `key` if they exceed `most`."""
        leaves = [self.values[v] for v in outside if v not in self.made]
        several = {v.id: v for v in leaves if (v.role == "parameter") == (role == "parameter")}
        if len(several) <= most:
            return outside
        size, dtype = sum(v.size for v in several.values()), next(iter(several.values())).dtype
        self.values[key] = Value(key, f"{len(several)} {role}s", role, (size,), dtype, len(several))
        if not learnt.isdisjoint(several):
            learnt.add(key)
        return [*(v for v in outside if v not in several), key]


def _through(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"


def _label(group: Group, around: Sequence[str]) -> str:
    """Return a label such as ``×3 Block blocks.0-2``, ``encoder`` or ``×400 loop net.py:14-16``."""
    places = [op.place for op in _ops([group])]
    if len(group.rounds) == 1 and not group.scopes:
        return f"… {len(places):,} operations"
    if group.scopes:
        first, last = group.scopes[0].path, group.scopes[-1].path
        stem = first.rstrip("0123456789")
        label = called(group.scopes[0], around)
        if stem == last.rstrip("0123456789") and len({stem, first, last}) == 3:
            label += f"-{last[len(stem) :]}"
        elif group.scopes[0].instance > 1:
            label += f" ({group.scopes[0].instance})"
    else:
        lines = {place.line for place in places if place.file == places[0].file}
        label = f"loop {places[0].file}:{min(lines)}" + (f"-{max(lines)}" if len(lines) > 1 else "")
    count = len(group.rounds)
    if group.before:
        return f"×{count:,} of {count + 1:,} {label.removeprefix('loop ')}"
    return f"×{count:,} {label}" if count > 1 else label


def called(scope: Scope, around: Sequence[str]) -> str:
    """Return the relative path of `scope`, after its class if the path ends in a number: ``Block 0``."""
    path = within(scope.path, around)
    return f"{scope.kind} {path}" if scope.kind and path.rpartition(".")[2].isdigit() else path


def within(path: str, around: Sequence[str]) -> str:
    """Return `path` relative to the innermost frame that contains it."""
    for outer in reversed(around):
        if outer and path.startswith(f"{outer}."):
            return path[len(outer) + 1 :]
    return path
