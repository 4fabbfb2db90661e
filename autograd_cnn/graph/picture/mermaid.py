"""The ladder as Mermaid text, for Markdown that draws it: GitHub, GitLab, notebooks of documentation.

Mermaid lays out anew; boxes, edges and frames are ours. Whatever could mean something to it is a character code.
"""

from __future__ import annotations

import re

from autograd_cnn.graph.picture.dot import framed
from autograd_cnn.graph.picture.ladder import ladder
from autograd_cnn.graph.picture.layout import Box
from autograd_cnn.graph.picture.svg import COLOURS
from autograd_cnn.graph.records import Graph

LIMIT = 400  # edges: Mermaid itself refuses more than 500
_ARROWS = {"forward": "-->", "backward": "-.->", "kept": "-.-"}
_SHAPES = {"input": ("[", "]"), "parameter": ("([", "])"), "op": ("(", ")"), "rule": ("(", ")"), "loss": ("[[", "]]")}


def mermaid(graph: Graph, depth: int | None = None) -> str:
    """The picture of `graph` as a Mermaid flowchart."""
    picture = ladder(graph, depth, limited=".mmd")
    if len(picture.wires) > LIMIT:
        raise ValueError(
            f"graph: {len(picture.wires):,} edges are too many for Mermaid (at most {LIMIT}). A smaller depth draws "
            "fewer; .svg and .dot take more"
        )
    lines = ["---", f"title: {_quoted(picture.caption)}", "---", "flowchart TD"]
    lines += [f"{box.id}{_label(box)}:::{box.kind}{'back' * box.back}" for box in picture.boxes]
    lines += framed(picture, lambda i, frame: f"subgraph f{i} [{_quoted(frame.text)}]", str, "end")
    for wire in picture.wires:
        label = f"|{_quoted(wire.label)}|" if wire.label else ""
        lines.append(f"{wire.tail} {_ARROWS[wire.kind]}{label} {wire.head}")
    for kind, (fill, line, *_) in COLOURS.items():
        lines.append(f"classDef {kind} fill:{fill},stroke:{line},color:#1B1B1B")
        lines.append(f"classDef {kind}back fill:{fill},stroke:{line},color:#1B1B1B,stroke-dasharray:5 3")
    return "\n".join(lines) + "\n"


def _label(box: Box) -> str:
    left, right = _SHAPES.get(box.kind, ("[", "]"))
    text = f"{box.text} {box.beside}".strip()
    return f"{left}{_quoted(text, box.below)}{right}"


def _quoted(*texts: str) -> str:
    """Letters, digits and what is harmless stay; the rest are character codes, ``#34;``."""
    return '"' + "<br>".join(re.sub(r"[^\w .,:=()/×·-]", _code, t) for t in texts if t) + '"'


def _code(found: re.Match[str]) -> str:
    return f"#{ord(found[0])};"
