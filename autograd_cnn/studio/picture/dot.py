"""Writes the ladder as Graphviz text, which its program ``dot`` draws as PNG or PDF.

The text contains the positions of the ladder. Graphviz keeps them because of ``layout=nop2``; its own layout would
tangle edges that skip rows, but is available to anyone who removes that attribute. Every edge of the graph is an edge
in the text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from itertools import pairwise

from autograd_cnn.environment import needs
from autograd_cnn.studio.picture.ladder import ladder
from autograd_cnn.studio.picture.layout import TEXT, Box, Picture, Text, Wire, wide
from autograd_cnn.studio.picture.styles import FONT, LIGHT, fill, shaft
from autograd_cnn.studio.records import Graph

_STYLES = {"forward": "solid", "backward": "dashed", "kept": "dotted"}


def dot(graph: Graph, depth: int | None = None, overlay: str | None = None) -> str:
    """Return the picture of `graph` in the DOT language."""
    return _dot(ladder(graph, depth, overlay))


def _dot(picture: Picture) -> str:
    """Return `picture` as DOT; extra nodes draw the headings, forks and sums."""
    font = f'fontname="{FONT}", fontsize'
    width, height = _n(picture.width), _n(-picture.height)
    lines = [
        "digraph tape {",
        f'graph [label={_quoted(picture.caption)}, labelloc=t, {font}={TEXT}, bb="0,{height},{width},0", layout=nop2];',
        f"node [{font}={TEXT}, fixedsize=true];",
        f"edge [{font}={TEXT}, arrowsize=0.6];",
        *_clusters(picture),
        *map(_node, picture.boxes),
        *map(_edge, picture.wires),
        *_notes(picture),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _at(*point: float) -> str:
    """Format a position; y points upwards, and the page lies below 0."""
    return f"{_n(point[0])},{_n(-point[1])}"


def _middle(text: Text) -> str:
    """Format the position of the middle of a text."""
    words, x, y, anchor = text
    return _at(x + {"start": 0.5, "middle": 0, "end": -0.5}[anchor] * wide(words), y - 4)


def _quoted(*texts: str) -> str:
    """Quote `texts` as one DOT string that shows each text on its own line, with all characters escaped."""
    escaped = (t.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"') for t in texts if t)
    return '"' + "\\n".join(escaped) + '"'


def _clusters(picture: Picture) -> list[str]:
    """Return the outer frames as clusters, which contain the inner ones and the boxes."""
    inside = defaultdict[int, list[str]](list)
    for box in picture.boxes:
        inside[box.frame] += [f'"{box.id}";'] * (box.frame >= 0)
    for i, frame in reversed([*enumerate(picture.frames)]):  # an inner frame comes behind the one around it
        ends = f"{_at(frame.left, frame.bottom)},{_at(frame.left + frame.width, frame.top)}"
        name = _at(picture.names + wide(frame.text) / 2, frame.top + 10)
        begin = (
            f'subgraph "cluster_{i}" {{\nlabel={_quoted(frame.text)}; labeljust=l; style=rounded; '
            f'color="{LIGHT["frame"]}"; fontsize={TEXT}; bb="{ends}"; lp="{name}";'
        )
        inside[frame.frame].append("\n".join([begin, *inside[i], "}"]))
    return inside[-1]


def _node(box: Box) -> str:
    style = "filled" + ",rounded" * (box.kind not in ("input", "loss", "result", "error")) + ",dashed" * box.back
    border = 8 if box.kind == "loss" else 0  # Graphviz draws the second border outside the first
    parts = [
        f"label={_quoted(f'{box.text} {box.beside}'.strip(), box.below)}",
        f'shape=box, style="{style}", fillcolor="{LIGHT[fill(box)]}", color="{LIGHT[box.kind + "_line"]}"',
        f'pos="{_at(box.x, box.y)}", width={_n((box.width - border) / 72)}, height={_n((box.height - border) / 72)}',
        *["peripheries=2"] * bool(border),
    ]
    return f'"{box.id}" [{", ".join(parts)}];'


def _notes(picture: Picture) -> Iterator[str]:
    colours = f'fillcolor="{LIGHT["page"]}", color="{LIGHT["backward"]}"'
    plus = f'label="+", shape=circle, width=0.12, height=0.12, style=filled, {colours}'
    point = f'label="", shape=point, width=0.07, color="{LIGHT["forward"]}"'
    for i, heading in enumerate(picture.headings):
        label = f"label={_quoted(heading[0])}, shape=plaintext"
        yield f'"heading_{i}" [{label}, fixedsize=shape, pos="{_middle(heading)}"];'
    marks = [(plus if wire.kind == "backward" else point, wire.mark) for wire in picture.wires if wire.mark]
    for i, (drawn, place) in enumerate(marks):
        yield f'"mark_{i}" [{drawn}, fixedsize=shape, pos="{_at(*place)}"];'


def _edge(wire: Wire) -> str:
    line, head = shaft(wire)
    tip = f"e,{_at(*head[0])} " if head else ""
    curve = [line[0]] + [p for a, b in pairwise(line) for p in (a, b, b)]  # straight Béziers
    parts = [f'style={_STYLES[wire.kind]}, color="{LIGHT[wire.kind]}"']
    parts.append(f'pos="{tip}{" ".join(_at(*point) for point in curve)}"')
    parts += ["dir=none"] * (not wire.arrow)
    for text, (label, place) in zip(wire.texts, (("label", "lp"), ("xlabel", "xlp")), strict=False):
        parts.append(f'{label}={_quoted(text[0])}, {place}="{_middle(text)}"')
    parts += ["constraint=false"] * (wire.kind == "kept")
    return f'"{wire.tail}" -> "{wire.head}" [{", ".join(parts)}];'


def _rendered(suffix: str, graph: Graph, depth: int | None = None, overlay: str | None = None) -> bytes:
    """Return the picture as a ``.png`` or ``.pdf`` file."""
    picture = ladder(graph, depth, overlay, suffix)
    with needs("graphviz", suffix):
        import graphviz
    try:
        return graphviz.Source(_dot(picture)).pipe(format=suffix[1:], quiet=True)
    except graphviz.ExecutableNotFound:
        raise FileNotFoundError(
            f"{suffix} is drawn by Graphviz, whose program dot is not on PATH: apt install graphviz (macOS: brew, "
            'Windows: winget). Nothing is needed for loss.graph().save("g.svg")'
        ) from None


png, pdf = partial(_rendered, ".png"), partial(_rendered, ".pdf")
