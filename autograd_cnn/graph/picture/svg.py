"""The ladder as SVG: one page for light and dark, which loads nothing.

Styles apply to this picture only, by an id made from its content: two pictures in one notebook do not mix. Names from
the user are escaped, and characters that XML cannot hold are spelled out.
"""

from __future__ import annotations

import hashlib
from html import escape

from autograd_cnn.graph.picture.ladder import ladder
from autograd_cnn.graph.picture.layout import SMALL, Box, Picture, Point, Wire
from autograd_cnn.graph.records import Graph

# Okabe and Ito's hues, darkened for a contrast of 5:1 (lines), 9:1 (text). Fill and line, light; fill and line, dark.
COLOURS = {
    "input": ("#CDE7F5", "#0072B2", "#12354A", "#56B4E9"),
    "parameter": ("#FFE9A8", "#8A5F00", "#4A3A00", "#F0B429"),
    "op": ("#F2F2F2", "#333333", "#2A2D33", "#B8BCC4"),
    "rule": ("#FCE3D4", "#B45000", "#4F2408", "#FF8A3D"),
    "loss": ("#F6D7E6", "#A34E7E", "#4A2038", "#E29AC1"),
    "result": ("#F6D7E6", "#A34E7E", "#4A2038", "#E29AC1"),
}
LINES = {"forward": ("#333333", "#B8BCC4"), "backward": ("#B45000", "#FF8A3D"), "kept": ("#8A5F00", "#F0B429")}
FRAME = ("#5F6368", "#9AA0A6")
RAMP = (  # of an overlay, from little to much
    ("#F6F9FC", "#DCE9F6", "#BDD8F0", "#9BC4E9", "#7DB1E4"),
    ("#1B222B", "#1E2E3F", "#213E59", "#254E74", "#295E8E"),
)
PAPER = (("#FFFFFF", "#1B1B1B", "#404040"), ("#16181C", "#F2F2F2", "#D2D6DC"))  # page, text, small text
FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
FONT_DOT = "DejaVu Sans Mono"


def svg(graph: Graph, depth: int | None = None, overlay: str | None = None) -> str:
    """The picture of `graph` as an SVG document."""
    return written(ladder(graph, depth, overlay, ".svg"))


def written(picture: Picture) -> str:
    """A `picture` as an SVG document."""
    width, height, caption = _n(picture.width), _n(picture.height), escape(picture.caption)
    body = [f'<rect class="page" width="{width}" height="{height}"/>']
    body.append(_text(picture.width / 2, 26, picture.caption, "middle", "caption"))
    body += [_text(x, 48, heading, "middle", "small quiet") for x, heading in picture.headings]
    body += map(_box, picture.frames)
    body += map(_wire, picture.wires)
    body += [_mark(*mark) for mark in picture.marks]
    body += map(_box, picture.boxes)
    labelled = [wire for wire in picture.wires if wire.label]
    body += [_text(*w.label_at[:2], w.label, w.label_at[2], f"small label {w.kind}") for w in labelled]
    drawn = "\n".join(body)
    name = "g" + hashlib.sha256(drawn.encode()).hexdigest()[:8]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{name}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{caption}">\n<title>{caption}</title>\n'
        f"<style>\n{_style('#' + name)}\n</style>\n{drawn}\n</svg>\n"
    )


def heat(box: Box) -> int:
    """The step of the ramp, 0 to 4."""
    return min(4, int(5 * (box.bar or 0)))


def light(box: Box) -> tuple[str, str]:
    """Fill and line of a box on white paper."""
    fill, line = COLOURS[box.kind][:2]
    return (fill if box.bar is None else RAMP[0][heat(box)]), line


def shaft(wire: Wire) -> tuple[list[Point], list[Point]]:
    """The line of a wire as far as its arrowhead, and the arrowhead: a triangle, tip first, or nothing."""
    if not wire.arrow:
        return wire.points, []
    (x, y), (x1, y1), size, half = wire.points[-2], wire.points[-1], 7, 3.5
    dx, dy = (x1 > x) - (x1 < x), (y1 > y) - (y1 < y)  # the end of a wire is level or upright
    x, y = x1 - size * dx, y1 - size * dy
    return [*wire.points[:-1], (x, y)], [(x1, y1), (x - half * dy, y + half * dx), (x + half * dy, y - half * dx)]


def _style(scope: str) -> str:
    def colours(dark: bool) -> list[str]:
        page, text, quiet = PAPER[dark]
        rules = [f".page{{fill:{page}}}", f"text{{fill:{text}}}", f".quiet{{fill:{quiet}}}", f".label{{stroke:{page}}}"]
        for kind, four in COLOURS.items():
            rules.append(f".{kind}{{fill:{four[2 * dark]};stroke:{four[2 * dark + 1]}}}")
        for kind, two in LINES.items():
            rules += [f"path.{kind}{{stroke:{two[dark]}}}", f".{kind}-head{{fill:{two[dark]}}}"]
        rules.append(f".frame{{fill:none;stroke:{FRAME[dark]}}}")
        rules += [f".heat{i}{{fill:{fill}}}" for i, fill in enumerate(RAMP[dark])]
        rules += [f".bar{{fill:{COLOURS['input'][2 * dark + 1]}}}", f".fork{{fill:{LINES['forward'][dark]}}}"]
        rules.append(f".sum{{fill:{page};stroke:{LINES['backward'][dark]}}}")
        return [f"{scope} {rule}" for rule in rules]

    shapes = [
        f"{scope}{{font-family:{FONT};font-size:12px;max-width:100%;height:auto}}",
        f"{scope} .small{{font-size:{SMALL}px}}",
        f"{scope} .caption,{scope} .frame-name{{font-weight:600}}",
        f"{scope} .label{{stroke-width:4px;paint-order:stroke;stroke-linejoin:round}}",
        f"{scope} .shape{{stroke-width:1.3}}",
        f"{scope} .frame{{stroke-width:0.8}}",
        f"{scope} .back{{stroke-dasharray:5 3}}",
        f"{scope} .wire{{fill:none;stroke-width:1.3;stroke-linejoin:round}}",
        f"{scope} path.backward{{stroke-dasharray:5 3}}",
        f"{scope} path.kept{{stroke-dasharray:1.5 3.5;stroke-width:1.6;stroke-linecap:round}}",
        f"{scope} .sum{{stroke-width:1.3}}",
    ]
    return "\n".join([*shapes, *colours(False), "@media (prefers-color-scheme:dark){", *colours(True), "}"])


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _text(x: float, y: float, text: str, anchor: str, kind: str, more: str = "") -> str:
    where = f'class="{kind}" x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}"'
    return f"<text {where}>{escape(text, quote=False)}{more}</text>"


def _titled(title: str, *parts: str) -> str:
    return "\n".join(["<g>", f"<title>{escape(title, quote=False)}</title>", *parts, "</g>"])


def _wire(wire: Wire) -> str:
    line, head = shaft(wire)
    arrow = [f'<path class="{wire.kind}-head" d="{_path(head)}z"/>'] if head else []
    return _titled(wire.title, f'<path class="wire {wire.kind}" d="{_path(line)}"/>', *arrow)


def _path(points: list[Point]) -> str:
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)


def _mark(x: float, y: float, summed: bool) -> str:
    if not summed:
        return f'<circle class="fork" cx="{_n(x)}" cy="{_n(y)}" r="2.5"/>'
    cross = f"M{_n(x - 2)} {_n(y)}h4M{_n(x)} {_n(y - 2)}v4"
    circle = f'<circle class="sum" cx="{_n(x)}" cy="{_n(y)}" r="4"/>'
    return f'<g><title>contributions are summed</title>{circle}<path class="sum" d="{cross}"/></g>'


def _box(box: Box) -> str:
    radius = {"parameter": box.height / 2, "op": 6, "rule": 6, "frame": 8}.get(box.kind, 0)
    kind = f"{box.kind}{' back' * box.back}{'' if box.bar is None else f' heat{heat(box)}'}"
    parts = [_rect(box, kind, radius, 0)]
    if box.kind == "frame":
        x, y = box.x - box.width / 2 + 8, box.y - box.height / 2 + 13
        return _titled(box.title, *parts, _text(x, y, box.text, "start", "small label frame-name"))
    if box.kind == "loss":
        parts.append(_rect(box, kind, radius, 3))
    if box.bar and (length := box.bar * (box.width - 12)) >= 1:
        x, y = box.x - box.width / 2 + 6, box.y + box.height / 2 - 2
        parts.append(f'<path class="bar" d="M{_n(x)} {_n(y)}h{_n(length)}v3H{_n(x)}z"/>')
    small = f' <tspan class="small quiet">{escape(box.beside, quote=False)}</tspan>' if box.beside else ""
    y = box.y - (1 if box.bar else 0)  # clear of the bar
    parts.append(_text(box.x, y - 2 if box.below else y + 4, box.text, "middle", "small" * (box.size == SMALL), small))
    if box.below:
        parts.append(_text(box.x, y + 10, box.below, "middle", "small quiet"))
    return _titled(box.title, *parts)


def _rect(box: Box, kind: str, radius: float, inset: float) -> str:
    x, y = box.x - box.width / 2 + inset, box.y - box.height / 2 + inset
    size = f'width="{_n(box.width - 2 * inset)}" height="{_n(box.height - 2 * inset)}"'
    return f'<rect class="shape {kind}" x="{_n(x)}" y="{_n(y)}" {size} rx="{_n(radius)}"/>'
