"""The ladder as SVG: one page of text, for light and dark, that needs nothing and asks nothing of the network.

Styles are confined to the picture by an id made from its content, so that two pictures in one notebook do not mix.
Text is text: everything of the user's is escaped, and what XML cannot hold is spelled out.
"""

from __future__ import annotations

import hashlib
from html import escape

from autograd_cnn.graph.picture.ladder import ladder
from autograd_cnn.graph.picture.layout import SMALL, Box, Picture, Point, Wire
from autograd_cnn.graph.records import Graph

# Okabe and Ito's hues, darkened so that lines have 5:1 and text 9:1. Fill and line, light; fill and line, dark.
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
    body = [f'<rect class="page" width="{_n(picture.width)}" height="{_n(picture.height)}"/>']
    body.append(_text(picture.width / 2, 26, picture.caption, "middle", "caption"))
    body += [_text(x, 48, heading, "middle", "small quiet") for x, heading in picture.headings]
    for frame in picture.frames:
        body += _box(frame)
    for wire in picture.wires:
        body += _wire(wire)
    for x, y, summed in picture.marks:
        body.append(_sum(x, y) if summed else f'<circle class="fork" cx="{_n(x)}" cy="{_n(y)}" r="2.5"/>')
    for box in picture.boxes:
        body += _box(box)
    body += [
        _text(*wire.label_at[:2], wire.label, wire.label_at[2], f"small label {wire.kind}")
        for wire in picture.wires
        if wire.label
    ]
    drawn = "\n".join(body)
    name = "g" + hashlib.sha256(drawn.encode()).hexdigest()[:8]
    size = f"{_n(picture.width)} {_n(picture.height)}"
    width, height = size.split()
    caption = escape(picture.caption)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{name}" width="{width}" height="{height}" '
        f'viewBox="0 0 {size}" role="img" aria-label="{caption}">\n<title>{caption}</title>\n'
        f"<style>\n{_style('#' + name)}\n</style>\n{drawn}\n</svg>\n"
    )


def heat(box: Box) -> int:
    """The step of the ramp, 0 to 4."""
    return min(4, int(5 * (box.bar or 0)))


def _style(scope: str) -> str:
    def colours(dark: bool) -> list[str]:
        page, text, quiet = PAPER[dark]
        rules = [f".page{{fill:{page}}}", f"text{{fill:{text}}}", f".quiet{{fill:{quiet}}}", f".label{{stroke:{page}}}"]
        for kind, four in COLOURS.items():
            fill, line = four[2:] if dark else four[:2]
            rules.append(f".{kind}{{fill:{fill};stroke:{line}}}")
        for kind, two in LINES.items():
            line = two[dark]
            rules += [f"path.{kind}{{stroke:{line}}}", f".{kind}-head{{fill:{line}}}"]
        rules.append(f".frame{{fill:none;stroke:{FRAME[dark]}}}")
        rules += [f".heat{i}{{fill:{fill}}}" for i, fill in enumerate(RAMP[dark])]
        rules.append(f".bar{{fill:{COLOURS['input'][2 * dark + 1]}}}")
        line = LINES["backward"][dark]
        rules += [f".fork{{fill:{LINES['forward'][dark]}}}", f".sum{{fill:{page};stroke:{line}}}"]
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
    dark = "\n".join(colours(True))
    return "\n".join([*shapes, *colours(False), f"@media (prefers-color-scheme:dark){{\n{dark}\n}}"])


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _text(x: float, y: float, text: str, anchor: str, kind: str, more: str = "") -> str:
    where = f'class="{kind}" x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}"'
    return f"<text {where}>{escape(text, quote=False)}{more}</text>"


def _wire(wire: Wire) -> list[str]:
    points = list(wire.points)
    head = []
    if wire.arrow:
        points[-1], triangle = arrow(*points[-2:])
        head = [f'<path class="{wire.kind}-head" d="{_path(triangle)}z"/>']
    line = f'<path class="wire {wire.kind}" d="{_path(points)}"/>'
    return ["<g>", f"<title>{escape(wire.title, quote=False)}</title>", line, *head, "</g>"]


def _path(points: list[Point]) -> str:
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)


def arrow(before: Point, tip: Point) -> tuple[Point, list[Point]]:
    """Where the line of a level or upright wire ends, and the triangle that ends it."""
    (x, y), size, half = tip, 7, 3.5
    dx, dy = (x > before[0]) - (x < before[0]), (y > before[1]) - (y < before[1])
    base = x - size * dx, y - size * dy
    return base, [tip, (base[0] - half * dy, base[1] + half * dx), (base[0] + half * dy, base[1] - half * dx)]


def _sum(x: float, y: float) -> str:
    cross = f"M{_n(x - 2)} {_n(y)}h4M{_n(x)} {_n(y - 2)}v4"
    circle = f'<circle class="sum" cx="{_n(x)}" cy="{_n(y)}" r="4"/>'
    return f'<g><title>contributions are summed</title>{circle}<path class="sum" d="{cross}"/></g>'


def _box(box: Box) -> list[str]:
    radius = {"parameter": box.height / 2, "op": 6, "rule": 6, "frame": 8}.get(box.kind, 0)
    kind = f"{box.kind}{' back' if box.back else ''}{'' if box.bar is None else f' heat{heat(box)}'}"
    drawn = ["<g>", f"<title>{escape(box.title, quote=False)}</title>", _rect(box, kind, radius, 0)]
    if box.kind == "frame":
        x, y = box.x - box.width / 2 + 8, box.y - box.height / 2 + 13
        return [*drawn, _text(x, y, box.text, "start", "small label frame-name"), "</g>"]
    if box.kind == "loss":
        drawn.append(_rect(box, kind, radius, 3))
    if box.bar and box.bar * (box.width - 12) >= 1:
        x, y = box.x - box.width / 2 + 6, box.y + box.height / 2 - 2
        drawn.append(f'<path class="bar" d="M{_n(x)} {_n(y)}h{_n(box.bar * (box.width - 12))}v3H{_n(x)}z"/>')
    small = f' <tspan class="small quiet">{escape(box.beside, quote=False)}</tspan>' if box.beside else ""
    style = "small" if box.size == SMALL else ""
    y = box.y + 4 - (6 if box.below else 0) - (1 if box.bar else 0)
    drawn.append(_text(box.x, y, box.text, "middle", style, small))
    if box.below:
        drawn.append(_text(box.x, box.y + 10 - (1 if box.bar else 0), box.below, "middle", "small quiet"))
    return [*drawn, "</g>"]


def _rect(box: Box, kind: str, radius: float, inset: float) -> str:
    x, y = box.x - box.width / 2 + inset, box.y - box.height / 2 + inset
    size = f'width="{_n(box.width - 2 * inset)}" height="{_n(box.height - 2 * inset)}"'
    return f'<rect class="shape {kind}" x="{_n(x)}" y="{_n(y)}" {size} rx="{_n(radius)}"/>'
