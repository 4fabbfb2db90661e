"""Lays out the ladder: forward down the left column, backward up the right one, and kept arrays in between.

Each operation is a row, and each activation is an edge, with its name on the outer side of it and its shape between the
columns. Parameters are beside their box. A value whose edges skip rows has a lane on the outside, with a branch to each
use. The backward pass mirrors the forward pass with the arrows reversed, so gradients are summed at the points where a
forward edge forks. Text is monospaced at 0.62 em, so its width follows from the number of characters, and no wire
crosses it. A module or loop that is open in the folded graph has a frame around its rows. Reads records, and returns
boxes and wires in points, with y downwards.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import product

from autograd_cnn.studio.picture.fold import LIMIT, View, called, within
from autograd_cnn.studio.records import Op, Value
from autograd_cnn.studio.text import LONGEST, bytes_text, clip, cut, plain, shape_text

TEXT, EM = 11, 0.62
MARGIN, HEIGHT, GAP, SLOT, LANE, ARM, PAD = 16, 30, 26, 22, 8, 12, 8
ABOVE, BELOW, INSET = 24, 6, 6  # space for a frame above, below and beside its rows
LEAST, MESSAGE, LINE, MODULE = 64, 72, 16, 20  # width of a box; characters of an error, a line of the program, a label
TURN = 13  # distance from a box to the fork below it, which leaves room for both arrowheads
CROWD = 24  # of all lanes in a narrow picture
CHIP = 22  # the player draws small images on both sides of a shape

Point = tuple[float, float]
Route = tuple[list[Point], bool]  # points, from maker to user; whether it forks from another edge of its value
Reading = tuple[str, "float | None"]  # the text, and the length of the bar
Text = tuple[str, float, float, str]  # with its place and its anchor: start, middle or end


@dataclass(slots=True)
class Overlay:
    """Readings by operation, for its forward and its backward box; texts for leaves and for their gradients."""

    caption: str = ""
    forward: dict[str, Reading] = field(default_factory=dict)
    backward: dict[str, Reading] = field(default_factory=dict)
    leaves: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)  # in place of shapes, and of names of known numbers
    lines: dict[str, str] = field(default_factory=dict)  # in place of the names of operations, where they fit
    brief: int = 0  # characters of a name in a narrow picture, which has no caption and no bytes


@dataclass(slots=True)
class Box:
    """A box with its centre at (x, y); `kind` is input, parameter, op, rule, loss, result, failed, error or frame."""

    id: str
    kind: str
    title: str
    text: str
    beside: str = ""  # quiet, on the same line
    below: str = ""  # quiet, on a second line
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
    """An edge; `kind` is forward, backward or kept, and the arrowhead is at the last point.

    An edge that forks from another edge of its value begins there; a backward one ends there, where gradients are
    summed, without an arrowhead.
    """

    kind: str
    tail: str
    head: str
    points: list[Point]
    title: str
    texts: list[Text] = field(default_factory=list)
    forks: bool = False
    value: str = ""  # id of the value whose name it has

    @property
    def arrow(self) -> bool:
        return self.kind == "forward" or (self.kind == "backward" and not self.forks)

    @property
    def mark(self) -> Point | None:
        """Where it forks, or where its gradients are summed."""
        return self.points[-1 if self.kind == "backward" else 0] if self.forks else None


@dataclass(slots=True)
class Picture:
    """All shapes and texts; the names of frames begin at `names`. A picture with `top` begins with its caption."""

    caption: str
    top: float = 0
    width: float = 0
    height: float = 0
    names: float = 0
    headings: list[Text] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
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
    kept: str = ""

    @property
    def ids(self) -> tuple[str, str]:
        """Ids of the left and the right box."""
        return (self.op.id, f"r{self.op.id[1:]}") if self.op else (self.value.id, f"g_{self.value.id}")


def wide(text: str) -> float:
    """Return the width of `text` in points."""
    double = 0 if text.isascii() else sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    return EM * TEXT * (len(text) + double)


def drawn(view: View, overlay: Overlay | None = None) -> Picture:
    """Lay out a `view` of a graph."""
    return _Ladder(view, overlay or Overlay()).picture


class _Ladder:
    def __init__(self, view: View, overlay: Overlay) -> None:
        self.view, self.graph, self.overlay, self.failure = view, view.graph, overlay, view.graph.failure
        self.backward = view.whole.loss is not None
        self.longest = overlay.brief or LONGEST
        self.costs = not overlay.brief and any(v.shape for v in self.graph.values.values())  # numbers take no memory
        self.picture = Picture(_caption(view, overlay, self.costs), 0 if overlay.brief else 26)
        self.picture.frames = [
            Box("", "frame", plain(frame.label), self._module(frame.label), frame=[-1, *frame.around][-1])
            for frame in view.frames
        ]
        self.rows = self._rows()
        self.made = {row.value.id: row for row in reversed(self.rows)}
        uses = [(row, port, value) for row in self.rows for port, value in row.slots.items()]
        self.leaves = [use for use in uses if use[2].id not in self.made]
        self.names = self._names()
        used = Counter(v for op in view.whole.ops for _, v in op.inputs)
        self.chips = {v.id: self._chip(v, used[v.id]) for _, _, v in self.leaves}
        skips = [(v.id, row, port) for row, port, v in uses if v.id in self.made]
        self.last_use = {(v, False): (row.index, port) for v, row, port in skips}
        self.last_use |= {(v, True): (row.index, port) for v, row, port in skips if port in row.learns}
        self.lanes = self._lanes()
        self.labelled = {row.value.id for row in self.rows[:-2] if row.op}
        self.unlabelled = set(product(self.labelled, (False, True)))
        for row in self.rows:
            self._write(row)
        self._columns()
        self._heights()
        for row in self.rows:
            self._draw(row)
        self.picture.wires.sort(key=lambda wire: wire.forks)  # a mark is drawn over the wire that it is on

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
        """Return the shortest name of each leaf that no other leaf in its frames has: relative to its frame, and cut.

        If several frames use a leaf, its name is not relative.
        """
        frames = {value.id: tuple(row.around) for row, _, value in self.leaves}
        found: dict[str, set[str]] = {}
        for row, _, value in self.leaves:
            found.setdefault(value.id, set()).add(within(value.name, self.view.paths(row.around)))
        whole = {v: names.pop() if len(names) == 1 else self.graph.values[v].name for v, names in found.items()}
        names: dict[str, str] = {}
        for longest in (self.longest, LONGEST):
            made = {v: cut(name, longest) for v, name in whole.items() if v not in names}
            used = Counter((frames[v], text) for v, text in made.items())
            names |= {v: text for v, text in made.items() if used[frames[v], text] == 1}
        return names

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

    def _module(self, label: str) -> str:
        """Return the label of a folded row or of a frame, which is cut later than other names."""
        return clip(label, max(MODULE, self.longest))

    def _chip(self, value: Value, used: int) -> list[tuple[str, str, float]]:
        """Return text, quiet text and width of the chips of `value` and of its gradient; each use of it has both."""
        name, small, rounds = self.names.get(value.id, value.name), "", self.view.many.get(value.id, 1)
        gradient = f"g_{name}"
        if value.count > 1:
            name, gradient = value.name, value.name.replace("parameter", "gradient")
        if not self.overlay.brief:
            small = f"{value.size:,}" if value.count > 1 else _extent(value)
            small += f" used {used}×" if used > 1 else ""
        quiet = self.overlay.values.get(value.id, small), self.overlay.leaves.get(value.id, "")
        chips = [(name, quiet[0]), (gradient, quiet[1])]
        if rounds > 1:
            chips = [(text, f"×{rounds:,} {small}".rstrip()) for text, small in chips]
        return [(text, small, wide(f"{text} {small}".strip()) + PAD) for text, small in chips]

    def _write(self, row: _Row) -> None:
        """Make the boxes of a row, without their positions."""
        if row.op:
            self._write_op(row, row.op)
            return
        value, title, (left, right), brief = row.value, _title(row.value), row.ids, self.overlay.brief
        name, gradient = cut(value.name, self.longest), cut(f"g_{value.name}", self.longest)
        if row.straight and self.backward:
            row.left = Box(left, "loss", title, f"{name} {self.graph.loss:.4g}")
            below = "starts here" if brief else "backward starts here"
            row.right = Box(right, "rule", title, f"{gradient} = 1", below=below, back=True)
            return
        if row.straight and self.failure:
            error, message = self.failure.error, self.failure.message
            below = clip(message.partition("\n")[0], min(MESSAGE, 2 * self.longest))
            row.left = Box("error", "error", plain(f"{error}: {message}"), clip(error), below=below)
            return
        kind = "result" if row.straight else _kind(value)
        beside = self.overlay.values.get(value.id, f"{_extent(value)} {'' if brief else value.dtype}".strip())
        row.left = Box(left, kind, title, name, beside)
        if self.backward and any(v == value.id and port in op.rules for op in self.graph.ops for port, v in op.inputs):
            beside = self.overlay.leaves.get(value.id, "") if self.overlay.values else ""
            row.right = Box(right, kind, f"gradient of {title}", gradient, beside, back=True)

    def _write_op(self, row: _Row, op: Op) -> None:
        names, (left, right), longest = {v: self.graph.values[v].name for _, v in op.inputs}, row.ids, self.longest
        options = ", ".join(f"{name}={value}" for name, value in op.options.items())
        place, line = f"{op.place.file}:{op.place.line}", self.overlay.lines.get(op.id, "")
        scope = op.scopes[-1].path if op.scopes and not op.parts else ""
        if op.parts:
            count = f"{len(op.parts):,} operations"
            made, below = f"{count} from", place if count in op.name else count
        else:
            given = [f"{op.ports[port]}={names[v]}" for port, v in op.inputs] + [options] * bool(options)
            made = f"{op.name}({', '.join(given)}),"
            paths = self.view.paths(row.around)
            below = f"{called(op.scopes[-1], paths)} · {place}" if scope and scope not in paths else place
        title = f"{row.value.name} = {made} {place} in {op.place.function}{scope and f', {scope}'}"
        room = min(LINE, longest) if self._beside(row, False) else LINE
        texts = [text for text in (line, line.partition(" = ")[2]) if 0 < len(text) <= room and not op.parts]
        short = self._module(op.name) if op.parts else clip(op.name, max(room, longest))
        name, beside = texts[0] if texts else short, clip(options)
        if self.overlay.brief:  # the code is beside the picture
            more = below if op.parts else options * (not texts)
            beside, below = "", more * (len(more) <= room)
            head, _, path = short.rpartition(" ")
            if op.parts and head and len(short) > longest:
                name, short, below = head, head, cut(path, longest)
        below, bar = self.overlay.forward.get(op.id, (below, None))
        row.left = Box(left, "op", plain(title), name, beside, clip(below), bar=bar)
        if self.failure and op is self.failure.op:
            row.left.kind, row.left.title = "failed", plain(f"fails: {title.partition(' = ')[2]}")
        if not row.learns:
            return
        receivers = [v for port, v in op.inputs if port in op.rules]
        title = f"gradients for {', '.join(names[v] for v in receivers)}"
        if not op.parts:
            asks = dict.fromkeys(a for rule in op.rules.values() for a in rule.needs)
            title += f"; asks for {', '.join(asks) or 'nothing but g'}"
        below = clip(f"for {', '.join(self.names.get(v, names[v]) for v in receivers)}", 31)
        name = short if op.parts or self.overlay.brief else clip(f"rule of {op.name}")
        below, bar = self.overlay.backward.get(op.id, ("" if self.overlay.brief else below, None))
        row.right = Box(right, "rule", plain(title), name, below=clip(below), back=True, bar=bar)
        row.kept = plain(self.graph.kept(op, self.names, costs=self.costs))

    # Columns and heights

    def _columns(self) -> None:
        """Place the columns. Positions in a column are distances from its inner end."""
        title = "parameters" if any(v.role == "parameter" for _, _, v in self.leaves) else "inputs"
        frame, edge, inset = (3, 2, 3) if self.overlay.brief else (8, MARGIN, INSET)
        insets = [inset * len(each.around) for each in self.view.frames]
        frames, around = list(zip(insets, self.picture.frames, strict=True)), max(insets, default=0)
        count = len(set(self.lanes.values()))
        self.lane = min(LANE, CROWD / max(1, count)) if self.overlay.brief else LANE
        lanes = self.lane * count + 2 * bool(count)
        sides = [self._side(False, title), self._side(True, "gradients") if self.backward else (0.0, 0.0)]
        self.sides, self.halves = zip(*sides, strict=True)
        left, right = self.sides
        chip = CHIP * bool(self.overlay.brief)
        shapes = [wide(text) / 2 + self._out(row) + chip for row in self.rows if (text := self._shape(row.value))]
        beside = max(shapes, default=0.0)
        if self.backward:
            kept = [wide(text) + PAD for row in self.rows for text in ("kept", *self._kept(row))]
            middle = max(2 * (beside - min(self.halves)), *kept)
        else:
            middle = max(0.0, 2 * beside - self.halves[False])
        content = 2 * lanes + left + middle + right
        margin = edge + around + frame * bool(frames)
        self.picture.width = max(content, 0 if self.overlay.brief else wide(self.picture.caption)) + 2 * margin
        for inset, box in frames:
            box.x, box.width = self.picture.width / 2, content + 2 * (frame + around - inset)
        self.picture.names = (self.picture.width - content) / 2 + lanes
        self.left_end = self.picture.names + left
        self.right_start = self.left_end + middle
        self.middle = self.left_end + (middle / 2 if self.backward else beside - self.halves[False])
        self.picture.headings = [
            (text, x, self.picture.top + 20, anchor)
            for text, x, anchor, there in (
                (title, self.picture.names, "start", self.chips),
                ("forward", self._at(self.halves[False], False), "middle", True),
                ("kept", self.middle, "middle", any(row.kept for row in self.rows)),
                ("backward", self._at(self.halves[True], True), "middle", True),
                ("gradients", self.right_start + right, "end", any(p in r.learns for r, p, _ in self.leaves)),
            )
            if there and self.backward
        ]

    def _side(self, back: bool, heading: str) -> tuple[float, float]:
        """Return the width of a column, and the place of the wires above and below its boxes.

        A row has a box and the chips beside it; labels are beside the wires.
        """
        rows = [(self._beside(row, back), box) for row in self.rows if (box := row.right if back else row.left)]
        chips = max(beside for beside, _ in rows)
        chips = max(chips, wide(heading)) if chips else 0.0
        boxes = max(beside + _needs(box) for beside, box in rows)
        half = max(LEAST, boxes - chips) / 2
        labels = [
            self._out(row) + wide(self._name(row.value, back)) for row in self.rows if row.value.id in self.labelled
        ]
        labels += [2 * PAD + wide(frame.text) for frame in self.picture.frames] * (not back)
        return max([chips + 2 * half, *(half + label for label in labels)]), half

    def _beside(self, row: _Row, back: bool) -> float:
        """Return the width of the chips beside a box."""
        ports = [port for port, v in row.slots.items() if v.id in self.chips and (port in row.learns or not back)]
        return max((ARM + self.chips[row.slots[port].id][back][2] for port in ports), default=0.0)

    def _at(self, distance: float, back: bool) -> float:
        """Return the x of a place in a column, at a distance from its inner end."""
        return self.right_start + distance if back else self.left_end - distance

    def _out(self, row: _Row) -> float:
        """Return the distance of a label from the middle of the wires below a box."""
        return PAD * max(1, len(self.rows[row.index + 1].straight))

    def _name(self, value: Value, back: bool) -> str:
        """Return the longest label that an edge will have: its name, a number in its place, or both."""
        number = (self.overlay.leaves if back else self.overlay.values).get(value.id, "")
        name = cut(f"g_{value.name}" if back else value.name, self.longest)
        return f"{name} {number}".rstrip() if back or not self.overlay.brief else max(name, number, key=len)

    def _shape(self, value: Value) -> str:
        return clip(_extent(value), self.longest + 3) if value.id in self.labelled else ""

    def _kept(self, row: _Row) -> list[str]:
        """Return the labels above and below a rung."""
        first, *more = row.kept.split(", ")
        below = [f"and {len(more):,} more"] if more[1:] else [clip(text, self.longest) for text in more]
        return [clip(first, self.longest), *below]

    def _heights(self) -> None:
        """Place the rows from top to bottom, and the frames around them."""
        bottom, gap = self.picture.top + (32.0 if self.backward else 12.0) - GAP, GAP
        tops: dict[int, float] = {}  # of frames
        for row, below in zip(self.rows, [*self.rows[1:], self.rows[-1]], strict=True):
            for i in row.around:
                if i not in tops:
                    tops[i] = bottom + gap
                    bottom += ABOVE
            row.left.height = max(HEIGHT, SLOT * (len(row.slots) - 1) + 8)
            row.left.y = bottom + gap + row.left.height / 2
            bottom = row.left.bottom
            gap = GAP + (16 if self._turns(row) else 0)
            for i in reversed(row.around):
                if i not in below.around:
                    frame, end = self.picture.frames[i], bottom + gap - 2
                    frame.y, frame.height = (tops[i] + end) / 2, end - tops[i]
                    bottom += BELOW
        self.picture.height = bottom + (6 if self.overlay.brief else MARGIN)

    def _turns(self, row: _Row) -> bool:
        """Return whether an edge turns to its lane below a box, above the label."""
        return row.value.id in self.lanes and row.value.id in self.labelled

    # Drawing

    def _draw(self, row: _Row) -> None:
        y, height = row.left.y, row.left.height
        for back, box in ((False, row.left), (True, row.right)):
            if box:
                self._place(row, box, 0, max(2 * self.halves[back], _needs(box)), y, height)
        if row.right:
            ends = [(self.left_end, y), (self.right_start, y)]
            if row.left.kind == "loss":
                self.picture.wires.append(Wire("backward", *row.ids, ends, "the way back begins"))
            elif row.kept:
                texts = [
                    (text, self.middle, y + dy, "middle") for text, dy in zip(self._kept(row), (-5, 12), strict=False)
                ]
                title = plain(f"kept: {self.graph.kept(row.op, costs=self.costs)}") if row.op else ""
                self.picture.wires.append(Wire("kept", *row.ids, ends, title, texts))
        for i, port in enumerate(row.straight):
            above, x = self.rows[row.index - 1], 16 * (i - (len(row.straight) - 1) / 2)
            routes = [([(half - x, above.left.bottom), (half - x, row.left.top)], False) for half in self.halves]
            self._edge(above.ids, row, port, above.value, routes)
        for i, (port, value) in enumerate(row.slots.items()):
            draw = self._draw_lane if value.id in self.made else self._draw_chip
            draw(row, port, value, y + SLOT * (i - (len(row.slots) - 1) / 2))

    def _place(self, row: _Row, box: Box, start: float, width: float, y: float, height: float) -> None:
        box.x, box.y, box.width, box.height = self._at(start + width / 2, box.back), y, width, height
        box.frame = row.around[-1] if row.around else -1
        self.picture.boxes.append(box)

    def _draw_chip(self, row: _Row, port: int, value: Value, y: float) -> None:
        chip, kind, title = f"{value.id}_{row.ids[0]}_{port}", _kind(value), _title(value)
        widths = row.left.width, row.right.width if row.right else 0.0
        for back, (text, small, width) in enumerate(self.chips[value.id][: 1 + (port in row.learns)]):
            box = Box(f"{'g_' * back}{chip}", kind, "gradient of " * back + title, text, small, back=bool(back))
            self._place(row, box, widths[back] + ARM, width, y, SLOT - 4)
        routes = [([(width + ARM, y), (width, y)], False) for width in widths]
        self._edge((chip, f"g_{chip}"), row, port, value, routes)

    def _draw_lane(self, row: _Row, port: int, value: Value, y: float) -> None:
        """Draw an edge along the lane of `value` to a use; the edge to the last use is the lane, others branch."""
        above = self.made[value.id]
        below, turn = self.rows[above.index + 1], above.left.bottom + TURN

        def route(back: bool) -> Route:
            box = row.right if back else row.left
            assert box  # a rule runs in the row
            lane = self.sides[back] + 5 + self.lane * self.lanes[value.id]
            end = [(lane, y), (box.width, y)]
            if self.last_use.get((value.id, back)) != (row.index, port):
                return end, True
            out = self.halves[back] + 8 * max(0, len(below.straight) - 1)
            forks = any(not back or port in below.learns for port in below.straight)
            return [(out, above.left.bottom)] * (not forks) + [(out, turn), (lane, turn), *end], forks

        self._edge(above.ids, row, port, value, [route(back) for back in (False, True)[: 1 + (port in row.learns)]])

    def _edge(self, tail: tuple[str, str], row: _Row, port: int, value: Value, routes: list[Route]) -> None:
        """Draw an edge along the first route forward and, if `port` gets a gradient, one along the second backward."""
        for back, (places, forks) in zip((False, True)[: 1 + (port in row.learns)], routes, strict=False):
            texts, title = self._label(value, back), _title(value)
            points = [(self._at(distance, back), y) for distance, y in places]
            if not back:
                wire = Wire("forward", tail[0], row.ids[0], points, title, texts, forks, value.id * bool(texts))
            else:
                title, points = f"gradient of {title}", points[::-1]
                wire = Wire("backward", row.ids[1], tail[1], points, title, texts, forks, value.id * bool(texts))
                if forks and self.overlay.brief and len(points) > 2:
                    x = self._at(self.halves[True] - self._out(self.made[value.id]), True)
                    wire.texts.append(("shares add", x, points[-1][1] + 2, "end"))
            self.picture.wires.append(wire)

    def _label(self, value: Value, back: bool) -> list[Text]:
        """Return the texts of the first edge of a value: its name, and forward also its shape."""
        if (value.id, back) not in self.unlabelled:
            return []
        self.unlabelled.discard((value.id, back))
        row = self.made[value.id]
        y, out = row.left.bottom + TURN + (18 if self._turns(row) else 3), self._out(row)
        name = cut(f"g_{value.name}" if back else value.name, self.longest)
        name = name if self.overlay.brief else self._name(value, back)
        texts = [(name, self._at(self.halves[back] + out, back), y, "start" if back else "end")]
        if not back and (shape := self._shape(value)):
            texts.append((shape, self.middle, y, "middle"))
        return texts


def _caption(view: View, overlay: Overlay, costs: bool) -> str:
    graph = view.whole
    parts, rows = graph.summary(), len(view.graph.ops)
    if rows < len(graph.ops):
        parts[0] += f" in {rows} row{'s' * (rows > 1)}"
        if len(graph.ops) <= LIMIT:
            parts[0] += f", depth={view.all_at} draws all"
    if graph.ops and graph.loss is None and not graph.failure:
        parts[-1] = f"forward only: {parts[-1]} is not one number"
    elif graph.kept_bytes and costs:
        parts.insert(-1, f"keeps {bytes_text(graph.kept_bytes)}")
    return plain(" · ".join([*parts, overlay.caption] if overlay.caption else parts))


def _needs(box: Box) -> float:
    """Return the width of a box that holds its texts."""
    return max(wide(f"{box.text} {box.beside}".strip()), wide(box.below)) + PAD


def _extent(value: Value) -> str:
    """Return the shape of an array, and nothing of a number."""
    return shape_text(value.shape) if value.shape else ""


def _kind(value: Value) -> str:
    return "parameter" if value.role == "parameter" else "input"


def _title(value: Value) -> str:
    if value.count > 1:
        return plain(f"{value.name}, {value.size:,} elements")
    return plain(f"{value.role} {value.name} {value.shape} {value.dtype}, {value.size:,} elements")
