"""Cuts the user's functions out of their source: the lines around the operations, and the expression of each."""

from __future__ import annotations

import inspect
from collections import defaultdict
from contextlib import suppress
from typing import Any

from autograd_cnn.studio.player.schema import Excerpt, Source
from autograd_cnn.studio.records import Graph, Place
from autograd_cnn.studio.text import clip, plain

CONTEXT = 6  # lines of source shown before and after those with operations


class Function:
    """A function of the user: its source, and the part of it that the page shows."""

    def __init__(self, name: str, code: Any, lines: list[int]) -> None:
        # for the code of a module, `getsourcelines` would return the first statement only
        whole = code.co_name == "<module>"
        self.name = name
        self.source, self.first = (inspect.findsource(code)[0], 1) if whole else inspect.getsourcelines(code)
        start = max(self.first, min(lines) - CONTEXT)
        text = [line.rstrip("\n") for line in self.source[start - self.first : max(lines) - self.first + CONTEXT + 1]]
        self.margin = min((len(line) - len(line.lstrip()) for line in text if line.strip()), default=0)
        self.text = Excerpt(start, [plain(line[self.margin :])[:400] for line in text])

    def marked(self, place: Place) -> list[str]:
        """Split a line into the text before, in and after the expression; return [] if that is unknown or too long."""
        if not place.columns or not 0 <= place.line - self.first < len(self.source):
            return []
        line, (start, end) = self.source[place.line - self.first].encode(), place.columns
        parts = line[:start], line[start:end], line[end:].rstrip(b"\n")
        before, expression, after = (plain(part.decode(errors="replace")) for part in parts)
        short = len(before + expression + after) <= 400
        return [before[self.margin :], expression, after] if short else []


def functions_of(graph: Graph) -> dict[Any, Function]:
    """Return the user's functions whose source is available, by code object."""
    used: dict[Any, list[int]] = defaultdict(list)
    for op in (*graph.ops, *([graph.failure.op] if graph.failure else [])):
        used[op.place.code].append(op.place.line)
    found: dict[Any, Function] = {}
    for code, lines in used.items():
        with suppress(OSError, TypeError, SyntaxError):  # raised if there is no source
            found[code] = Function(f"{len(found)}", code, lines)
    return found


def source_of(place: Place, function: Function | None) -> Source:
    marked = function.marked(place) if function else []
    return Source(clip(f"{place.file}:{place.line}"), function.name if function else "", place.line, marked or None)
