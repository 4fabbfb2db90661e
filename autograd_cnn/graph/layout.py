"""The ladder: one row an operation, forward down the left column, backward up the right one, between them what is kept.

Activations are edges. One that skips rows runs in a gutter lane, one lane a value, with a tap to each use. The way
back mirrors the way forward, arrows turned round: where an edge forks, gradients are summed. Widths are counted, not
measured: monospace at 0.62 em. What is open in the folded graph, a module or a loop, has a frame round its rows. Reads
records; gives boxes, wires and marks, in points, y downwards, to be drawn.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from autograd_cnn.graph.fold import LIMIT, Frame, View, fold, within
from autograd_cnn.graph.overlays import Overlay, overlay_of
from autograd_cnn.graph.records import Graph, Op, Value
from autograd_cnn.graph.text import LONGEST, bytes_text, clip, plain, shape_text

TEXT, SMALL, EM = 12, 10, 0.62
MARGIN, HEIGHT, GAP, SLOT, LANE, GUTTER = 16, 30, 22, 22, 10, 24
ABOVE, BELOW, INSET = 24, 6, 6  # room for a frame over, under and beside what it holds
TURN = 12  # below a box: where an edge forks, clear of both arrowheads

Point = tuple[float, float]


@dataclass(slots=True)
class Box:
    """`kind` gives shape and colour: input, parameter, op, rule, loss, result, frame; x and y are its centre."""

    id: str
    kind: str
    x: float
    y: float
    width: float
    height: float
    title: str
    text: str
    beside: str = ""  # small, on the same line
    below: str = ""  # small, on a second line
    size: int = TEXT
    back: bool = False  # on the way back
    bar: float | None = None  # length of an overlay's bar, 0 to 1
    frame: int = -1  # index of the innermost frame around it


@dataclass(slots=True)
class Wire:
    """`kind` is forward, backward or kept; the arrow is at the last point."""

    kind: str
    tail: str
    head: str
    points: list[Point]
    title: str
    label: str = ""
    label_at: tuple[float, float, str] = (0, 0, "middle")
    arrow: bool = True


@dataclass(slots=True)
class Picture:
    """What there is to draw; a mark is where an edge forks, or (the flag) where gradients are summed."""

    caption: str
    width: float
    height: float
    headings: list[tuple[float, str]] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    marks: list[tuple[float, float, bool]] = field(default_factory=list)
    frames: list[Box] = field(default_factory=list)


@dataclass(slots=True)
class _Row:
    """A level of the ladder: an operation, or the value with which it begins or ends."""

    value: Value
    op: Op | None = None
    straight: list[int] = field(default_factory=list)  # ports fed from the row above
    slots: list[tuple[int, Value, bool]] = field(default_factory=list)  # the other ports: port, value, by a lane?
    around: list[str] = field(default_factory=list)  # paths of the frames, outermost first
    frame: int = -1
    starts: int = 0
    ends: int = 0
    height: float = HEIGHT
    y: float = 0

    @property
    def ids(self) -> tuple[str, str]:
        """Of the boxes left and right."""
        return (self.op.id, f"r{self.op.id[1:]}") if self.op else (self.value.id, f"g_{self.value.id}")

    @property
    def top(self) -> float:
        return self.y - self.height / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height / 2

    def slot(self, i: int) -> float:
        """Height of the i-th wire on the outer side: what comes in, then what goes out."""
        others = len(self.op.others) if self.op else 0
        return self.y + SLOT * (i - (len(self.slots) + others - 1) / 2)


def wide(text: str, size: float = TEXT) -> float:
    """Width of `text` in points."""
    if text.isascii():
        return EM * size * len(text)
    return EM * size * (len(text) + sum(unicodedata.east_asian_width(c) in "WF" for c in text))


def ladder(graph: Graph, depth: int | None = None, overlay: str | None = None, limited: str = "") -> Picture:
    """The picture of `graph`: see `Graph.save` for `depth` and `overlay`; a `limited` suffix refuses what is too long.

    Raises
    ------
    ValueError
    """
    view = fold(graph, depth)
    if limited and (rows := len(view.graph.ops)) > LIMIT:
        raise ValueError(
            f"graph: {rows:,} rows are too many for {limited} (at most {LIMIT:,}). Without depth={depth} what recurs "
            "is drawn once; .dot has no limit"
        )
    return _Ladder(graph, view, overlay_of(graph, view.graph.ops, overlay)).picture


class _Ladder:
    def __init__(self, whole: Graph, view: View, overlay: Overlay | None) -> None:
        self.whole = whole
        self.graph = view.graph
        self.all_at = view.all_at
        self.overlay = overlay
        self.backward = whole.loss is not None
        self.made: dict[str, int] = {}  # value -> its row
        self.rows = self._rows()
        self.kept: dict[str, str] = {}
        self._frame(view.frames)
        self.names = self._names()
        self.titles = {v: _title(value) for v, value in self.graph.values.items()}
        self.uses = Counter(v.id for row in self.rows for _, v, lane in row.slots if not lane)
        self.last = {v.id: (r, port) for r, row in enumerate(self.rows) for port, v, lane in row.slots if lane}
        self.lanes = self._lanes()
        self.learns = {v for op in self.graph.ops for p, v in op.inputs if p in op.rules} | {whole.result}
        self.learns |= {self.graph.result}
        self.unlabelled = {op.output for op in self.graph.ops[:-1]}
        self.picture = Picture(self._caption(), self._columns(view.frames), self._heights())
        for index, row in enumerate(self.rows):
            self._draw(index, row)
        self._draw_frames(view.frames)
        if self.backward:
            self.picture.headings = [(self.spine, "forward"), (self.back, "backward")]
        if any(wire.kind == "kept" for wire in self.picture.wires):
            self.picture.headings.append(((self.left + self.wide + self.right - self.rule) / 2, "kept"))

    # Rows, lanes, columns

    def _rows(self) -> list[_Row]:
        values, ops, rows = self.graph.values, self.graph.ops, []
        first = [v for _, v in ops[0].inputs if values[v].role != "parameter"] if ops else [self.graph.result]
        if first:
            rows.append(_Row(values[first[0]]))
            self.made[first[0]] = 0
        for op in ops:
            row = _Row(values[op.output], op)
            for port, value in op.inputs:
                at = self.made.get(value)
                if at == len(rows) - 1 and value == rows[at].value.id:
                    row.straight.append(port)
                else:
                    row.slots.append((port, values[value], at is not None))
            row.height = max(HEIGHT, SLOT * (len(row.slots) + len(op.others) - 1) + 8)
            self.made |= dict.fromkeys((op.output, *op.others), len(rows))
            rows.append(row)
        return [*rows, _Row(values[self.graph.result], straight=[0])] if ops else rows

    def _frame(self, frames: list[Frame]) -> None:
        self.before = len(self.rows) - len(self.graph.ops) - 1  # rows before the first operation
        for i, frame in enumerate(frames):
            rows = self.rows[self.before + frame.first : self.before + frame.last + 1]
            rows[0].starts += 1
            rows[-1].ends += 1
            for row in rows:
                row.around.append(frame.path)
                row.frame = i

    def _names(self) -> dict[str, str]:
        """Parameters are called as in their frame, unless they stand in several."""
        found: dict[str, set[str]] = {}
        for row in self.rows:
            for _, value, lane in row.slots if any(row.around) else ():
                if not lane:
                    found.setdefault(value.id, set()).add(within(value.name, row.around))
        return {v: names.pop() for v, names in found.items() if len(names) == 1}

    def _lanes(self) -> dict[str, int]:
        """A lane for every value that skips rows, free again below its last use."""
        lanes: dict[str, int] = {}
        free: list[int] = []
        busy: list[tuple[int, int]] = []
        for value in sorted(self.last, key=self.made.__getitem__):
            while busy and busy[0][0] <= self.made[value]:
                heappush(free, heappop(busy)[1])
            lanes[value] = heappop(free) if free else len(busy)
            heappush(busy, (self.last[value][0], lanes[value]))
        return lanes

    def _columns(self, frames: list[Frame]) -> float:
        """Place the columns by what stands in them; return the width of the page."""
        values = self.graph.values
        chips = [values[v] for v in self.uses]
        gutter = LANE * len(set(self.lanes.values())) + (GUTTER if chips or self.lanes else 0)
        chip = max((_chip_width(self._name(v), self._shape(v)) for v in chips), default=0)
        inside = [wide(clip(op.name)) + wide(clip(_options(op)), SMALL) for op in self.graph.ops]
        inside += [wide(self._below(row, row.op)[0], SMALL) for row in self.rows if row.op]
        inside += [wide(clip(row.value.name)) + wide(_type(row.value), SMALL) for row in self.rows if not row.op]
        self.wide = max(110, *inside) + 22
        labels = max((wide(clip(f.label), SMALL) + INSET * f.level + 12 for f in frames), default=0)
        left = max(chip + gutter, labels)
        content = left + self.wide
        self.rule = max([130, *(wide(clip(f"rule of {op.name}")) + 18 for op in self.graph.ops)])
        if self.backward:
            below = [wide(self._below(row, row.op)[1], SMALL) + 14 for row in self.rows if row.op]
            self.rule = max(self.rule, min(240 if self.overlay else 210, max(below, default=0)))
            rung = max([60, *(wide(self._kept(op), SMALL) + 12 for op in self.graph.ops)])
            beside = self.overlay.leaves if self.overlay else {}
            pills = [_chip_width(self._gradient(v), beside.get(v.id, "")) for v in chips if v.id in self.learns]
            pill = max(pills, default=0)
            content += rung + self.rule + gutter + pill
        around = INSET * max((f.level for f in frames), default=0)
        margin = MARGIN + around
        self.framed = content + 2 * (8 + around)
        width = max(content, wide(self._caption()))
        self.chips = margin + (width - content) / 2 + left - gutter
        self.left = self.chips + gutter
        self.spine = self.left + self.wide / 2
        self.right = self.left + self.wide + rung + self.rule if self.backward else 0
        self.back = self.right - self.rule / 2
        return width + 2 * margin

    def _heights(self) -> float:
        """Place the rows from the top down; return the height of the page."""
        bottom = MARGIN + TEXT + 14.0 - GAP + (SMALL + 6 if self.backward else 0)
        for row in self.rows:
            row.y = bottom + GAP + ABOVE * row.starts + row.height / 2
            bottom = row.bottom + BELOW * row.ends
        return bottom + MARGIN

    # Texts

    def _caption(self) -> str:
        graph = self.whole
        parts = graph.summary()
        if len(self.graph.ops) < len(graph.ops):
            parts[0] += f" in {len(self.graph.ops)} row{'s' * (len(self.graph.ops) > 1)}"
            if len(graph.ops) <= LIMIT:
                parts[0] += f", depth={self.all_at} draws all"
        if graph.ops and not self.backward:
            parts[-1] = f"forward only: {parts[-1]} is not one number"
        elif graph.kept_bytes:
            parts.insert(-1, f"keeps {bytes_text(graph.kept_bytes)}")
        return plain(" · ".join(parts + ([self.overlay.caption] if self.overlay else [])))

    def _name(self, value: Value) -> str:
        return clip(self.names.get(value.id, value.name))

    def _gradient(self, value: Value) -> str:
        if value.id[0] != "t":  # several parameters as one
            return value.name.replace("parameter", "gradient")
        return clip(f"g_{self.names.get(value.id, value.name)}")

    def _shape(self, value: Value) -> str:
        used = self.uses[value.id]
        shape = shape_text(value.shape) if value.id[0] == "t" else f"{value.size:,}"
        return shape + (f" used {used}×" if used > 1 else "")

    def _kept(self, op: Op) -> str:
        if op.id not in self.kept:
            self.kept[op.id] = clip(self.graph.kept(op, self.names))
        return self.kept[op.id]

    def _below(self, row: _Row, op: Op) -> tuple[str, str]:
        """The second lines of both boxes."""
        place = f"{op.place.file}:{op.place.line}"
        if op.parts and "operations" not in op.name:
            left = f"{len(op.parts):,} operations"
        elif op.scopes and op.scopes[-1].path not in row.around:
            left = f"{within(op.scopes[-1].path, row.around)} · {place}"
        else:
            left = place
        values = self.graph.values
        served = ", ".join(self.names.get(v, values[v].name) for p, v in op.inputs if p in op.rules)
        right = f"for {served}" if served else ""
        if self.overlay:
            left, right = self.overlay.forward.get(op.id, (left, 0))[0], self.overlay.backward.get(op.id, (right, 0))[0]
        return clip(left), clip(right)

    def _edge_texts(self, value: Value) -> tuple[str, str]:
        """What flows down and what comes up share the way between the columns."""
        room = int((self.back - self.spine) / SMALL / EM) - 6 if self.backward else 2 * LONGEST
        gradient = clip(f"g_{value.name}", min(room // 2, LONGEST))
        return clip(f"{value.name} {shape_text(value.shape)}", min(room - len(gradient), LONGEST)), gradient

    # Drawing

    def _draw(self, index: int, row: _Row) -> None:
        self.frame = row.frame
        here = (self.spine, row.y, self.wide, row.height)
        there = (self.back, row.y, self.rule, row.height)
        if row.op:
            self._draw_op(row, row.op, here, there)
        else:
            self._draw_end(row, here, there)
        for i, _ in enumerate(row.straight):
            above, x = self.rows[index - 1], self.spine + 16 * (i - (len(row.straight) - 1) / 2)
            self._edge(above.ids, row.ids, above.value, [(x, above.bottom), (x, row.top)])
        for i, (port, value, lane) in enumerate(row.slots):
            y = row.slot(i)
            if lane:
                self._draw_lane(row, value, y, self.last[value.id] == (index, port))
            else:
                self._draw_chip(row, value, y, f"{value.id}_{row.ids[0]}_{port}")

    def _draw_end(self, row: _Row, here: Any, there: Any) -> None:
        """The value with which the ladder begins, or the loss."""
        value, title, (left, right) = row.value, self.titles[row.value.id], row.ids
        gradient = clip(f"g_{value.name}", int(self.rule / TEXT / EM) - 5)
        if not row.straight:
            self._box(left, _kind(value), *here, title, clip(value.name), _type(value))
            if self.backward and value.id in self.learns:
                self._box(right, _kind(value), *there, f"gradient of {title}", gradient, back=True)
        elif self.graph.loss is None:
            self._box(left, "result", *here, title, clip(value.name), _type(value))
        else:
            self._box(left, "loss", *here, title, f"{clip(value.name)} {self.graph.loss:.4g}")
            self._box(right, "rule", *there, title, f"{gradient} = 1", below="backward starts here", back=True)
            ends = [(self.left + self.wide, row.y), (self.right - self.rule, row.y)]
            self.picture.wires.append(Wire("backward", left, right, ends, "the way back begins"))

    def _draw_op(self, row: _Row, op: Op, here: Any, there: Any) -> None:
        y, (left, right) = row.y, row.ids
        given = [f"{op.ports[p]}={self.graph.values[v].name}" for p, v in op.inputs]
        given += [_options(op)] if op.options else []
        place = f"{op.place.file}:{op.place.line} in {op.place.function}"
        inside = f", {op.scopes[-1].path}" if op.scopes else ""
        called = f"{len(op.parts):,} operations from" if op.parts else f"{op.name}({', '.join(given)}),"
        title = plain(f"{row.value.name} = {called} {place}{inside}")
        left_below, right_below = self._below(row, op)
        read = self.overlay or Overlay("", {}, {})
        bars = read.forward.get(op.id), read.backward.get(op.id)
        self._box(left, "op", *here, title, clip(op.name), clip(_options(op)), left_below, bar=bars[0] and bars[0][1])
        if not self.backward or not op.rules:
            return
        served = ", ".join(self.graph.values[v].name for p, v in op.inputs if p in op.rules)
        asks = ", ".join(dict.fromkeys(a for rule in op.rules.values() for a in rule.asks)) or "nothing but g"
        below = clip(right_below, int(self.rule / SMALL / EM) - 2)
        title = plain(f"gradients for {served}" + ("" if op.parts else f"; asks for {asks}"))
        name = clip(op.name if op.parts else f"rule of {op.name}")
        self._box(right, "rule", *there, title, name, below=below, back=True, bar=bars[1] and bars[1][1])
        if kept := self._kept(op):
            ends = [(self.left + self.wide, y), (self.right - self.rule, y)]
            at = ((ends[0][0] + ends[1][0]) / 2, y - 5, "middle")
            title = f"kept: {plain(self.graph.kept(op))}"
            self.picture.wires.append(Wire("kept", left, right, ends, title, kept, at, False))

    def _draw_lane(self, row: _Row, value: Value, y: float, farthest: bool) -> None:
        """From the value's row along its lane; a use on the way taps the lane."""
        above, below = self.rows[self.made[value.id]], self.rows[self.made[value.id] + 1]
        x, turn = self.left - 14 - LANE * self.lanes[value.id], above.bottom + TURN
        out = self.spine - 8 * max(0, len(below.straight) - 1)
        start = [(out, turn), (x, turn)]
        aside = above.op.others.index(value.id) if above.op and value.id in above.op.others else None
        if aside is not None:
            leaves = above.slot(len(above.slots) + aside)
            start = [(self.left, leaves), (x, leaves)]
        if not farthest:
            start, fork = [], (x, y)
        elif aside is not None:
            fork = None
        elif below.straight:
            fork = (out, turn)
        else:
            start.insert(0, (out, above.bottom))
            fork = None
        self._edge(above.ids, row.ids, value, [*start, (x, y), (self.left, y)], fork)

    def _draw_chip(self, row: _Row, value: Value, y: float, chip: str) -> None:
        kind, title, shape = _kind(value), self.titles[value.id], self._shape(value)
        width = _chip_width(self._name(value), shape)
        box = (self.chips - width / 2, y, width, SLOT - 2, title, self._name(value), shape)
        self._box(chip, kind, *box, size=SMALL)
        self._edge((chip, f"g_{chip}"), row.ids, value, [(self.chips, y), (self.left, y)])
        if self.backward and value.id in self.learns:
            text, beside = self._gradient(value), self.overlay.leaves.get(value.id, "") if self.overlay else ""
            width = _chip_width(text, beside)
            x = self._mirror((self.chips, y))[0] + width / 2
            self._box(
                f"g_{chip}", kind, x, y, width, SLOT - 2, f"gradient of {title}", text, beside, size=SMALL, back=True
            )

    def _draw_frames(self, frames: list[Frame]) -> None:
        opened: Counter[int] = Counter()
        closed: Counter[int] = Counter()
        stack: list[int] = []
        for i, frame in enumerate(frames):  # an outer one comes before those inside
            row = self.rows[self.before + frame.first]
            top = row.top - ABOVE * (row.starts - opened[frame.first])
            opened[frame.first] += 1
            del stack[frame.level :]
            width = self.framed - 2 * INSET * frame.level
            title, text, outer = plain(frame.label), clip(frame.label), stack[-1] if stack else -1
            box = Box("", "frame", self.picture.width / 2, top, width, 0, title, text, frame=outer)
            self.picture.frames.append(box)
            stack.append(i)
        for frame, box in zip(reversed(frames), reversed(self.picture.frames), strict=True):
            row = self.rows[self.before + frame.last]
            bottom = row.bottom + GAP - 4 + BELOW * closed[frame.last]
            closed[frame.last] += 1
            box.y, box.height = (box.y + bottom) / 2, bottom - box.y

    def _box(self, *args: Any, **options: Any) -> None:
        box = Box(*args, **options)
        box.frame = self.frame
        self.picture.boxes.append(box)

    def _edge(
        self, tail: tuple[str, str], head: tuple[str, str], value: Value, points: list[Point], fork: Point | None = None
    ) -> None:
        """One edge down and, if `value` learns, its mirror image up; from a fork, where the latter ends."""
        texts, at = ("", ""), (0.0, 0.0)
        if value.id in self.unlabelled:
            self.unlabelled.discard(value.id)
            place = self.made[value.id]
            texts = self._edge_texts(value)
            at = self.spine + 8 * max(1, len(self.rows[place + 1].straight)), self.rows[place].bottom + TURN + 2
        title = self.titles[value.id]
        self.picture.wires.append(Wire("forward", tail[0], head[0], points, title, texts[0], (*at, "start")))
        if self.backward and value.id in self.learns:
            up = [self._mirror(point) for point in reversed(points)]
            title, at = f"gradient of {title}", self._mirror(at)
            self.picture.wires.append(Wire("backward", head[1], tail[1], up, title, texts[1], (*at, "end"), not fork))
        if fork:
            self.picture.marks.append((*fork, False))
            if self.backward and value.id in self.learns:
                self.picture.marks.append((*self._mirror(fork), True))

    def _mirror(self, point: Point) -> Point:
        x, y = point
        return (self.right + self.left - x if x <= self.left else self.back + self.spine - x), y


def _chip_width(name: str, shape: str = "") -> float:
    return wide(f"{name} {shape}".strip(), SMALL) + 18


def _kind(value: Value) -> str:
    return "parameter" if value.role == "parameter" else "input"


def _type(value: Value) -> str:
    return f"{shape_text(value.shape)} {value.dtype}"


def _title(value: Value) -> str:
    return plain(f"{value.role} {value.name} {value.shape} {value.dtype}, {value.size:,} elements")


def _options(op: Op) -> str:
    return ", ".join(f"{name}={value}" for name, value in op.options.items())
