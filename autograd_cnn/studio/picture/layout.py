"""Lays out the ladder: forward down the left column, backward up the right one, and kept arrays in between.

Each operation is a row, and each activation is an edge. A value whose edges skip rows has a lane in the gutter, with a
branch to each use. The backward pass mirrors the forward pass with the arrows reversed, so gradients are summed at the
points where a forward edge forks. Text is monospaced at 0.62 em, so its width follows from the number of characters. A
module or loop that is open in the folded graph has a frame around its rows. Reads records, and returns boxes, wires and
marks in points, with y downwards.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import accumulate, product

from autograd_cnn.studio.picture.fold import LIMIT, View, called, within
from autograd_cnn.studio.records import Op, Value
from autograd_cnn.studio.text import LONGEST, bytes_text, clip, clip_names, plain, shape_text

TEXT, SMALL, EM = 12, 10, 0.62
MARGIN, HEIGHT, GAP, SLOT, LANE, GUTTER = 16, 30, 22, 22, 10, 20
ABOVE, BELOW, INSET = 24, 6, 6  # space for a frame above, below and beside its rows
MESSAGE = 72  # characters of an error
TURN = 12  # distance from a box to the fork below it, which leaves room for both arrowheads

Point = tuple[float, float]
Route = tuple[list[Point], bool]  # points, from maker to user; whether it forks from another edge of its value
Reading = tuple[str, "float | None"]  # the text, and the length of the bar


@dataclass(slots=True)
class Overlay:
    """Readings by operation, for its forward and its backward box; texts for leaves and for their gradients."""

    caption: str = ""
    forward: dict[str, Reading] = field(default_factory=dict)
    backward: dict[str, Reading] = field(default_factory=dict)
    leaves: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)  # in place of shapes
    brief: bool = False  # without bytes, and without the shape of a single number


@dataclass(slots=True)
class Box:
    """A box with its centre at (x, y); `kind` is input, parameter, op, rule, loss, result, failed, error or frame."""

    id: str
    kind: str
    title: str
    text: str
    beside: str = ""  # small, on the same line
    below: str = ""  # small, on a second line
    size: int = TEXT
    back: bool = False  # in the backward pass
    bar: float | None = None  # length of an overlay's bar, 0 to 1
    frame: int = -1  # index of the innermost frame around it
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = 0

    @property
    def left(self) -> float:
        return self.x - self.width / 2

    @property
    def top(self) -> float:
        return self.y - self.height / 2

    @property
    def bottom(self) -> float:
        return self.y + self.height / 2

    @property
    def radius(self) -> float:
        """Radius of the corners."""
        return {"parameter": self.height / 2, "op": 6, "failed": 6, "rule": 6, "frame": 8}.get(self.kind, 0)


@dataclass(slots=True)
class Wire:
    """An edge; `kind` is forward, backward or kept, and the arrowhead is at the last point."""

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
    """All shapes and texts; a mark shows where an edge forks or, if its flag is set, where gradients are summed."""

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
    """A row of the ladder: an operation, or the value at the start or the end."""

    index: int
    value: Value
    op: Op | None = None
    straight: list[int] = field(default_factory=list)  # ports whose value comes from the row above
    slots: dict[int, Value] = field(default_factory=dict)  # the other ports
    learns: Collection[int] = ()  # ports whose value receives a gradient
    around: list[int] = field(default_factory=list)  # indices of the frames around it, outermost first
    left: Box = field(init=False)
    right: Box | None = None
    kept: tuple[str, str] = ("", "")  # clipped, whole
    outer: dict[int | str, float] = field(default_factory=dict)  # y of wires on the outer side, by port or output

    @property
    def ids(self) -> tuple[str, str]:
        """Ids of the left and the right box."""
        return (self.op.id, f"r{self.op.id[1:]}") if self.op else (self.value.id, f"g_{self.value.id}")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Ids of the values computed in this row: the one below the box, then those on its outer side."""
        return (self.value.id, *self.op.others) if self.op else (self.value.id,)


def wide(text: str, size: float = TEXT) -> float:
    """Return the width of `text` in points."""
    double = 0 if text.isascii() else sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return EM * size * (len(text) + double)


def drawn(view: View, overlay: Overlay | None = None) -> Picture:
    """Lay out a `view` of a graph."""
    return _Ladder(view, overlay or Overlay()).picture


class _Ladder:
    def __init__(self, view: View, overlay: Overlay) -> None:
        self.view, self.graph, self.overlay, self.failure = view, view.graph, overlay, view.graph.failure
        self.backward = view.whole.loss is not None
        self.picture = Picture(_caption(view, overlay))
        self.picture.frames = [
            Box("", "frame", plain(frame.label), clip(frame.label), frame=[-1, *frame.around][-1])
            for frame in view.frames
        ]
        self.rows = self._rows()
        self.made = {v: row for row in reversed(self.rows) for v in row.outputs}
        uses = [(row, port, value) for row in self.rows for port, value in row.slots.items()]
        self.leaves = [use for use in uses if use[2].id not in self.made]
        self.names = self._names()
        used = Counter(v for op in view.whole.ops for _, v in op.inputs)
        self.chips = {v.id: self._chip(v, used[v.id]) for _, _, v in self.leaves}
        skips = [(v.id, row, port) for row, port, v in uses if v.id in self.made]
        self.last_use = {(v, False): (row.index, port) for v, row, port in skips}
        self.last_use |= {(v, True): (row.index, port) for v, row, port in skips if port in row.learns}
        self.lanes = self._lanes()
        self.unlabelled = set(product([row.value.id for row in self.rows if row.op][:-1], (False, True)))
        for row in self.rows:
            self._write(row)
        self._columns()
        self._heights()
        for row in self.rows:
            self._draw(row)

    # Rows and lanes

    def _rows(self) -> list[_Row]:
        values, ops = self.graph.values, self.graph.ops
        first = [v for _, v in ops[0].inputs if values[v].role != "parameter"] if ops else [self.graph.result]
        rows = [_Row(0, values[v]) for v in first[:1]]
        if self.failure:  # a last row without a result, and below it the error
            nothing = Value(self.failure.op.output, self.failure.error, "error", (), "")
            values, ops = {**values, nothing.id: nothing}, [*ops, self.failure.op]
        for op, around in zip(ops, [*self.view.around, []], strict=False):
            above = rows[-1].value.id if rows else None
            straight = [port for port, v in op.inputs if v == above]
            slots = {port: values[v] for port, v in op.inputs if v != above}
            rows.append(
                _Row(len(rows), values[op.output], op, straight, slots, op.rules if self.backward else (), around)
            )
        return [*rows, _Row(len(rows), rows[-1].value, None, [0], learns=[0] * self.backward)] if ops else rows

    def _names(self) -> dict[str, str]:
        """Return the names of parameters relative to their frame, unless several frames use them."""
        found: dict[str, set[str]] = {}
        for row, _, value in self.leaves:
            if any(paths := self.view.paths(row.around)):
                found.setdefault(value.id, set()).add(within(value.name, paths))
        return {v: names.pop() for v, names in found.items() if len(names) == 1}

    def _lanes(self) -> dict[str, int]:
        """Assign a lane to every value that skips rows; the lane is free again below the last use of the value."""
        lanes: dict[str, int] = {}
        ends: list[int] = []  # by lane: the row of the last use
        for value in sorted(dict.fromkeys(v for v, _ in self.last_use), key=lambda v: self.made[v].index):
            begin, (end, _) = self.made[value].index, self.last_use[value, False]
            lanes[value] = next((lane for lane, row in enumerate(ends) if row <= begin), len(ends))
            ends[lanes[value] : lanes[value] + 1] = [end]
        return lanes

    # Texts of the boxes

    def _chip(self, value: Value, used: int) -> list[tuple[str, str, float]]:
        """Return text, small text and width of the chips of `value` and of its gradient; each use of it has both."""
        several, name = value.count > 1, self.names.get(value.id, value.name)
        shape = (f"{value.size:,}" if several else shape_text(value.shape)) + (f" used {used}×" if used > 1 else "")
        shape = self.overlay.values.get(value.id, shape)
        gradient = value.name.replace("parameter", "gradient") if several else f"g_{name}"
        texts = (clip(name), shape), (clip(gradient), self.overlay.leaves.get(value.id, ""))
        return [(text, small, wide(f"{text} {small}".strip(), SMALL) + 18) for text, small in texts]

    def _write(self, row: _Row) -> None:
        """Make the boxes of a row, without their positions."""
        if row.op:
            self._write_op(row, row.op)
            return
        value, title, (left, right) = row.value, _title(row.value), row.ids
        name, gradient = clip(value.name), clip(f"g_{value.name}", 24)
        if row.straight and self.backward:
            row.left = Box(left, "loss", title, f"{name} {self.graph.loss:.4g}")
            row.right = Box(right, "rule", title, f"{gradient} = 1", below="backward starts here", back=True)
            return
        if row.straight and self.failure:
            error, message = self.failure.error, self.failure.message
            below = clip(message.partition("\n")[0], MESSAGE)
            row.left = Box("error", "error", plain(f"{error}: {message}"), clip(error), below=below)
            return
        kind = "result" if row.straight else _kind(value)
        beside = self.overlay.values.get(value.id, f"{shape_text(value.shape)} {value.dtype}")
        row.left = Box(left, kind, title, name, beside)
        if self.backward and any(v == value.id and port in op.rules for op in self.graph.ops for port, v in op.inputs):
            beside = self.overlay.leaves.get(value.id, "") if self.overlay.values else ""
            row.right = Box(right, kind, f"gradient of {title}", gradient, beside, back=True)

    def _write_op(self, row: _Row, op: Op) -> None:
        names, (left, right) = {v: self.graph.values[v].name for _, v in op.inputs}, row.ids
        options = ", ".join(f"{name}={value}" for name, value in op.options.items())
        place = f"{op.place.file}:{op.place.line}"
        scope = op.scopes[-1].path if op.scopes and not op.parts else ""
        if op.parts:
            count = f"{len(op.parts):,} operations"
            made, below = f"{count} from", place if count in op.name else count
        else:
            given = [f"{op.ports[port]}={names[v]}" for port, v in op.inputs] + [options] * bool(options)
            made = f"{op.name}({', '.join(given)}),"
            paths = self.view.paths(row.around)
            below = f"{called(op.scopes[-1], paths)} · {place}" if scope and scope not in paths else place
        below, bar = self.overlay.forward.get(op.id, (below, None))
        title = f"{row.value.name} = {made} {place} in {op.place.function}{scope and f', {scope}'}"
        row.left = Box(left, "op", plain(title), clip(op.name), clip(options), clip(below), bar=bar)
        if self.failure and op is self.failure.op:
            row.left.kind, row.left.title = "failed", plain(f"fails: {title.partition(' = ')[2]}")
        if not row.learns:
            return
        receivers = [v for port, v in op.inputs if port in op.rules]
        title = f"gradients for {', '.join(names[v] for v in receivers)}"
        if not op.parts:
            asks = dict.fromkeys(a for rule in op.rules.values() for a in rule.needs)
            title += f"; asks for {', '.join(asks) or 'nothing but g'}"
        below = clip_names(f"for {', '.join(self.names.get(v, names[v]) for v in receivers)}", 31)
        below, bar = self.overlay.backward.get(op.id, (below, None))
        name = clip(op.name if op.parts else f"rule of {op.name}")
        row.right = Box(right, "rule", plain(title), name, below=clip(below), back=True, bar=bar)
        kept = self.graph.kept(op, self.names, lambda _: "") if self.overlay.brief else self.graph.kept(op, self.names)
        row.kept = clip_names(kept), plain(self.graph.kept(op))

    # Columns and heights

    def _columns(self) -> None:
        """Place the columns, and make each as wide as its widest text."""
        title = "parameters" if any(v.role == "parameter" for _, _, v in self.leaves) else "inputs"
        gutter = LANE * len(set(self.lanes.values())) + (GUTTER if self.chips or self.lanes else 0)
        insets = [INSET * len(frame.around) for frame in self.view.frames]
        frames = list(zip(insets, self.picture.frames, strict=True))
        chip, g_chip = _widest(title, [there[2] for there, _ in self.chips.values()]), 0.0
        left = max([chip, *(wide(box.text, SMALL) + inset + 12 for inset, box in frames)])
        widths = [left, gutter, _column([row.left for row in self.rows]), 0, 0, 0, 0]
        if self.backward:
            least = 84 if self.overlay.brief else 60  # the player writes numbers on the edges
            middle = max([least, *(wide(row.kept[0], SMALL) + 12 for row in self.rows)])
            learnt = [self.chips[v.id][1][2] for row, port, v in self.leaves if port in row.learns]
            g_chip = _widest("gradients", learnt)
            widths[3:] = [middle, _column([row.right for row in self.rows if row.right]), gutter, g_chip]
        content, around = sum(widths), max(insets, default=0)
        self.picture.width = max(content, wide(self.picture.caption)) + 2 * (MARGIN + around)
        for inset, box in frames:
            box.x, box.width = self.picture.width / 2, content + 2 * (8 + around - inset)
        ends = accumulate(widths, initial=(self.picture.width - content) / 2)
        _, self.beside, self.left, self.left_end, self.right_start, self.right, outer, _ = ends
        self.spine, self.back = (self.left + self.left_end) / 2, (self.right_start + self.right) / 2
        headings = [
            (self.spine, "forward: read down", True),
            (self.back, "backward: read up", True),
            ((self.left_end + self.right_start) / 2, "kept", any(row.kept[0] for row in self.rows)),
            (self.beside - chip / 2, title, chip),
            (outer + g_chip / 2, "gradients", g_chip),
        ]
        self.picture.headings = [(x, heading) for x, heading, there in headings if there and self.backward]

    def _heights(self) -> None:
        """Place the rows from top to bottom, and the frames around them."""
        bottom = MARGIN + TEXT + 14.0 - GAP + (SMALL + 6 if self.backward else 0)
        tops: dict[int, float] = {}  # of frames
        for row, below in zip(self.rows, [*self.rows[1:], self.rows[-1]], strict=True):
            for i in row.around:
                if i not in tops:
                    tops[i] = bottom + GAP
                    bottom += ABOVE
            outer: list[int | str] = [*row.slots, *row.outputs[1:]]
            row.left.height = max(HEIGHT, SLOT * (len(outer) - 1) + 8)
            row.left.y = bottom + GAP + row.left.height / 2
            bottom = row.left.bottom
            row.outer = {wire: row.left.y + SLOT * (i - (len(outer) - 1) / 2) for i, wire in enumerate(outer)}
            for i in reversed(row.around):
                if i not in below.around:
                    frame, end = self.picture.frames[i], bottom + GAP - 2
                    frame.y, frame.height = (tops[i] + end) / 2, end - tops[i]
                    bottom += BELOW
        self.picture.height = bottom + MARGIN

    # Drawing

    def _draw(self, row: _Row) -> None:
        y, height = row.left.y, row.left.height
        self._place(row, row.left, self.left, self.left_end, y, height)
        if row.right:
            self._place(row, row.right, self.right_start, self.right, y, height)
            ends = [(self.left_end, y), (self.right_start, y)]
            if row.left.kind == "loss":
                self.picture.wires.append(Wire("backward", *row.ids, ends, "the way back begins"))
            elif row.kept[0]:
                at = ((self.left_end + self.right_start) / 2, y - 5, "middle")
                self.picture.wires.append(Wire("kept", *row.ids, ends, f"kept: {row.kept[1]}", row.kept[0], at, False))
        for i, port in enumerate(row.straight):
            above, x = self.rows[row.index - 1], self.spine + 16 * (i - (len(row.straight) - 1) / 2)
            way = [(x, above.left.bottom), (x, row.left.top)], False
            self._edge(above.ids, row, port, above.value, way, way)
        for port, value in row.slots.items():
            draw = self._draw_lane if value.id in self.made else self._draw_chip
            draw(row, port, value, row.outer[port])

    def _place(self, row: _Row, box: Box, left: float, right: float, y: float, height: float) -> None:
        box.x, box.y, box.width, box.height = (left + right) / 2, y, right - left, height
        box.frame = row.around[-1] if row.around else -1
        self.picture.boxes.append(box)

    def _draw_chip(self, row: _Row, port: int, value: Value, y: float) -> None:
        chip, kind, title = f"{value.id}_{row.ids[0]}_{port}", _kind(value), _title(value)
        (text, small, width), (g_text, g_small, g_width) = self.chips[value.id]
        box = Box(chip, kind, title, text, small, size=SMALL)
        self._place(row, box, self.beside - width, self.beside, y, SLOT - 4)
        way = [(self.beside, y), (self.left, y)], False
        self._edge((chip, f"g_{chip}"), row, port, value, way, way)
        if port in row.learns:
            box = Box(f"g_{chip}", kind, f"gradient of {title}", g_text, g_small, size=SMALL, back=True)
            start, _ = self._mirror((self.beside, y))
            self._place(row, box, start, start + g_width, y, SLOT - 4)

    def _draw_lane(self, row: _Row, port: int, value: Value, y: float) -> None:
        """Draw an edge along the lane of `value` to a use; the edge to the last use is the lane, others branch."""
        above = self.made[value.id]
        below, x = self.rows[above.index + 1], self.left - 14 - LANE * self.lanes[value.id]
        out, turn = self.spine - 8 * max(0, len(below.straight) - 1), above.left.bottom + TURN

        def route(back: bool) -> Route:
            end = [(x, y), (self.left, y)]
            if self.last_use.get((value.id, back)) != (row.index, port):
                return end, True
            if leaves := above.outer.get(value.id):
                return [(self.left, leaves), (x, leaves), *end], False
            forks = any(not back or port in below.learns for port in below.straight)
            return [(out, above.left.bottom)] * (not forks) + [(out, turn), (x, turn), *end], forks

        self._edge(above.ids, row, port, value, route(False), route(True))

    def _edge(self, tail: tuple[str, str], row: _Row, port: int, value: Value, there: Route, back: Route) -> None:
        """Draw a forward edge along `there` and, if `port` gets a gradient, a backward edge along mirrored `back`."""
        (points, forks), title = there, _title(value)
        self.picture.wires.append(Wire("forward", tail[0], row.ids[0], points, title, *self._label(value, False)))
        self.picture.marks += [(*points[0], False)] * forks
        if port in row.learns:
            (points, forks), title = back, f"gradient of {title}"
            up, label = [self._mirror(point) for point in reversed(points)], self._label(value, True)
            self.picture.wires.append(Wire("backward", row.ids[1], tail[1], up, title, *label, not forks))
            self.picture.marks += [(*up[-1], True)] * forks

    def _label(self, value: Value, back: bool) -> tuple[str, tuple[float, float, str]]:
        """Return label and position for the first edge of a value; two labels share the space between the columns."""
        if (value.id, back) not in self.unlabelled:
            return "", (0, 0, "middle")
        self.unlabelled.discard((value.id, back))
        row = self.made[value.id]
        at = self.spine + 8 * max(1, len(self.rows[row.index + 1].straight)), row.left.bottom + TURN + 2
        room = int((self.back - self.spine) / SMALL / EM) - 6 if self.backward else 2 * LONGEST
        gradient = clip(f"g_{value.name}", min(room // 2, LONGEST))
        if back:
            return gradient, (*self._mirror(at), "end")
        name = value.name if self.overlay.brief and not value.shape else f"{value.name} {shape_text(value.shape)}"
        return clip(name, min(room - len(gradient), LONGEST)), (*at, "start")

    def _mirror(self, point: Point) -> Point:
        x, y = point
        return (self.right + self.left - x if x <= self.left else self.back + self.spine - x), y


def _caption(view: View, overlay: Overlay) -> str:
    graph = view.whole
    parts, rows = graph.summary(), len(view.graph.ops)
    if rows < len(graph.ops):
        parts[0] += f" in {rows} row{'s' * (rows > 1)}"
        if len(graph.ops) <= LIMIT:
            parts[0] += f", depth={view.all_at} draws all"
    if graph.ops and graph.loss is None and not graph.failure:
        parts[-1] = f"forward only: {parts[-1]} is not one number"
    elif graph.kept_bytes and not overlay.brief:
        parts.insert(-1, f"keeps {bytes_text(graph.kept_bytes)}")
    return plain(" · ".join([*parts, overlay.caption] if overlay.caption else parts))


def _widest(title: str, widths: list[float]) -> float:
    """Return the width of a column with `title`, or 0 if it is empty."""
    return max(wide(title, SMALL), *widths) if widths else 0.0


def _column(boxes: list[Box]) -> float:
    """Return the width that the texts of `boxes` need."""
    texts = [wide(box.text) + wide(f" {box.beside}" if box.beside else "", SMALL) for box in boxes]
    return max([110, *texts, *(wide(box.below, SMALL) for box in boxes)]) + 16


def _kind(value: Value) -> str:
    return "parameter" if value.role == "parameter" else "input"


def _title(value: Value) -> str:
    if value.count > 1:
        return plain(f"{value.name}, {value.size:,} elements")
    return plain(f"{value.role} {value.name} {value.shape} {value.dtype}, {value.size:,} elements")
