"""The ladder as PNG or PDF, drawn by matplotlib if Graphviz is missing.

Drawn with matplotlib's object interface, which needs no display and leaves the user's figures alone.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Polygon

from autograd_cnn.graph.picture.layout import SMALL, TEXT, Box, Picture
from autograd_cnn.graph.picture.svg import FONT_DOT, FRAME, LINES, PAPER, light, shaft

_DASHES: dict[str, Any] = {"forward": "solid", "backward": (0, (4, 2.5)), "kept": (0, (1, 2))}
_ANCHORS: dict[str, Any] = {"start": "left", "middle": "center", "end": "right"}
_CLOCK = {".png": {"Software": None}, ".pdf": {"CreationDate": None}}  # no clock, no version


def paint(picture: Picture, suffix: str) -> bytes:
    """`picture` as a file, one point on paper a unit."""
    page, text, quiet = PAPER[0]
    figure = Figure((picture.width / 72, picture.height / 72), facecolor=page)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, picture.width)
    axes.set_ylim(picture.height, 0)

    def write(x: float, y: float, words: str, size: float = SMALL, anchor: str = "middle", colour: str = text) -> None:
        style: dict[str, Any] = {"ha": _ANCHORS[anchor], "va": "baseline", "family": FONT_DOT, "parse_math": False}
        axes.text(x, y, words, size=size, color=colour, **style)

    write(picture.width / 2, 26, picture.caption, TEXT)
    for x, heading in picture.headings:
        write(x, 48, heading, colour=quiet)
    for frame in picture.frames:
        axes.add_patch(_shape(frame, "none", FRAME[0], 8))
        write(frame.x - frame.width / 2 + 8, frame.y - frame.height / 2 + 13, frame.text, anchor="start")
    for wire in picture.wires:
        (line, head), colour = shaft(wire), LINES[wire.kind][0]
        if head:
            axes.add_patch(Polygon(head, color=colour, linewidth=0))
        axes.plot(*zip(*line, strict=True), color=colour, linewidth=1.3, linestyle=_DASHES[wire.kind])
        if wire.label:
            write(*wire.label_at[:2], wire.label, anchor=wire.label_at[2])
    for x, y, summed in picture.marks:
        axes.plot([x], [y], marker="o", markersize=6 if summed else 4, color=LINES["forward"][0])
        if summed:
            axes.plot([x], [y], marker="+", markersize=4, color=page)
    for box in picture.boxes:
        fill, colour = light(box)
        axes.add_patch(_shape(box, fill, colour, 6 if box.back else 3))
        if box.kind == "loss":
            axes.add_patch(_shape(box, "none", colour, 0, 3))
        write(box.x, box.y - 2 if box.below else box.y + 4, f"{box.text} {box.beside}".strip(), SMALL)
        if box.below:
            write(box.x, box.y + 10, box.below, colour=quiet)
    file = BytesIO()
    figure.savefig(file, format=suffix[1:], dpi=144, metadata=_CLOCK[suffix])
    return file.getvalue()


def _shape(box: Box, fill: str, line: str, radius: float, inset: float = 0) -> FancyBboxPatch:
    corner = (box.x - box.width / 2 + inset, box.y - box.height / 2 + inset)
    radius = {"parameter": box.height / 2, "input": 0, "loss": 0, "result": 0}.get(box.kind, radius)
    style: dict[str, Any] = {"boxstyle": f"round,pad=0,rounding_size={radius}" if radius else "square,pad=0"}
    dashes = _DASHES["backward"] if box.back else "solid"
    size = box.width - 2 * inset, box.height - 2 * inset
    return FancyBboxPatch(corner, *size, **style, facecolor=fill, edgecolor=line, linewidth=1, linestyle=dashes)
