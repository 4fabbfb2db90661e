"""Defines the colours and arrowheads that all formats of a picture share.

The hues are from the palette of Okabe and Ito, darkened to a contrast of 5:1 for lines and 9:1 for text.
"""

from __future__ import annotations

from autograd_cnn.studio.picture.layout import Box, Point, Wire

COLOURS = {  # on a light page, on a dark page
    "page": ("#FFFFFF", "#16181C"),
    "text": ("#1B1B1B", "#F2F2F2"),
    "quiet": ("#404040", "#D2D6DC"),  # small text
    "input": ("#CDE7F5", "#12354A"),
    "input_line": ("#0072B2", "#56B4E9"),
    "parameter": ("#FFE9A8", "#4A3A00"),
    "parameter_line": ("#8A5F00", "#F0B429"),
    "op": ("#F2F2F2", "#2A2D33"),
    "op_line": ("#333333", "#B8BCC4"),
    "rule": ("#FCE3D4", "#4F2408"),
    "rule_line": ("#B45000", "#FF8A3D"),
    "loss": ("#F6D7E6", "#4A2038"),
    "loss_line": ("#A34E7E", "#E29AC1"),
    "result": ("#F6D7E6", "#4A2038"),
    "result_line": ("#A34E7E", "#E29AC1"),
    "failed": ("#FBD9D3", "#5A1A10"),
    "failed_line": ("#B3261E", "#FF8A7A"),
    "error": ("#FBD9D3", "#5A1A10"),
    "error_line": ("#B3261E", "#FF8A7A"),
    "forward": ("#333333", "#B8BCC4"),
    "backward": ("#B45000", "#FF8A3D"),
    "kept": ("#8A5F00", "#F0B429"),
    "frame": ("#5F6368", "#9AA0A6"),
    "heat0": ("#F6F9FC", "#1B222B"),  # the ramp of an overlay, from small to large
    "heat1": ("#DCE9F6", "#1E2E3F"),
    "heat2": ("#BDD8F0", "#213E59"),
    "heat3": ("#9BC4E9", "#254E74"),
    "heat4": ("#7DB1E4", "#295E8E"),
}
LIGHT = {name: light for name, (light, _) in COLOURS.items()}
DARK = {name: dark for name, (_, dark) in COLOURS.items()}
FONT = "DejaVu Sans Mono"


def fill(box: Box) -> str:
    """Return the name of the colour inside `box`: its kind, or a step of the ramp of an overlay."""
    return box.kind if box.bar is None else f"heat{min(4, int(5 * box.bar))}"


def shaft(wire: Wire) -> tuple[list[Point], list[Point]]:
    """Return the line of a wire up to its arrowhead, and its arrowhead: a triangle, tip first, or no points."""
    if not wire.arrow:
        return wire.points, []
    (x, y), (x1, y1), size, half = wire.points[-2], wire.points[-1], 7, 3.5
    dx, dy = (x1 > x) - (x1 < x), (y1 > y) - (y1 < y)  # the last segment of a wire is horizontal or vertical
    x, y = x1 - size * dx, y1 - size * dy
    return [*wire.points[:-1], (x, y)], [(x1, y1), (x - half * dy, y + half * dx), (x + half * dy, y - half * dx)]
