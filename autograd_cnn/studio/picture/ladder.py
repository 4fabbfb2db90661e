"""Makes the picture of a graph: folds it, computes its overlay, and lays it out as a ladder."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_cnn.studio.picture.fold import LIMIT, Folding, View
from autograd_cnn.studio.picture.layout import Overlay, Picture, drawn
from autograd_cnn.studio.picture.overlays import overlay_of
from autograd_cnn.studio.program.program import as_recorded
from autograd_cnn.studio.program.write import Author
from autograd_cnn.studio.records import Graph


def ladder(graph: Graph, depth: int | None = None, overlay: str | None = None, limited: str = "") -> Picture:
    """Lay out `graph`; see `Graph.save` for `depth` and `overlay`. `limited` is the suffix if the format has a limit.

    Raises
    ------
    ValueError
        If the graph has too many rows for the format, or if `depth` or `overlay` is invalid.
    """
    view = Folding(graph).view(depth)
    if limited and (rows := len(view.graph.ops)) > LIMIT:
        raise ValueError(
            f"graph: {rows:,} rows are too many for {limited} (at most {LIMIT:,}). Without depth={depth}, repeated "
            "rounds are drawn once; .dot has no limit"
        )
    return drawn(view, overlay_of(graph, view.graph.ops, overlay) if overlay else _numbers(view))


def _numbers(view: View) -> Overlay:
    """Return the leaves that are one number; if all of an unfolded graph is, also its other values and gradients."""
    graph, found = view.whole, Overlay()
    if graph.arrays is None:
        return found
    numbers = {v: a for v, a in graph.arrays.items() if not graph.values[v].shape and v not in view.many}
    if graph.loss is not None and len(view.ops) == len(graph.ops) and not any(v.shape for v in graph.values.values()):
        with as_recorded():
            author = Author(graph)
            author.write()
        names = {v.id: (author.name(v), author.gradient(v)) for v in graph.values.values()}
        numbers = {v: author.scope[name] for v, (name, _) in names.items() if name in author.scope}
        found.leaves = {v: _number(author.scope[g]) for v, (_, g) in names.items() if g in author.received}
    found.values = {v: _number(a) for v, a in numbers.items()}
    return found


def _number(array: Any) -> str:
    return f"= {np.asarray(array).item():.4g}"
