"""Makes the picture of a graph: folds it, computes its overlay, and lays it out as a ladder."""

from __future__ import annotations

from autograd_cnn.studio.picture.fold import LIMIT, Folding
from autograd_cnn.studio.picture.layout import Picture, drawn
from autograd_cnn.studio.picture.overlays import overlay_of
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
    return drawn(view, overlay_of(graph, view.graph.ops, overlay))
