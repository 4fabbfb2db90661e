"""The ladder: one row an operation, forward down the left column, backward up the right one, between them what is kept.

Activations are edges. One that skips rows runs in a gutter lane, one lane a value, with a tap to each use. The way
back mirrors the way forward, arrows turned round: where an edge forks, gradients are summed. Widths are counted, not
measured: monospace at 0.62 em. Reads records; gives boxes, wires and marks, in points, y downwards, to be drawn.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any

from autograd_cnn.graph.records import Graph, Op, Value
from autograd_cnn.graph.text import LONGEST, bytes_text, clip, plain, shape_text

TEXT, SMALL, EM = 12, 10, 0.62
MARGIN, HEIGHT, GAP, SLOT, LANE, GUTTER = 16, 30, 22, 22, 10, 24
TURN = 12  # below a box: where an edge forks, clear of both arrowheads

Point = tuple[float, float]


@dataclass(slots=True)
class Box:
    """`kind` gives shape and colour: input, parameter, op, rule, loss, result; x and y are its centre."""

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


@dataclass(slots=True)
class _Row:
    """A level of the ladder: an operation, or the value with which it begins or ends."""

    value: Value
    op: Op | None = None
    straight: list[int] = field(default_factory=list)  # ports fed from the row above
    slots: list[tuple[int, Value, bool]] = field(default_factory=list)  # the other ports: port, value, by a lane?
    height: float = HEIGHT
    y: float = 0

    @property
    def ids(self) -> tuple[str, str]:
        """Of the boxes left and right."""
        return (self.op.id, f"r{self.op.id[1:]}") if self.op else (self.value.id, f"g_{self.value.id}")

    @property
    def bottom(self) -> float:
        return self.y + self.height / 2


def wide(text: str, size: float = TEXT) -> float:
    """Width of `text` in points."""
    return EM * size * (len(text) + sum(unicodedata.east_asian_width(c) in "WF" for c in text))


def ladder(graph: Graph) -> Picture:
    """The picture of `graph`."""
    return _Ladder(graph).picture


class _Ladder:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.backward = graph.loss is not None
        self.made: dict[str, int] = {}  # value -> its row
        self.rows = self._rows()
        self.uses = Counter(v.id for row in self.rows for _, v, lane in row.slots if not lane)
        self.last = {v.id: (r, port) for r, row in enumerate(self.rows) for port, v, lane in row.slots if lane}
        self.lanes = self._lanes()
        self.learns = {v for op in graph.ops for p, v in op.inputs if p in op.rules} | {graph.result}
        self.unlabelled = {op.output for op in graph.ops[:-1]}
        self.picture = Picture(self._caption(), self._columns(), self._heights())
        for index, row in enumerate(self.rows):
            self._draw(index, row)
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
                if at is not None and at == len(rows) - 1:
                    row.straight.append(port)
                else:
                    row.slots.append((port, values[value], at is not None))
            row.height = max(HEIGHT, SLOT * (len(row.slots) - 1) + 8)
            self.made[op.output] = len(rows)
            rows.append(row)
        return [*rows, _Row(values[self.graph.result], straight=[0])] if ops else rows

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

    def _columns(self) -> float:
        """Place the columns by what stands in them; return the width of the page."""
        ops, values = self.graph.ops, self.graph.values
        chips = [values[v] for v in self.uses]
        gutter = LANE * len(set(self.lanes.values())) + (GUTTER if chips or self.lanes else 0)
        chip = max((_chip_width(clip(v.name), self._shape(v)) for v in chips), default=0)
        inside = [wide(clip(op.name)) + wide(clip(_options(op)), SMALL) for op in ops]
        inside += [wide(clip(row.value.name)) + wide(_type(row.value), SMALL) for row in self.rows if not row.op]
        self.wide = max(110, *inside) + 22
        content = chip + gutter + self.wide
        self.rule = max([130, *(wide(clip(f"rule of {op.name}")) + 18 for op in ops)])
        if self.backward:
            rung = max([60, *(wide(clip(self.graph.kept(op)), SMALL) + 12 for op in ops)])
            pill = max((_chip_width(clip(f"g_{v.name}")) for v in chips if v.id in self.learns), default=0)
            content += rung + self.rule + gutter + pill
        width = max(content, wide(self._caption()))
        self.chips = MARGIN + (width - content) / 2 + chip
        self.left = self.chips + gutter
        self.spine = self.left + self.wide / 2
        self.right = self.left + self.wide + rung + self.rule if self.backward else 0
        self.back = self.right - self.rule / 2
        return width + 2 * MARGIN

    def _heights(self) -> float:
        """Place the rows from the top down; return the height of the page."""
        bottom = MARGIN + TEXT + 14.0 - GAP + (SMALL + 6 if self.backward else 0)
        for row in self.rows:
            row.y = bottom + GAP + row.height / 2
            bottom = row.bottom
        return bottom + MARGIN

    # Texts

    def _caption(self) -> str:
        parts = self.graph.summary()
        if self.graph.ops and not self.backward:
            parts[-1] = f"forward only: {parts[-1]} is not one number"
        elif self.graph.kept_bytes:
            parts.insert(-1, f"keeps {bytes_text(self.graph.kept_bytes)}")
        return plain(" · ".join(parts))

    def _shape(self, value: Value) -> str:
        used = self.uses[value.id]
        return shape_text(value.shape) + (f" used {used}×" if used > 1 else "")

    def _edge_texts(self, value: Value) -> tuple[str, str]:
        """What flows down and what comes up share the way between the columns."""
        room = int((self.back - self.spine) / SMALL / EM) - 6 if self.backward else 2 * LONGEST
        gradient = clip(f"g_{value.name}", min(room // 2, LONGEST))
        return clip(f"{value.name} {shape_text(value.shape)}", min(room - len(gradient), LONGEST)), gradient

    # Drawing

    def _draw(self, index: int, row: _Row) -> None:
        here = (self.spine, row.y, self.wide, row.height)
        there = (self.back, row.y, self.rule, row.height)
        if row.op:
            self._draw_op(row, row.op, here, there)
        else:
            self._draw_end(row, here, there)
        for i, _ in enumerate(row.straight):
            above, x = self.rows[index - 1], self.spine + 16 * (i - (len(row.straight) - 1) / 2)
            self._edge(above.ids, row.ids, above.value, [(x, above.bottom), (x, row.y - row.height / 2)])
        for i, (port, value, lane) in enumerate(row.slots):
            y = row.y + SLOT * (i - (len(row.slots) - 1) / 2)
            if lane:
                self._draw_lane(row, value, y, self.last[value.id] == (index, port))
            else:
                self._draw_chip(row, value, y, f"{value.id}_{row.ids[0]}_{port}")

    def _draw_end(self, row: _Row, here: Any, there: Any) -> None:
        """The value with which the ladder begins, or the loss."""
        value, title, (left, right) = row.value, _title(row.value), row.ids
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
        place = f"{op.place.file}:{op.place.line}"
        title = plain(f"{row.value.name} = {op.name}({', '.join(given)}), {place} in {op.place.function}")
        self._box(left, "op", *here, title, clip(op.name), clip(_options(op)), clip(place))
        if not self.backward or not op.rules:
            return
        served = ", ".join(self.graph.values[v].name for p, v in op.inputs if p in op.rules)
        asks = ", ".join(dict.fromkeys(a for rule in op.rules.values() for a in rule.asks)) or "nothing but g"
        below = clip(f"for {served}", int(self.rule / SMALL / EM) - 2)
        title = plain(f"gradients for {served}; asks for {asks}")
        self._box(right, "rule", *there, title, clip(f"rule of {op.name}"), below=below, back=True)
        if kept := self.graph.kept(op):
            ends = [(self.left + self.wide, y), (self.right - self.rule, y)]
            at = ((ends[0][0] + ends[1][0]) / 2, y - 5, "middle")
            self.picture.wires.append(Wire("kept", left, right, ends, f"kept: {plain(kept)}", clip(kept), at, False))

    def _draw_lane(self, row: _Row, value: Value, y: float, farthest: bool) -> None:
        """From the value's row along its lane; a use on the way taps the lane."""
        above, below = self.rows[self.made[value.id]], self.rows[self.made[value.id] + 1]
        x, turn = self.left - 14 - LANE * self.lanes[value.id], above.bottom + TURN
        out = self.spine - 8 * max(0, len(below.straight) - 1)
        start = [(out, turn), (x, turn)]
        if not farthest:
            start, fork = [], (x, y)
        elif below.straight:
            fork = (out, turn)
        else:
            start.insert(0, (out, above.bottom))
            fork = None
        self._edge(above.ids, row.ids, value, [*start, (x, y), (self.left, y)], fork)

    def _draw_chip(self, row: _Row, value: Value, y: float, chip: str) -> None:
        kind, title, shape = _kind(value), _title(value), self._shape(value)
        width = _chip_width(clip(value.name), shape)
        box = (self.chips - width / 2, y, width, SLOT - 2, title, clip(value.name), shape)
        self._box(chip, kind, *box, size=SMALL)
        self._edge((chip, f"g_{chip}"), row.ids, value, [(self.chips, y), (self.left, y)])
        if self.backward and value.id in self.learns:
            text = clip(f"g_{value.name}")
            width = _chip_width(text)
            x = self._mirror((self.chips, y))[0] + width / 2
            self._box(f"g_{chip}", kind, x, y, width, SLOT - 2, f"gradient of {title}", text, size=SMALL, back=True)

    def _box(self, *args: Any, **options: Any) -> None:
        self.picture.boxes.append(Box(*args, **options))

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
        title = _title(value)
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
