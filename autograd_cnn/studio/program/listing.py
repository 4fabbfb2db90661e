"""Prints the two passes of a program: side by side, one above the other where that is too wide, and as HTML."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from html import escape
from itertools import zip_longest
from typing import Any

import numpy as np

from autograd_cnn.studio.records import Graph
from autograd_cnn.studio.text import bytes_text, clip, plain, shape_text

COLUMN, WIDTH = 56, 72  # most characters of the left and the right column
FULL = 140  # characters of both, with their margins
NARROWEST = 40

Line = tuple[str, "float | None"]  # the text, and the root mean square of its contribution


@dataclass(slots=True)
class Row:
    """An operation: its line, its place with the shape and what is kept, and the lines of its rules as they run."""

    forward: str
    detail: str
    backward: list[Line]


@dataclass(slots=True)
class Listing:
    """The rows in the order of the forward pass, the first line of the backward pass, and the bytes kept in all."""

    rows: list[Row]
    seed: str
    total: str


def shown(lines: list[Line]) -> list[Line]:
    """Return the lines that are not requirements."""
    return [line for line in lines if not line[0].startswith("require(")]


def rms(array: Any) -> float:
    """Return the root mean square, summed in float64."""
    squares = np.square(np.abs(array), dtype=np.float64)
    return math.sqrt(squares.sum() / max(squares.size, 1))


def listing(graph: Graph, forward: list[str], backward: list[list[Line]], seed: str) -> Listing:
    """Return the lines of both passes, with the facts of `graph` beside them."""
    rows = []
    for op, line, lines in zip(graph.ops, forward, backward, strict=True):
        shape, kept = shape_text(graph.values[op.output].shape), graph.kept(op)
        detail = f"{op.place.file}:{op.place.line}  {shape}" + (f"  keeps {kept}" if kept else "")
        rows.append(Row(line, clip(detail, 2 * COLUMN), shown(lines)))
    total = f"keeps {bytes_text(graph.kept_bytes)} in all" if graph.kept_bytes else ""
    return Listing(rows, seed or "the gradient of the result is given", total)


def text_of(listing: Listing, width: int) -> str:
    """Print both columns if `width` characters have room for them, else one pass above the other."""
    return side_by_side(listing) if width >= FULL else one_column(listing, max(width, NARROWEST))


def side_by_side(listing: Listing) -> str:
    """Print both columns; the right one is read upwards, but each wrapped line in it has a bracket and is read down."""
    digits, wrapped = len(str(len(listing.rows))) + 1, False
    rows: list[tuple[str, str, str, str, str]] = []  # number, left, bracket, right, rms
    for i, row in enumerate(listing.rows, 1):
        left, rule = _wrapped(f"{row.forward}\n{row.detail}", COLUMN), ""
        right: list[tuple[str, str]] = []
        for text, size in reversed(row.backward):
            lines = _wrapped(text, WIDTH)
            right += zip_longest(lines, [_number(size)], fillvalue="")
            rule += "/" + "|" * (len(lines) - 2) + "\\" if len(lines) > 1 else "|"
            wrapped = wrapped or len(lines) > 1
        for k, (a, bar, b) in enumerate(zip_longest(left, rule, right)):
            rows.append(("" if k else str(i), a or "", bar or "|", *(b or ("", ""))))
    up = "backward: read up" + (", from / to \\ down" if wrapped else "")
    rows.insert(0, ("#", "forward: read down", "|", up, "rms"))
    rows.append(("", listing.total, "|", f"{listing.seed}    start here", ""))
    wide, broad = (max(len(row[k]) for row in rows) for k in (1, 3))
    return "\n".join(f"{n:>{digits}}  {a:<{wide}} {bar} {b:<{broad}} {c}".rstrip() for n, a, bar, b, c in rows)


def one_column(listing: Listing, width: int) -> str:
    """Print the forward pass, and below it the backward pass, both in the order in which they run."""
    digits = len(str(len(listing.rows))) + 1
    margin = " " * (digits + 2)
    room = width - len(margin)

    def lines(number: object, text: str) -> list[str]:
        first, *rest = _wrapped(text, room)
        return [f"{number:>{digits}}  {first}", *(f"{margin}{line}" for line in rest)]

    printed = [f"{'#':>{digits}}  forward"]
    for i, row in enumerate(listing.rows, 1):
        printed += lines(i, row.forward)
        printed += [f"{margin}    {line}" for line in _wrapped(row.detail, room - 4)]
    printed += [f"{margin}{listing.total}", "", f"{'#':>{digits}}  backward", *lines("", listing.seed)]
    for i, row in reversed(list(enumerate(listing.rows, 1))):
        for k, (text, size) in enumerate(row.backward):
            printed += lines("" if k else i, text)
            printed += [f"{margin}    rms {_number(size)}"] if size is not None else []
    return "\n".join(line.rstrip() for line in printed)


def html_of(listing: Listing) -> str:
    """Return both columns as HTML for a notebook; colours are inherited, so the page may be light or dark."""
    cell = "text-align:left;vertical-align:top;white-space:pre-wrap;background:none;padding:.2em .6em"
    edges = ("opacity:.7", "min-width:20em", "border-left:1px solid gray;min-width:20em")

    def row(tag: str, *texts: str) -> str:
        cells = [f'<{tag} style="{cell};{edge}">{text}</{tag}>' for text, edge in zip(texts, edges, strict=True)]
        return f"<tr>{''.join(cells)}</tr>"

    def beside(text: str, number: str) -> str:  # a text that wraps has its number in its first line
        small = f'<span style="opacity:.7">{number}</span>'
        return f'<div style="display:flex;justify-content:space-between;gap:1em"><span>{text}</span>{small}</div>'

    rows = [row("th", "#", "forward: read down", beside("backward: read up", "rms"))]
    for i, line in enumerate(listing.rows, 1):
        small = f'<div style="font-size:85%;opacity:.7">{_safe(line.detail)}</div>'
        steps = [beside(_safe(text), _number(size)) for text, size in reversed(line.backward)]
        rows.append(row("td", str(i), _safe(line.forward) + small, "".join(steps)))
    rows.append(row("td", "", listing.total, beside(_safe(listing.seed), "start here")))
    outside = "max-height:50em;overflow:auto;font-family:monospace;font-size:90%"
    table = f'<table style="border-collapse:collapse;margin:0">{"".join(rows)}</table>'
    return f'<div style="{outside}">{table}</div>'


def _safe(text: str) -> str:
    return escape("\n".join(map(plain, text.split("\n"))))


def _number(size: float | None) -> str:
    return "" if size is None else f"{size:.1e}"


def _wrapped(text: str, width: int) -> list[str]:
    rows = text.split("\n")
    return [p for r in rows for p in ([r] if len(r) <= width else textwrap.wrap(r, width, subsequent_indent="    "))]
