"""The backprop player: one HTML file that steps through a network, forward and back.

It is its template, style and script, the ladder, and the facts as JSON. Its policy lets nothing else run, and nothing
be asked for. Text enters the page as text: escaped here, as text nodes in the script.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import tempfile
import webbrowser
from collections.abc import Sequence
from html import escape
from importlib import import_module
from pathlib import Path
from string import Template
from typing import Any

from autograd_cnn.graph.facts import facts_of
from autograd_cnn.graph.fold import LIMIT as DRAWN
from autograd_cnn.graph.layout import ladder
from autograd_cnn.graph.records import Graph
from autograd_cnn.graph.svg import svg
from autograd_cnn.graph.text import clip, plain

LIMIT = 10_000  # operations


def page(graph: Graph, frames: Sequence[tuple[str, Graph]] = ()) -> str:
    """The page of `graph`; the first of several frames is `graph` itself."""
    if len(graph.ops) > LIMIT:
        raise ValueError(
            f"graph: {len(graph.ops):,} operations are too many to step through (at most {LIMIT:,}). "
            'Trace a part, one block or one step; or graph.save("backward.py") for the whole as code'
        )
    shape = _structure(graph)
    for label, other in frames:
        if _structure(other) != shape:
            raise ValueError(f"graph: the frame {clip(label)} is another network. Trace the same function each time")
    facts = [facts_of(g) for g in (graph, *(g for _, g in frames))]
    data = {"frames": facts, "labels": ["at the start", *(plain(label) for label, _ in frames)]}
    picture, style = "", ""
    if 0 < len(graph.ops) <= DRAWN:
        drawn = ladder(graph)
        data["boxes"] = [[b.id, round(b.y / drawn.height, 4)] for b in drawn.boxes]
        data["wires"] = [[w.tail, w.head, int(bool(w.label))] for w in drawn.wires]
        picture = svg(graph)
        style = "\n".join(re.findall(r"<style>(.*?)</style>", picture, re.DOTALL))
    files = {name: _part(name) for name in ("player.js", "player.css")}
    script, *styles = (_hash(text) for text in (files["player.js"], files["player.css"], style) if text)
    return Template(_part("page.html")).substitute(
        policy=f"default-src 'none'; script-src {script}; style-src {' '.join(styles)}; img-src data:; "
        "base-uri 'none'; form-action 'none'",
        title=escape(plain(", ".join(graph.summary()))),
        style=files["player.css"],
        script=files["player.js"],
        picture=picture,
        data=json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    )


def show(text: str) -> Any:
    """`text` as a page: below the cell of a notebook, in its own frame, or in the browser."""
    if (ipython := sys.modules.get("IPython")) and getattr(ipython.get_ipython(), "kernel", None):
        frame = 'sandbox="allow-scripts" width="100%" height="800" style="border:0"'
        return import_module("IPython.display").HTML(f'<iframe {frame} srcdoc="{escape(text)}"></iframe>')
    path = Path(tempfile.mkdtemp(prefix="autograd_cnn_")) / "player.html"
    path.write_text(text, encoding="utf-8")
    webbrowser.open(path.as_uri())
    return None


def _part(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _structure(graph: Graph) -> Any:
    return [(op.name, op.inputs, op.output) for op in graph.ops], [
        (v.id, v.shape, v.dtype) for v in graph.values.values()
    ]
