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

from autograd_cnn.graph.picture.fold import LIMIT, Frame, View, fold, within
from autograd_cnn.graph.picture.overlays import Overlay, overlay_of
from autograd_cnn.graph.records import Graph, Op, Value
from autograd_cnn.graph.text import LONGEST, bytes_text, clip, clip_names, plain, shape_text

TEXT, SMALL, EM = 12, 10, 0.62
MARGIN, HEIGHT, GAP, SLOT, LANE, GUTTER = 16, 30, 22, 22, 10, 20
ABOVE, BELOW, INSET = 24, 6, 6  # room for a frame over, under and beside what it holds
TURN = 12  # below a box: where an edge forks, clear of both arrowheads

Point = tuple[float, float]
Route = tuple[list[Point], "Point | None"]  # of an edge down; and where it leaves another one of the same value


@dataclass(slots=True)
class Box:
    """`kind` gives shape and colour: input, parameter, op, rule, loss, result, frame; x and y are its centre."""

    id: str
    kind: str
    title: str
    text: str
    beside: str = ""  # small, on the same line
    below: str = ""  # small, on a second line
    size: int = TEXT
    back: bool = False  # on the way back
    bar: float | None = None  # length of an overlay's bar, 0 to 1
    frame: int = -1  # index of the innermost frame around it
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = 0


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
    width: float = 0
    height: float = 0
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
    around: tuple[str, ...] = ()  # paths of the frames, outermost first
    frame: int = -1
    starts: int = 0
    ends: int = 0
    height: float = HEIGHT
    y: float = 0
    left: Box = field(init=False)
    right: Box | None = None
    kept: tuple[str, str] = ("", "")  # short, whole

    @property
    def ids(self) -> tuple[str, str]:
        """Of the boxes left and right."""
        return (self.op.id, f"r{self.op.id[1:]}") if self.op else (self.value.id, f"g_{self.value.id}")

    def learns(self, port: int) -> bool:
        """Whether on the way back a gradient leaves where on the way there the value at `port` came in."""
        return self.op is None or port in self.op.rules

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
    return drawn(graph, view, overlay_of(graph, view.graph.ops, overlay))


def drawn(graph: Graph, view: View, overlay: Overlay | None = None) -> Picture:
    """The picture of a `view` of `graph`."""
    return _Ladder(graph, view, overlay or Overlay()).picture


class _Ladder:
    def __init__(self, whole: Graph, view: View, overlay: Overlay) -> None:
        self.graph = view.graph
        self.used = Counter(v for op in whole.ops for _, v in op.inputs)
        self.overlay = overlay
        self.backward = whole.loss is not None
        self.picture = Picture(_caption(whole, view, overlay))
        self.made: dict[str, int] = {}  # value -> its row
        self.rows = self._rows()
        self._frame(view.frames)
        self.names = self._names()
        shown = {value.id: value for row in self.rows for value in (row.value, *(v for _, v, _ in row.slots))}
        self.titles = {v: _title(value) for v, value in shown.items()}
        self.chips = self._chips()
        self.lanes = self._lanes()
        self.unlabelled = {(op.output, back) for op in self.graph.ops[:-1] for back in (False, True)}
        for row in self.rows:
            self._write(row)
        self._columns(view.frames)
        self._heights(view.frames)
        for index, row in enumerate(self.rows):
            self._draw(index, row)

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
                if at == len(rows) - 1 and value == rows[at].value.id:
                    row.straight.append(port)
                else:
                    row.slots.append((port, values[value], at is not None))
            row.height = max(HEIGHT, SLOT * (len(row.slots) + len(op.others) - 1) + 8)
            self.made |= dict.fromkeys((op.output, *op.others), len(rows))
            rows.append(row)
        return [*rows, _Row(values[self.graph.result], straight=[0])] if ops else rows

    def _frame(self, frames: list[Frame]) -> None:
        for i, frame in enumerate(frames):  # an outer one comes before those inside
            rows = self._inside(frame)
            self.picture.frames.append(Box("", "frame", plain(frame.label), clip(frame.label), frame=rows[0].frame))
            rows[0].starts += 1
            rows[-1].ends += 1
            for row in rows:
                row.around += (frame.path,)
                row.frame = i

    def _inside(self, frame: Frame) -> list[_Row]:
        before = len(self.rows) - len(self.graph.ops) - 1  # rows before the first operation
        return self.rows[before + frame.first : before + frame.last + 1]

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
        uses = [(v.id, index, port) for index, row in enumerate(self.rows) for port, v, lane in row.slots if lane]
        self.last = {v: (index, port) for v, index, port in uses}
        self.last_back = {v: (index, port) for v, index, port in uses if self.rows[index].learns(port)}
        lanes: dict[str, int] = {}
        free: list[int] = []
        busy: list[tuple[int, int]] = []
        for value in sorted(self.last, key=self.made.__getitem__):
            while busy and busy[0][0] <= self.made[value]:
                heappush(free, heappop(busy)[1])
            lanes[value] = heappop(free) if free else len(busy)
            heappush(busy, (self.last[value][0], lanes[value]))
        return lanes

    # What stands in the boxes

    def _chips(self) -> dict[str, list[tuple[str, str, float]]]:
        """Of what stands beside its uses, the value and its gradient: text, small text, width."""
        chips = {}
        for v in dict.fromkeys(v.id for row in self.rows for _, v, lane in row.slots if not lane):
            value, several, used = self.graph.values[v], v[0] != "t", self.used[v]
            name = self.names.get(v, value.name)
            shape = f"{value.size:,}" if several else shape_text(value.shape)
            shape += f" used {used}×" if used > 1 else ""
            gradient = value.name.replace("parameter", "gradient") if several else f"g_{name}"
            texts = (clip(name), shape), (clip(gradient), self.overlay.leaves.get(v, ""))
            chips[v] = [(text, small, wide(f"{text} {small}".strip(), SMALL) + 18) for text, small in texts]
        return chips

    def _write(self, row: _Row) -> None:
        """Give a row its boxes, yet without their places."""
        if row.op:
            self._write_op(row, row.op)
            return
        value, title, (left, right) = row.value, self.titles[row.value.id], row.ids
        name, gradient = clip(value.name), clip(f"g_{value.name}", 24)
        if row.straight and self.backward:
            row.left = Box(left, "loss", title, f"{name} {self.graph.loss:.4g}")
            row.right = Box(right, "rule", title, f"{gradient} = 1", below="backward starts here", back=True)
            return
        kind, dtype = "result" if row.straight else _kind(value), f"{shape_text(value.shape)} {value.dtype}"
        row.left = Box(left, kind, title, name, dtype)
        if self.backward and any(v == value.id and port in op.rules for op in self.graph.ops for port, v in op.inputs):
            row.right = Box(right, kind, f"gradient of {title}", gradient, back=True)

    def _write_op(self, row: _Row, op: Op) -> None:
        values, (left, right) = self.graph.values, row.ids
        options = ", ".join(f"{name}={value}" for name, value in op.options.items())
        place, scope = f"{op.place.file}:{op.place.line}", op.scopes[-1].path if op.scopes and not op.parts else ""
        if op.parts:
            called = f"{len(op.parts):,} operations from"
            below = place if "operations" in op.name else f"{len(op.parts):,} operations"
        else:
            given = [f"{op.ports[p]}={values[v].name}" for p, v in op.inputs] + [options] * bool(options)
            called = f"{op.name}({', '.join(given)}),"
            below = f"{within(scope, row.around)} · {place}" if scope and scope not in row.around else place
        below, bar = self.overlay.forward.get(op.id, (below, None))
        title = f"{row.value.name} = {called} {place} in {op.place.function}{scope and f', {scope}'}"
        row.left = Box(left, "op", plain(title), clip(op.name), clip(options), clip(below), bar=bar)
        if not self.backward or not op.rules:
            return
        served = [v for p, v in op.inputs if p in op.rules]
        title = f"gradients for {', '.join(values[v].name for v in served)}"
        if not op.parts:
            asks = dict.fromkeys(a for rule in op.rules.values() for a in rule.asks)
            title += f"; asks for {', '.join(asks) or 'nothing but g'}"
        below = clip_names(f"for {', '.join(self.names.get(v, values[v].name) for v in served)}", 31)
        below, bar = self.overlay.backward.get(op.id, (below, None))
        name = clip(op.name if op.parts else f"rule of {op.name}")
        row.right = Box(right, "rule", plain(title), name, below=clip(below), back=True, bar=bar)
        if kept := self.graph.kept(op):
            row.kept = clip_names(self.graph.kept(op, self.names) if self.names else kept), plain(kept)

    # Columns and heights

    def _columns(self, frames: list[Frame]) -> None:
        """Place the columns by what stands in them."""
        gutter = LANE * len(set(self.lanes.values())) + (GUTTER if self.chips or self.lanes else 0)
        title = "parameters" if any(self.graph.values[v].role == "parameter" for v in self.chips) else "inputs"
        chip = max([wide(title, SMALL), *(there[2] for there, _ in self.chips.values())]) if self.chips else 0
        names = [wide(b.text, SMALL) + INSET * f.level + 12 for f, b in zip(frames, self.picture.frames, strict=True)]
        left = max([chip, *names]) + gutter
        self.wide = _column([row.left for row in self.rows])
        content, rung = left + self.wide, 0.0
        if self.backward:
            self.rule = _column([row.right for row in self.rows if row.right])
            rung = max([60, *(wide(row.kept[0], SMALL) + 12 for row in self.rows)])
            learn = {v.id for row in self.rows for port, v, lane in row.slots if not lane and row.learns(port)}
            pill = max([wide("gradients", SMALL), *(self.chips[v][1][2] for v in learn)]) if learn else 0
            content += rung + self.rule + gutter + pill
        around = INSET * max((f.level for f in frames), default=0)
        margin = MARGIN + around
        self.framed = content + 2 * (8 + around)
        width = max(content, wide(self.picture.caption))
        self.picture.width = width + 2 * margin
        self.beside = margin + (width - content) / 2 + left - gutter  # where chips end
        self.left = self.beside + gutter
        self.spine = self.left + self.wide / 2
        if self.backward:
            self.right = self.left + self.wide + rung + self.rule
            self.back = self.right - self.rule / 2
            self.picture.headings = [(self.spine, "forward: read down"), (self.back, "backward: read up")]
            if any(row.kept[0] for row in self.rows):
                self.picture.headings.append((self.left + self.wide + rung / 2, "kept"))
            if self.chips:
                self.picture.headings.append((self.beside - chip / 2, title))
            if learn:
                self.picture.headings.append((self.right + gutter + pill / 2, "gradients"))

    def _heights(self, frames: list[Frame]) -> None:
        """Place the rows from the top down, and the frames round them."""
        bottom = MARGIN + TEXT + 14.0 - GAP + (SMALL + 6 if self.backward else 0)
        for row in self.rows:
            row.y = bottom + GAP + ABOVE * row.starts + row.height / 2
            bottom = row.bottom + BELOW * row.ends
        self.picture.height = bottom + MARGIN
        for frame, box in zip(frames, self.picture.frames, strict=True):
            rows = self._inside(frame)
            top, bottom = rows[0].top - ABOVE * rows[0].starts, rows[-1].bottom + GAP - 2 + BELOW * (rows[-1].ends - 1)
            rows[0].starts -= 1  # those inside begin below it, and end above it
            rows[-1].ends -= 1
            box.x, box.width = self.picture.width / 2, self.framed - 2 * INSET * frame.level
            box.y, box.height = (top + bottom) / 2, bottom - top

    # Drawing

    def _draw(self, index: int, row: _Row) -> None:
        self._place(row, row.left, self.spine, row.y, self.wide, row.height)
        if row.right:
            self._place(row, row.right, self.back, row.y, self.rule, row.height)
        ends = [(self.left + self.wide, row.y), (self.right - self.rule, row.y)] if row.right else []
        if row.left.kind == "loss":
            self.picture.wires.append(Wire("backward", *row.ids, ends, "the way back begins"))
        elif row.kept[0]:
            at = ((ends[0][0] + ends[1][0]) / 2, row.y - 5, "middle")
            self.picture.wires.append(Wire("kept", *row.ids, ends, f"kept: {row.kept[1]}", row.kept[0], at, False))
        for i, port in enumerate(row.straight):
            above, x = self.rows[index - 1], self.spine + 16 * (i - (len(row.straight) - 1) / 2)
            way: Route = [(x, above.bottom), (x, row.top)], None
            self._edge(above.ids, row, port, above.value, way, way)
        for i, (port, value, lane) in enumerate(row.slots):
            if lane:
                self._draw_lane(index, port, value, row.slot(i))
            else:
                self._draw_chip(row, port, value, row.slot(i))

    def _place(self, row: _Row, box: Box, x: float, y: float, width: float, height: float) -> None:
        box.x, box.y, box.width, box.height, box.frame = x, y, width, height, row.frame
        self.picture.boxes.append(box)

    def _draw_chip(self, row: _Row, port: int, value: Value, y: float) -> None:
        chip, kind, title = f"{value.id}_{row.ids[0]}_{port}", _kind(value), self.titles[value.id]
        (text, small, width), (g_text, g_small, g_width) = self.chips[value.id]
        box = Box(chip, kind, title, text, small, size=SMALL)
        self._place(row, box, self.beside - width / 2, y, width, SLOT - 4)
        way: Route = [(self.beside, y), (self.left, y)], None
        self._edge((chip, f"g_{chip}"), row, port, value, way, way)
        if self.backward and row.learns(port):
            box = Box(f"g_{chip}", kind, f"gradient of {title}", g_text, g_small, size=SMALL, back=True)
            self._place(row, box, self._mirror((self.beside, y))[0] + g_width / 2, y, g_width, SLOT - 4)

    def _draw_lane(self, index: int, port: int, value: Value, y: float) -> None:
        """From the value's row along its lane; a use on the way taps the lane."""
        above, below = self.rows[self.made[value.id]], self.rows[self.made[value.id] + 1]
        x, turn = self.left - 14 - LANE * self.lanes[value.id], above.bottom + TURN
        out = self.spine - 8 * max(0, len(below.straight) - 1)

        def route(farthest: bool, straight: bool) -> Route:
            end = [(x, y), (self.left, y)]
            if not farthest:
                return end, end[0]
            if above.op and value.id in above.op.others:
                leaves = above.slot(len(above.slots) + above.op.others.index(value.id))
                return [(self.left, leaves), (x, leaves), *end], None
            fork = (out, turn)
            return ([fork, (x, turn), *end], fork) if straight else ([(out, above.bottom), fork, (x, turn), *end], None)

        there = route(self.last[value.id] == (index, port), bool(below.straight))
        back = route(self.last_back.get(value.id) == (index, port), any(map(below.learns, below.straight)))
        self._edge(above.ids, self.rows[index], port, value, there, back)

    def _edge(self, tail: tuple[str, str], row: _Row, port: int, value: Value, there: Route, back: Route) -> None:
        """One edge down and, where a rule runs, the mirror image of `back` up: from a fork, to a sum."""
        (points, fork), title = there, self.titles[value.id]
        self.picture.wires.append(Wire("forward", tail[0], row.ids[0], points, title, *self._label(value, False)))
        if fork:
            self.picture.marks.append((*fork, False))
        if self.backward and row.learns(port):
            (points, fork), title = back, f"gradient of {title}"
            up, label = [self._mirror(point) for point in reversed(points)], self._label(value, True)
            self.picture.wires.append(Wire("backward", row.ids[1], tail[1], up, title, *label, not fork))
            if fork:
                self.picture.marks.append((*up[-1], True))

    def _label(self, value: Value, back: bool) -> tuple[str, tuple[float, float, str]]:
        """What flows, at the first edge that it takes; down and up share the way between the columns."""
        if (value.id, back) not in self.unlabelled:
            return "", (0, 0, "middle")
        self.unlabelled.discard((value.id, back))
        row = self.made[value.id]
        at = self.spine + 8 * max(1, len(self.rows[row + 1].straight)), self.rows[row].bottom + TURN + 2
        room = int((self.back - self.spine) / SMALL / EM) - 6 if self.backward else 2 * LONGEST
        gradient = clip(f"g_{value.name}", min(room // 2, LONGEST))
        if back:
            return gradient, (*self._mirror(at), "end")
        return clip(f"{value.name} {shape_text(value.shape)}", min(room - len(gradient), LONGEST)), (*at, "start")

    def _mirror(self, point: Point) -> Point:
        x, y = point
        return (self.right + self.left - x if x <= self.left else self.back + self.spine - x), y


def _caption(graph: Graph, view: View, overlay: Overlay) -> str:
    parts, rows = graph.summary(), len(view.graph.ops)
    if rows < len(graph.ops):
        parts[0] += f" in {rows} row{'s' * (rows > 1)}"
        if len(graph.ops) <= LIMIT:
            parts[0] += f", depth={view.all_at} draws all"
    if graph.ops and graph.loss is None:
        parts[-1] = f"forward only: {parts[-1]} is not one number"
    elif graph.kept_bytes:
        parts.insert(-1, f"keeps {bytes_text(graph.kept_bytes)}")
    return plain(" · ".join([*parts, overlay.caption] if overlay.caption else parts))


def _column(boxes: list[Box]) -> float:
    """Width for what stands in `boxes`."""
    texts = [wide(box.text) + wide(f" {box.beside}" if box.beside else "", SMALL) for box in boxes]
    return max([110, *texts, *(wide(box.below, SMALL) for box in boxes)]) + 16


def _kind(value: Value) -> str:
    return "parameter" if value.role == "parameter" else "input"


def _title(value: Value) -> str:
    if value.id[0] != "t":  # several as one
        return f"{value.name}, {value.size:,} elements"
    return plain(f"{value.role} {value.name} {value.shape} {value.dtype}, {value.size:,} elements")
