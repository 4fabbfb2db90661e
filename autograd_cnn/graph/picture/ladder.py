"""The picture of a graph: folded, with the numbers of an overlay, laid out as a ladder."""

from __future__ import annotations

from autograd_cnn.graph.picture.fold import LIMIT, fold
from autograd_cnn.graph.picture.layout import Picture, drawn
from autograd_cnn.graph.picture.overlays import overlay_of
from autograd_cnn.graph.records import Graph


def ladder(graph: Graph, depth: int | None = None, overlay: str | None = None, limited: str = "") -> Picture:
    """Lay out `graph`; see `Graph.save` for `depth` and `overlay`. `limited` is the suffix of a format with a limit.

    Raises
    ------
    ValueError
        If there are too many rows for a format with a limit, or no such `depth` or `overlay`.
    """
    view = fold(graph, depth)
    if limited and (rows := len(view.graph.ops)) > LIMIT:
        raise ValueError(
            f"graph: {rows:,} rows are too many for {limited} (at most {LIMIT:,}). Without depth={depth} what recurs "
            "is drawn once; .dot has no limit"
        )
    return drawn(graph, view, overlay_of(graph, view.graph.ops, overlay))
