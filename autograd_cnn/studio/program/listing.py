"""Prints the two passes of a program side by side: the forward pass is read downwards, the backward pass upwards."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import numpy as np

from autograd_cnn.studio.records import Graph
from autograd_cnn.studio.text import bytes_text, clip, shape_text

LEAST, MOST = 80, 143  # characters of a line

Line = tuple[str, "float | None"]  # the text, and the root mean square of its contribution
Row = tuple[str, list[Line]]  # of an operation: its line with its place, and the lines of its rules as they run


def shown(lines: list[Line]) -> list[Line]:
    """Return the lines that are not requirements."""
    return [line for line in lines if not line[0].startswith("require(")]


def rms(array: Any) -> float:
    """Return the root mean square, summed in float64."""
    squares = np.square(np.abs(array), dtype=np.float64)
    return math.sqrt(squares.sum() / max(squares.size, 1))


def listing(
    graph: Graph, names: Mapping[str, str], forward: list[str], backward: list[list[Line]], seed: str
) -> list[Row]:
    """Return the rows of both passes, in the order of the forward pass; the last one is the start of the backward."""
    rows: list[Row] = []
    for op, line, lines in zip(graph.ops, forward, backward, strict=True):
        shape, kept = shape_text(graph.values[op.output].shape), graph.kept(op, names)
        detail = f"{op.place.file}:{op.place.line}  {shape}" + (f"  keeps {kept}" if kept else "")
        rows.append((f"{line}\n{clip(detail, 2 * LEAST)}", shown(lines)))
    total = f"keeps {bytes_text(graph.kept_bytes)} in all" if graph.kept_bytes else ""
    return [*rows, (total, [(f"{seed or 'the gradient of the result is given'}    start here", None)])]


def side_by_side(rows: list[Row], width: int = MOST) -> str:
    """Print both columns in `width` characters; a wrapped line in the right one has a bracket and is read down."""
    digits = len(str(len(rows) - 1)) + 1
    room = max(LEAST, min(width, MOST)) - digits - 13
    left_room = 7 * room // 16
    printed: list[tuple[str, str, str, str, str]] = []  # number, left, bracket, right, rms
    for i, (forward, backward) in enumerate(rows, 1):
        left, bracket = _wrapped(forward, left_room), ""
        right: list[tuple[str, str]] = []
        for text, size in reversed(backward):
            lines = _wrapped(text, room - left_room)
            right += zip_longest(lines, ["" if size is None else f"{size:.1e}"], fillvalue="")
            bracket += "/" + "|" * (len(lines) - 2) + "\\" if len(lines) > 1 else "|"
        for k, (a, bar, b) in enumerate(zip_longest(left, bracket, right)):
            printed.append(("" if k or i == len(rows) else str(i), a or "", bar or "|", *(b or ("", ""))))
    up = "backward: read up" + (", from / to \\ down" if any(row[2] == "/" for row in printed) else "")
    printed.insert(0, ("#", "forward: read down", "|", up, "rms"))
    wide, broad = (max(len(row[k]) for row in printed) for k in (1, 3))
    return "\n".join(f"{n:>{digits}}  {a:<{wide}} {bar} {b:<{broad}} {c}".rstrip() for n, a, bar, b, c in printed)


def _wrapped(text: str, width: int) -> list[str]:
    """Cut a text into lines; those after the first line, and the rest of one that is too long, are indented."""
    found = []
    for row in filter(None, text.split("\n")):
        found += [row] if len(row) <= width else textwrap.wrap(row, width, subsequent_indent="    ")
    return found
