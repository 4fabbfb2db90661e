"""Writes the ladder as SVG: one document for light and dark pages, which loads no other file.

Every style rule begins with an id made from a hash of the picture, so that two pictures in one notebook do not share
styles. Names from the user are escaped, and characters that XML does not allow are written as escapes.
"""

from __future__ import annotations

import hashlib
from html import escape
from pathlib import Path
from string import Template

from autograd_cnn.studio.picture.ladder import ladder
from autograd_cnn.studio.picture.layout import Box, Picture, Point, Wire
from autograd_cnn.studio.picture.styles import DARK, LIGHT, fill, shaft
from autograd_cnn.studio.records import Graph


def svg(graph: Graph, depth: int | None = None, overlay: str | None = None) -> str:
    """Return the picture of `graph` as an SVG document."""
    return written(ladder(graph, depth, overlay, ".svg"))


def written(picture: Picture) -> str:
    """Return a `picture` as an SVG document."""
    width, height, caption = _n(picture.width), _n(picture.height), escape(picture.caption)
    body = [f'<rect class="page" width="{width}" height="{height}"/>']
    if picture.top:
        body.append(_text(picture.caption, picture.width / 2, picture.top - 4, "middle", "caption"))
    body += [_text(*heading, f"quiet heading-{heading[0].split()[0]}") for heading in picture.headings]
    body += [_frame(frame, picture.names) for frame in picture.frames]
    body += map(_wire, picture.wires)
    body += map(_box, picture.boxes)
    drawn = "\n".join(body)
    name = "g" + hashlib.sha256(drawn.encode()).hexdigest()[:8]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" id="{name}" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{caption}">\n<title>{caption}</title>\n'
        f"<style>\n{_style('#' + name)}\n</style>\n{drawn}\n</svg>\n"
    )


def _style(scope: str) -> str:
    """Return the style rules of one picture: its shapes, and its colours on light and on dark pages."""
    shapes, colours = Path(__file__).with_name("svg.css").read_text(encoding="utf-8").split("\n\n")
    shapes = Template(shapes).substitute(picture=scope)
    light, dark = (Template(colours).substitute(names, picture=scope) for names in (LIGHT, DARK))
    return f"{shapes}\n{light}@media screen and (prefers-color-scheme:dark){{\n{dark}}}"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def _text(text: str, x: float, y: float, anchor: str, kind: str, more: str = "") -> str:
    where = f'class="{kind}" x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}"'
    return f"<text {where}>{escape(text, quote=False)}{more}</text>"


def _titled(title: str, *parts: str) -> str:
    return "\n".join(["<g>", f"<title>{escape(title, quote=False)}</title>", *parts, "</g>"])


def _wire(wire: Wire) -> str:
    line, head = shaft(wire)
    arrow = [f'<path class="{wire.kind}-head" d="{_path(head)}z"/>'] if head else []
    mark = [_mark(*wire.mark, wire.kind == "backward")] if wire.mark else []
    texts = [_text(*text, f"{wire.kind}-text") for text in wire.texts]
    return _titled(wire.title, f'<path class="wire {wire.kind}" d="{_path(line)}"/>', *arrow, *mark, *texts)


def _path(points: list[Point]) -> str:
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)


def _mark(x: float, y: float, summed: bool) -> str:
    if not summed:
        return f'<circle class="fork" cx="{_n(x)}" cy="{_n(y)}" r="2.5"/>'
    cross = f"M{_n(x - 2)} {_n(y)}h4M{_n(x)} {_n(y - 2)}v4"
    circle = f'<circle class="sum" cx="{_n(x)}" cy="{_n(y)}" r="4"/>'
    return f'<g><title>contributions are summed</title>{circle}<path class="sum" d="{cross}"/></g>'


def _frame(frame: Box, x: float) -> str:
    return _titled(frame.title, _rect(frame, "frame"), _text(frame.text, x, frame.top + 14, "start", "frame-name"))


def _box(box: Box) -> str:
    kind = f"{box.kind}{' back' * box.back}{'' if box.bar is None else f' {fill(box)}'}"
    parts = [_rect(box, kind)]
    if box.kind == "loss":
        parts.append(_rect(box, kind, 3))
    if box.bar and (length := box.bar * (box.width - 12)) >= 1:
        x, y = box.left + 6, box.top + box.height - 2
        parts.append(f'<path class="bar" d="M{_n(x)} {_n(y)}h{_n(length)}v3H{_n(x)}z"/>')
    beside = f' <tspan class="quiet">{escape(box.beside, quote=False)}</tspan>' if box.beside else ""
    y = box.y - (1 if box.bar else 0)  # leaves room for the bar
    parts.append(_text(box.text, box.x, y - 2 if box.below else y + 4, "middle", "name", beside))
    if box.below:
        parts.append(_text(box.below, box.x, y + 11, "middle", "quiet"))
    return _titled(box.title, *parts)


def _rect(box: Box, kind: str, inset: float = 0) -> str:
    place = f'x="{_n(box.left + inset)}" y="{_n(box.top + inset)}"'
    size = f'width="{_n(box.width - 2 * inset)}" height="{_n(box.height - 2 * inset)}"'
    return f'<rect class="shape {kind}" {place} {size} rx="{_n(box.radius)}"/>'
