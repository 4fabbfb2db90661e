"""Draws the ladder as PNG or PDF with matplotlib, if Graphviz is missing.

Uses matplotlib's object interface, which needs no display and does not change the user's figures.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Polygon

from autograd_cnn.studio.picture.layout import TEXT, Box, Picture
from autograd_cnn.studio.picture.styles import FONT, LIGHT, fill, shaft

_DASHES: dict[str, Any] = {"forward": "solid", "backward": (0, (4, 2.5)), "kept": (0, (1, 2))}
_ANCHORS: dict[str, Any] = {"start": "left", "middle": "center", "end": "right"}
_METADATA = {".png": {"Software": None}, ".pdf": {"CreationDate": None}}  # no time, no version


def paint(picture: Picture, suffix: str) -> bytes:
    """Return `picture` as a file, at one point on paper per unit."""
    figure = Figure((picture.width / 72, picture.height / 72), facecolor=LIGHT["page"])
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, picture.width)
    axes.set_ylim(picture.height, 0)

    def write(text: str, x: float, y: float, anchor: str = "middle", colour: str = "text") -> None:
        style: dict[str, Any] = {"ha": _ANCHORS[anchor], "va": "baseline", "family": FONT, "parse_math": False}
        axes.text(x, y, text, size=TEXT, color=LIGHT[colour], **style)

    write(picture.caption, picture.width / 2, picture.top - 4)
    for heading in picture.headings:
        write(*heading, colour="quiet")
    for frame in picture.frames:
        axes.add_patch(_shape(frame, "none", "frame"))
        write(frame.text, picture.names, frame.top + 14, "start")
    for wire in picture.wires:
        (line, head), colour = shaft(wire), LIGHT[wire.kind]
        if head:
            axes.add_patch(Polygon(head, color=colour, linewidth=0))
        axes.plot(*zip(*line, strict=True), color=colour, linewidth=1.3, linestyle=_DASHES[wire.kind])
        for text in wire.texts:
            write(*text)
        if wire.mark:
            x, y = wire.mark
            axes.plot([x], [y], marker="o", markersize=4 if head else 6, color=LIGHT["forward"])
            if not head:
                axes.plot([x], [y], marker="+", markersize=4, color=LIGHT["page"])
    for box in picture.boxes:
        axes.add_patch(_shape(box, LIGHT[fill(box)], f"{box.kind}_line"))
        if box.kind == "loss":
            axes.add_patch(_shape(box, "none", "loss_line", 3))
        write(f"{box.text} {box.beside}".strip(), box.x, box.y - 2 if box.below else box.y + 4)
        if box.below:
            write(box.below, box.x, box.y + 11, colour="quiet")
    file = BytesIO()
    figure.savefig(file, format=suffix[1:], dpi=144, metadata=_METADATA[suffix])
    return file.getvalue()


def _shape(box: Box, inside: str, line: str, inset: float = 0) -> FancyBboxPatch:
    corner, size = (box.left + inset, box.top + inset), (box.width - 2 * inset, box.height - 2 * inset)
    shape = f"round,pad=0,rounding_size={box.radius}" if box.radius else "square,pad=0"
    dashes = _DASHES["backward"] if box.back else "solid"
    style: dict[str, Any] = {"boxstyle": shape, "facecolor": inside, "edgecolor": LIGHT[line], "linestyle": dashes}
    return FancyBboxPatch(corner, *size, linewidth=1, **style)
