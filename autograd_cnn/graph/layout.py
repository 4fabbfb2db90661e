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
from autograd_cnn.graph.text import bytes_text, clip, plain, shape_text

TEXT, SMALL, EM = 12, 10, 0.62
MARGIN, HEIGHT, GAP, SLOT, LANE, GUTTER = 16, 30, 20, 22, 10, 24

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
    text: str
    title: str
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
    boxes: list[Box] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    marks: list[tuple[float, float, bool]] = field(default_factory=list)


@dataclass(slots=True)
class _Row:
    """A level of the ladder: an operation, or the value with which it begins or ends."""

    output: Value
    op: Op | None = None
    straight: list[int] = field(default_factory=list)  # ports fed from the row above
    slots: list[tuple[int, Value, bool]] = field(default_factory=list)  # the other ports: port, value, by a lane?
    height: float = HEIGHT
    y: float = 0


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
        self.last = {v.id: (row, port) for row in self.rows for port, v, lane in row.slots if lane}
        self.lanes = self._lanes()
        self.learns = {v for op in graph.ops for p, v in op.inputs if p in op.rules} | {graph.result}
        self.unlabelled = {op.output for op in graph.ops[:-1]}
        self.picture = Picture(self._caption(), self._columns(), self._heights())
        for row in self.rows:
            self._draw(row)

    # Rows and lanes

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
            heappush(busy, (self.made[self.last[value][0].output.id], lanes[value]))
        return lanes

    def _columns(self) -> float:
        """Place the columns by what stands in them; return the width of the page."""
        ops, values = self.graph.ops, self.graph.values
        chips = [values[v] for v in self.uses]
        gutter = LANE * len(set(self.lanes.values())) + (GUTTER if chips or self.lanes else 0)
        self.chip = max((wide(f"{clip(v.name)} {self._shape(v)}", SMALL) + 18 for v in chips), default=0)
        inside = [wide(clip(op.name)) + wide(clip(_options(op)), SMALL) for op in ops]
        inside += [wide(clip(row.output.name)) + wide(_type(row.output), SMALL) for row in self.rows if not row.op]
        self.wide = max(110, *inside) + 24
        content = self.chip + gutter + self.wide
        if self.backward:
            rung = max([60] + [wide(clip(self._kept(op)), SMALL) + 12 for op in ops])
            self.rule = max(130, *(wide(clip(f"rule of {op.name}")) + 18 for op in ops))
            pill = max((wide(clip(f"g_{v.name}"), SMALL) + 18 for v in chips if v.id in self.learns), default=0)
            content += rung + self.rule + gutter + pill
        width = max(content, wide(self._caption()))
        self.left = MARGIN + (width - content) / 2 + self.chip + gutter
        self.chips = self.left - gutter
        self.spine = self.left + self.wide / 2
        if self.backward:
            self.right = self.left + self.wide + rung + self.rule
            self.back = self.right - self.rule / 2
        return width + 2 * MARGIN

    def _heights(self) -> float:
        """Place the rows from the top down; return the height of the page."""
        below = beside = MARGIN + TEXT + 14.0  # lower edge of the boxes so far, and of the chips beside them
        for row in self.rows:
            chips = SLOT * len(row.slots)
            row.y = max(below + row.height / 2, beside + chips / 2)
            below, beside = row.y + row.height / 2 + GAP, row.y + chips / 2
        return max(below - GAP, beside) + MARGIN

    # Texts

    def _caption(self) -> str:
        parts = self.graph.summary()
        if self.graph.ops and not self.backward:
            parts[-1] = f"forward only: {parts[-1]} is not one number"
        elif self.graph.kept_bytes:
            parts.insert(-1, f"keeps {bytes_text(self.graph.kept_bytes)}")
        return plain(" · ".join(parts))

    def _kept(self, op: Op) -> str:
        """What `op` keeps, with bytes; after the walk what it kept, without."""
        values = self.graph.values
        if op.kept is None:
            asks = {a for rule in op.rules.values() for a in rule.asks}
            names = [values[v].name for port, v in op.inputs if op.ports[port] in asks]
            names += [values[op.output].name] if "out" in asks else []
            return ", ".join(dict.fromkeys(names + [f"{b}_{values[op.output].name}" for b in op.byproducts if b in asks]))
        costs = ((k, "(shared)" if k.first else bytes_text(k.nbytes)) for k in op.kept)
        return ", ".join(f"{k.label} {cost}" if self.graph.counted(k) else k.label for k, cost in costs)

    def _shape(self, value: Value) -> str:
        used = self.uses[value.id]
        return shape_text(value.shape) + (f" used {used}×" if used > 1 else "")

    def _edge_text(self, value: Value, back: bool) -> str:
        """Half of the way between the columns is for a value's name and shape, half for its gradient's name."""
        text = f"g_{value.name}" if back else f"{value.name} {shape_text(value.shape)}"
        return clip(text, int((self.back - self.spine) / 2 / SMALL / EM) - 2 if self.backward else 40)

    # Drawing

    # Drawing

    def _draw(self, row: _Row) -> None:
        if row.op is not None:
            self._draw_op(row, row.op)
        else:
            self._draw_end(row)
        left, right = self._ids(row)
        for i, port in enumerate(row.straight):
            above = self.rows[self.made[row.output.id] - (row.op is not None)]
            x = self.spine + 16 * (i - (len(row.straight) - 1) / 2)
            points = [(x, above.bottom), (x, row.y - row.height / 2)]
            self._edge(self._ids(above), self._ids(row), above.output, points)
        for i, (port, value, lane) in enumerate(row.slots):
            y = row.y + SLOT * (i - (len(row.slots) - 1) / 2)
            if lane:
                self._draw_lane(row, port, value, y)
            else:
                self._draw_chip(row, port, value, y)

    def _edge(self, tail: tuple[str, str], head: tuple[str, str], value: Value, points: list[Point], tap: bool = False) -> None:
        """One edge down, and its mirror image up; a tap ends at its lane."""
        label, label_back, x, y = "", "", 0.0, 0.0
        if value.id in self.unlabelled:
            self.unlabelled.discard(value.id)
            place = self.made[value.id]
            label, label_back = self._edge_text(value, False), self._edge_text(value, True)
            x, y = self.spine + 8 * max(1, len(self.rows[place + 1].straight)), self.rows[place].bottom + 13
        title = _title(value)
        self.picture.wires.append(Wire("forward", tail[0], head[0], points, title, label, (x, y, "start")))
        if self.backward and value.id in self.learns:
            mirrored = [self._mirror(p) for p in reversed(points)]
            at = (*self._mirror((x, y)), "end")
            self.picture.wires.append(
                Wire("backward", head[1], tail[1], mirrored, f"gradient of {title}", label_back, at, not tap)
            )

    def _mirror(self, point: Point) -> Point:
        x, y = point
        return (self.right + self.left - x if x <= self.left else self.back + self.spine - x), y
