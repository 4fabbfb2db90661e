"""Writes the ladder as Mermaid text, which GitHub, GitLab and many documentation tools draw in Markdown.

The text contains boxes, edges and frames, and Mermaid lays them out. Characters with a meaning in Mermaid's syntax are
written as character codes.
"""

from __future__ import annotations

import re

from autograd_cnn.studio.picture.dot import framed
from autograd_cnn.studio.picture.ladder import ladder
from autograd_cnn.studio.picture.layout import Box
from autograd_cnn.studio.picture.styles import LIGHT
from autograd_cnn.studio.records import Graph

LIMIT = 400  # edges; Mermaid itself draws at most 500
_ARROWS = {"forward": "-->", "backward": "-.->", "kept": "-.-"}
_SHAPES = {"parameter": "([ ])", "op": "( )", "rule": "( )", "failed": "( )", "loss": "[[ ]]"}
_KINDS = [kind for kind in LIGHT if f"{kind}_line" in LIGHT]  # of boxes


def mermaid(graph: Graph, depth: int | None = None) -> str:
    """Return the picture of `graph` as a Mermaid flowchart."""
    picture = ladder(graph, depth, limited=".mmd")
    if len(picture.wires) > LIMIT:
        raise ValueError(
            f"graph: {len(picture.wires):,} edges are too many for Mermaid (at most {LIMIT}). A smaller depth draws "
            "fewer; .svg and .dot take more"
        )
    lines = ["---", f"title: {_quoted(picture.caption)}", "---", "flowchart TD", *map(_node, picture.boxes)]
    lines += framed(picture, lambda i, frame: f"subgraph f{i} [{_quoted(frame.text)}]", str, "end")
    for wire in picture.wires:
        label = f"|{_quoted(wire.label)}|" if wire.label else ""
        lines.append(f"{wire.tail} {_ARROWS[wire.kind]}{label} {wire.head}")
    for kind in _KINDS:
        for back, dashes in ("", ""), ("back", ",stroke-dasharray:5 3"):
            colours = f"fill:{LIGHT[kind]},stroke:{LIGHT[kind + '_line']},color:{LIGHT['text']}"
            lines.append(f"classDef {kind}{back} {colours}{dashes}")
    return "\n".join(lines) + "\n"


def _node(box: Box) -> str:
    left, right = _SHAPES.get(box.kind, "[ ]").split()
    text = _quoted(f"{box.text} {box.beside}".strip(), box.below)
    return f"{box.id}{left}{text}{right}:::{box.kind}{'back' * box.back}"


def _quoted(*texts: str) -> str:
    """Quote `texts` as one string, with codes such as ``#34;`` for special characters."""
    codes = (re.sub(r"[^\w .,:=()/×·-]", lambda found: f"#{ord(found[0])};", text) for text in texts if text)
    return f'"{"<br>".join(codes)}"'
