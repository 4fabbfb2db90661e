"""Cuts the user's functions out of their source: the lines around the operations, and the expression of each."""

from __future__ import annotations

import inspect
import textwrap
from collections import defaultdict
from contextlib import suppress
from typing import Any

from autograd_cnn.studio.player.schema import Source
from autograd_cnn.studio.records import Graph, Place
from autograd_cnn.studio.text import clip, plain

CONTEXT = 6  # lines of source shown before and after those with operations
LONGEST = 40  # lines of a rule
Functions = dict[Any, tuple[int, list[tuple[int, str]]]]  # by code object: the indent, and the lines with their numbers


def functions_of(graph: Graph) -> Functions:
    """Return the user's functions whose source is available, as far as the page shows them."""
    used: dict[Any, list[int]] = defaultdict(list)
    for op in (*graph.ops, *([graph.failure.op] if graph.failure else [])):
        used[op.place.code].append(op.place.line)
    found: Functions = {}
    for code, lines in used.items():
        with suppress(OSError, TypeError, SyntaxError):  # raised if there is no source
            # for the code of a module, `getsourcelines` would return the first statement only
            whole = code.co_name == "<module>"
            source, first = (inspect.findsource(code)[0], 1) if whole else inspect.getsourcelines(code)
            shown = range(min(lines) - CONTEXT, max(lines) + CONTEXT + 1)
            text = [(k, line.rstrip("\n")) for k, line in enumerate(source, first) if k in shown]
            found[code] = min((len(line) - len(line.lstrip()) for _, line in text if line.strip()), default=0), text
    return found


def text_of_source(function: Any) -> str:
    """Return the source of a rule, at most `LONGEST` lines of it, or "" if there is none."""
    with suppress(OSError, TypeError):
        return "\n".join(map(plain, textwrap.dedent(inspect.getsource(function)).splitlines()[:LONGEST]))
    return ""


def source_of(place: Place, functions: Functions, whole: bool = False) -> Source:
    """Return the lines around `place`, in which its expression is marked, or its `whole` function."""
    indent, lines = functions.get(place.code, (0, []))
    if not whole:
        here = next((i for i, (k, _) in enumerate(lines) if k == place.line), 0)
        lines = lines[max(0, min(here - 1, len(lines) - 3)) :][:3]
    shown = []
    for k, text in lines:
        line = text.encode()
        start, end = place.columns or (indent, len(line)) if k == place.line and not whole else (len(line), len(line))
        parts = [line[indent:start], line[start:end], line[end:]]
        before, marked, after = (plain(part.decode(errors="replace"))[:400] for part in parts)
        shown.append((k, before, marked, after))
    return Source(clip(f"{place.file}:{place.code.co_firstlineno if whole else place.line}"), shown)
