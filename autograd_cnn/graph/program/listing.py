"""Prints the two passes of a program side by side."""

from __future__ import annotations

import math
import textwrap
from itertools import zip_longest
from typing import Any

import numpy as np

from autograd_cnn.graph.records import Graph
from autograd_cnn.graph.text import bytes_text, clip, shape_text

COLUMN, WIDTH = 56, 72  # characters of the left and the right column

Line = tuple[str, "float | None"]  # the text, and the root mean square of its contribution


def shown(lines: list[Line]) -> list[Line]:
    """Return the lines that are not assertions."""
    return [line for line in lines if not line[0].startswith("assert ")]


def rms(array: Any) -> float:
    """Return the root mean square, summed in float64."""
    squares = np.square(array, dtype=np.float64)
    return math.sqrt(squares.sum() / max(squares.size, 1))


def listing(graph: Graph, forward: list[str], backward: list[list[Line]], seed: str) -> str:
    """Print both columns; the right one is read upwards, but each wrapped line in it has a bracket and is read down."""
    digits = len(str(len(graph.ops))) + 1
    rows, wrapped = [], False
    for i, (op, line, lines) in enumerate(zip(graph.ops, forward, backward, strict=True), 1):
        shape, kept = shape_text(graph.values[op.output].shape), graph.kept(op)
        detail = f"{op.place.file}:{op.place.line}  {shape}" + (f"  keeps {kept}" if kept else "")
        left, right, rule = _wrapped(f"{line}\n{clip(detail, 2 * COLUMN)}", COLUMN), [], ""
        for text, size in reversed(shown(lines)):
            first, *rest = _wrapped(text, WIDTH)
            right += [f"{first:<{WIDTH}} {'' if size is None else f'{size:.1e}'}", *rest]
            rule += "/" + "|" * (len(rest) - 1) + "\\" if rest else "|"
            wrapped = wrapped or bool(rest)
        for k, (a, bar, b) in enumerate(zip_longest(left, rule, right, fillvalue="")):
            rows.append(f"{'' if k else i:>{digits}}  {a:<{COLUMN}} {bar or '|'} {b}")
    up = "backward: read up" + (", from / to \\ down" if wrapped else "")
    rows.insert(0, f"{'#':>{digits}}  {'forward: read down':<{COLUMN}} | {up:<{WIDTH}} rms")
    total = f"keeps {bytes_text(graph.kept_bytes)} in all" if graph.kept_bytes else ""
    rows.append(f"{'':>{digits}}  {total:<{COLUMN}} | {seed or 'the gradient of the result is given'}    start here")
    return "\n".join(row.rstrip() for row in rows)


def _wrapped(text: str, width: int) -> list[str]:
    rows = text.split("\n")
    return [p for r in rows for p in ([r] if len(r) <= width else textwrap.wrap(r, width, subsequent_indent="    "))]
