"""Folding: of a graph too long to read, a shorter one, in which an operation may stand for many.

What ran in one scope is a group. So is what recurs with a period, the same lines with the same shapes and the same
wiring: the rounds of a loop, the blocks of one class. A group is open, in a frame, or closed, one row. `depth` says how
many levels are open; of what recurs, the first round is drawn, and only one level further all of them. Reads records,
gives records.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby

from autograd_cnn.graph.records import Graph, Kept, Op, Rule, Scope, Value

READABLE = 40  # rows; more are folded unless `depth` says otherwise
LIMIT = 1000  # rows: 50,000 points of paper
OUTPUTS = 8  # of one row; more are drawn as one


@dataclass(slots=True)
class Group:
    """`rounds` of the same items, drawn as the first one; without recurrence there is one round."""

    rounds: list[list[Op | Group]]
    key: int = 0
    scopes: list[Scope] = field(default_factory=list)  # one a round, if each is a scope
    elided: bool = False

    def ops(self) -> Iterator[Op]:
        """All operations, of all rounds."""
        return (op for items in self.rounds for item in items for op in _ops(item))


@dataclass(slots=True)
class Frame:
    """An open group: rows `first` to `last`, inside `level` other frames; `path` if it is a scope."""

    label: str
    path: str
    first: int
    last: int
    level: int


@dataclass(slots=True)
class View:
    """The folded graph, its frames, at which depth there would be nothing folded, and what is drawn for a value."""

    graph: Graph
    frames: list[Frame]
    all_at: int
    stands: dict[str, str]

    def rows(self, whole: Graph) -> list[str]:
        """For every operation of the `whole` graph, in its order, the id of the one drawn for it."""
        made = {part.output: op.id for op in self.graph.ops for part in op.parts or (op,)}

        def row(value: str) -> str:
            while value not in made:
                value = self.stands[value]
            return made[value]

        return [row(op.output) for op in whole.ops]


def fold(graph: Graph, depth: int | None = None) -> View:
    """`graph` in at most 40 rows, if its scopes and loops allow it; or with `depth` levels open."""
    return Folding(graph).view(depth)


class Folding:
    """`graph` in groups, to be viewed: `rows` says how many there are at every depth, up to where all are open."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.items = _Reader(graph).scoped(graph.ops)
        highest = max(map(_height, self.items), default=0)
        rows = [*(_rows(self.items, d) for d in range(highest + 1)), len(graph.ops)]
        self.rows = rows[: rows.index(len(graph.ops)) + 1]

    def rounds(self) -> dict[str, str]:
        """Which round an operation in a loop is, by id; of nested loops the outer first: ``round 2 of 3, 18 of 49``."""
        found: dict[str, str] = {}

        def note(items: list[Op | Group], said: list[str]) -> None:
            for item in items:
                if isinstance(item, Group):
                    loop = len(item.rounds) if not item.scopes else 1
                    for k, inside in enumerate(item.rounds, 1):
                        note(inside, [*said, f"{k:,} of {loop:,}"] if loop > 1 else said)
                elif said:
                    found[item.id] = f"round {', '.join(said)}"

        note(self.items, [])
        return found

    def view(self, depth: int | None = None) -> View:
        """See `fold`."""
        items, rows, all_at = self.items, self.rows, len(self.rows) - 1
        if depth is None:
            depth = next((d for d in range(all_at, -1, -1) if rows[d] <= READABLE), 0)
            if rows[depth] > LIMIT:
                items, all_at = [*items[:19], Group([items[19:-20]], elided=True), *items[-20:]], max(1, all_at)
        elif not hasattr(depth, "__index__") or depth < 0:
            raise ValueError(f"graph: depth is {depth!r}, want 0 (everything closed) to {all_at} (all operations)")
        return _Folder(self.graph, items, depth, all_at).view


def _ops(item: Op | Group) -> Iterator[Op]:
    if isinstance(item, Op):
        yield item
    else:
        yield from item.ops()


def _height(item: Op | Group) -> int:
    return 0 if isinstance(item, Op) else 1 + max(_height(i) for items in item.rounds for i in items)


def _rows(items: list[Op | Group], depth: int) -> int:
    return sum(1 if isinstance(i, Op) or not depth else _rows(i.rounds[0], depth - 1) for i in items)


class _Reader:
    """From operations in scopes to groups."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.keys: dict[object, int] = {}

    def scoped(self, ops: Iterable[Op], level: int = 0) -> list[Op | Group]:
        """A scope around one operation is part of its name; what recurs becomes a group."""
        found: list[Op | Group] = []
        for scope, run in groupby(ops, lambda op: op.scopes[level] if level < len(op.scopes) else None):
            inside = list(run)
            if scope is None or len(inside) == 1:
                found += inside
            else:
                items = self.scoped(inside, level + 1)
                found.append(Group([items], self.key("scope", *map(self.of, items)), [scope]))
        keys = [self.of(item) for item in found]
        while runs := self.recurring(found, keys):
            shorter, end = [], 0
            for start, rounds in runs:
                shorter += [*found[end:start], self.repeat(rounds)]
                end = start + len(rounds) * len(rounds[0])
            found = shorter + found[end:]
            keys = [self.of(item) for item in found]
        return found

    def key(self, *parts: object) -> int:
        return self.keys.setdefault(parts, len(self.keys))

    def of(self, item: Op | Group) -> int:
        """Equal for what may be two rounds of the same."""
        if isinstance(item, Group):
            return item.key
        value, place = self.graph.values[item.output], item.place
        line = place.file, place.line, place.columns
        return self.key(item.name, value.shape, value.dtype, line, len(item.inputs), tuple(item.rules))

    def recurring(self, items: list[Op | Group], keys: list[int]) -> list[tuple[int, list[list[Op | Group]]]]:
        """(start, rounds) of what recurs: inner loops first, they make the period of the outer one short."""
        after: dict[int, int] = {}
        distance = [0] * len(keys)  # to where the same key comes again; 0: nowhere
        for i in range(len(keys) - 1, -1, -1):
            distance[i] = after.get(keys[i], i) - i
            after[keys[i]] = i
        shorter, longest = 0, 1
        while shorter < len(keys):
            found = []
            done = before = end = 0
            for i in [i for i, period in enumerate(distance) if shorter < period <= longest]:
                period = distance[i]
                end = max(end, i) if period == before else i  # what was equal for the start before, still is
                before = period
                while end + period < len(keys) and keys[end] == keys[end + period]:
                    end += 1
                times = (end - i) // period + 1
                if i >= done and times > 1:
                    start = i + (end - i) % period  # rather the first round is cut than the last one
                    rounds = [items[k : k + period] for k in range(start, start + times * period, period)]
                    if (times := self.alike(rounds)) > 1:
                        found.append((start, rounds[:times]))
                        done = start + times * period
            if found:
                return found
            shorter, longest = longest, 2 * longest
        return []

    def repeat(self, rounds: list[list[Op | Group]]) -> Group:
        only = [items[0] for items in rounds if len(items) == 1]
        blocks = [b for b in only if isinstance(b, Group) and len(b.rounds) == 1]
        if len(blocks) == len(rounds):  # the frame of the block says how often
            rounds = [b.rounds[0] for b in blocks]
        key = self.key("rounds", len(rounds), *map(self.of, rounds[0]))
        return Group(rounds, key, [b.scopes[0] for b in blocks if b.scopes])

    def alike(self, rounds: list[list[Op | Group]]) -> int:
        """How many of `rounds`, from the first on, are wired alike."""
        made: dict[str, int] = {}
        before: dict[str, int] = {}
        first = second = former = None
        for count, items in enumerate(rounds):
            before, made = made, {}
            inputs: list[str] = []
            wiring = []
            for op in (op for item in items for op in _ops(item)):
                for _, v in op.inputs:
                    here, there = made.get(v), before.get(v)
                    shared = former is not None and len(inputs) < len(former) and former[len(inputs)] == v
                    wiring.append((here, there, here is None and there is None and shared))
                    inputs.append(v)
                made[op.output] = len(made)
            if first is None:
                first = [w[0] for w in wiring]
            elif second is None:
                second = wiring
                if [w[0] for w in wiring] != first:
                    return 1
            elif wiring != second:
                return count
            former = inputs
        return len(rounds)


class _Folder:
    """From groups to a graph and its frames."""

    def __init__(self, graph: Graph, items: list[Op | Group], depth: int, all_at: int) -> None:
        self.graph = graph
        self.values = dict(graph.values)
        self.all = depth >= all_at
        self.ops: list[Op] = []
        self.frames: list[Frame] = []
        self.stands: dict[str, str] = {}  # value -> the one that is drawn in its place
        self.differ: dict[str, set[str]] = {}  # by operation, the options that are others in other rounds
        self.last = {v: i for i, op in enumerate(graph.ops) for _, v in op.inputs} | {graph.result: len(graph.ops)}
        self.rank = {op.id: i for i, op in enumerate(graph.ops)}
        self.made = {op.output for op in graph.ops}
        self.emit(items, depth, [])
        result = self.drawn(graph.result)
        self.view = View(
            replace(graph, ops=self.ops, values=self.values, result=result), self.frames, all_at, self.stands
        )

    def emit(self, items: list[Op | Group], depth: int, around: list[str]) -> None:
        for item in items:
            if isinstance(item, Op):
                self.ops.append(self.open(item))
            elif self.all and not item.scopes:
                for one in item.rounds:
                    self.emit(one, depth, around)
            elif self.all:
                for scope, one in zip(item.scopes, item.rounds, strict=True):
                    self.framed([scope], 1, one, depth, around)
            elif depth:
                rounds = [[op for i in one for op in _ops(i)] for one in item.rounds]
                for first, *others in zip(*rounds, strict=True):
                    for other in others:
                        options = first.options.items() ^ other.options.items()
                        self.differ.setdefault(first.id, set()).update(name for name, _ in options)
                frame = self.framed(item.scopes, len(item.rounds), item.rounds[0], depth - 1, around)
                for same in zip(*rounds, strict=True):
                    self.stands |= {b.output: same[0].output for b in same[1:]}
                    self.leave(same, self.rank[rounds[-1][-1].id], frame)
            else:
                self.ops.append(self.closed(item, around))

    def framed(self, scopes: list[Scope], times: int, items: list[Op | Group], depth: int, around: list[str]) -> Frame:
        ops = [op for i in items for op in _ops(i)]
        frame = Frame(
            _label(scopes, times, ops, around), scopes[0].path if scopes else "", len(self.ops), 0, len(around)
        )
        self.frames.append(frame)
        self.emit(items, depth, [*around, frame.path])
        frame.last = len(self.ops) - 1
        return frame

    def leave(self, same: tuple[Op, ...], end: int, frame: Frame) -> None:
        """What is used after the last round is called as there, though the first round is drawn; the frame says so."""
        names = [self.graph.values[op.output].name for op in same]
        used = [name for name, op in zip(names, same, strict=True) if self.last.get(op.output, -1) > end]
        if used and used != names[:1]:
            drawn = self.drawn(same[0].output)
            self.values[drawn] = replace(self.values[drawn], name=_through(used))
            if len(used) == 1 and not frame.path:
                frame.label += f": {_through(names)}"

    def drawn(self, value: str) -> str:
        while value in self.stands:
            value = self.stands[value]
        return value

    def open(self, op: Op) -> Op:
        """`op` between values that are drawn; of its edges that have become one, one."""
        first: dict[str, str] = {}
        inputs = [(port, value) for port, v in op.inputs if first.setdefault(value := self.drawn(v), v) == v]
        if differ := self.differ.get(op.id):
            op = replace(op, options=op.options | dict.fromkeys(sorted(differ), "…"))
        if inputs == op.inputs:
            return op
        kept = op.kept and [replace(k, value=k.value and self.drawn(k.value)) for k in op.kept]
        return replace(op, inputs=inputs, kept=kept)

    def closed(self, group: Group, around: list[str]) -> Op:
        """One operation for the whole group: its parameters are one, and so is what it keeps."""
        ops = list(group.ops())
        made = {op.output for op in ops}
        end = self.rank[ops[-1].id]
        outputs = [op.output for op in ops if self.last.get(op.output, -1) > end] or [ops[-1].output]
        if len(group.rounds) > 1 or len(outputs) > OUTPUTS:
            self.stands |= dict.fromkeys(outputs[:-1], outputs[-1])
            name = _through([self.values[v].name for v in outputs])
            outputs = outputs[-1:]
            self.values[outputs[0]] = replace(self.values[outputs[0]], name=name)
        outside = list(dict.fromkeys(self.drawn(v) for op in ops for _, v in op.inputs if v not in made))
        learnt = {self.drawn(v) for op in ops for p, v in op.inputs if p in op.rules}
        first = ops[0]
        leaves = [self.values[v] for v in outside if v not in self.made]
        outside = self.merged(f"p{first.id[1:]}", "parameter", 1, leaves, outside, learnt)
        outside = self.merged(f"i{first.id[1:]}", "input", 4, leaves, outside, learnt)
        names = [self.values[v].name for v in outside]
        rules = {p: Rule((names[p],), ()) for p, v in enumerate(outside) if v in learnt}
        own = [k for op in ops for k in op.kept or () if k.first is None and self.graph.counted(k)]
        total = sum(k.nbytes for k in own)
        kept = [Kept(f"{len(own)} array{'s' * (len(own) > 1)}", None, total, None)] if own else []
        return Op(
            first.id, _label(group.scopes, len(group.rounds), ops, around, group.elided), {}, names,
            list(enumerate(outside)), outputs[-1], [], first.place, rules, None if first.kept is None else kept,
            first.call, first.scopes, tuple(ops), tuple(outputs[:-1]),
        )  # fmt: skip

    def merged(
        self, key: str, role: str, most: int, leaves: list[Value], outside: list[str], learnt: set[str]
    ) -> list[str]:
        """`outside` with its parameters, or its other leaves, as one value if there are more than `most`."""
        several = [v for v in leaves if (v.role == "parameter") == (role == "parameter")]
        if len(several) <= most:
            return outside
        value = Value(key, f"{len(several)} {role}s", role, (sum(v.size for v in several),), several[0].dtype)
        self.values[key] = value
        if any(v.id in learnt for v in several):
            learnt.add(key)
        gone = {v.id for v in several}
        return [*(v for v in outside if v not in gone), key]


def _through(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"


def _label(scopes: list[Scope], times: int, ops: list[Op], around: list[str], elided: bool = False) -> str:
    """``blocks.0-2 ×3``, ``encoder``, ``net.py:14-16 ×400``."""
    if elided:
        return f"… {len(ops):,} operations"
    if not scopes:
        places = [op.place for op in ops]
        lines = sorted({p.line for p in places if p.file == places[0].file})
        through = f"-{lines[-1]}" if len(lines) > 1 else ""
        label = f"loop {places[0].file}:{lines[0]}{through}"
    else:
        label = within(scopes[0].path, around)
        ends = [re.fullmatch(r"(.*\D|)(\d+)", s.path) for s in (scopes[0], scopes[-1])]
        if ends[0] and ends[1] and scopes[0].path != scopes[-1].path and ends[0][1] == ends[1][1]:
            label += f"-{ends[1][2]}"
        elif scopes[0].instance > 1:
            label += f" ({scopes[0].instance})"
    return f"{label} ×{times:,}" if times > 1 else label


def within(path: str, around: Sequence[str]) -> str:
    """`path` as it is called inside the innermost frame that it belongs to."""
    for outer in reversed(around):
        if outer and path.startswith(f"{outer}."):
            return path[len(outer) + 1 :]
    return path
