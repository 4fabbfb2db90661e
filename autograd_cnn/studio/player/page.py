"""Writes the backprop player: one HTML file that steps through a network, forward and backward.

The file contains the template, the style, the script, the ladder at every readable depth, and the facts as compressed
JSON. Its content security policy allows no other script and no request. Names from the user
enter the page as text only: they are escaped here, and the script turns them into text nodes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html import escape
from string import Template
from typing import Any

import numpy as np

from autograd_cnn.studio import assets
from autograd_cnn.studio.picture.fold import Folding, View
from autograd_cnn.studio.picture.layout import Overlay, Picture, drawn
from autograd_cnn.studio.picture.svg import written
from autograd_cnn.studio.player.facts import facts_of
from autograd_cnn.studio.player.trials import attempt
from autograd_cnn.studio.player.wording import bare, record
from autograd_cnn.studio.png import url
from autograd_cnn.studio.program.program import as_recorded
from autograd_cnn.studio.program.write import Author
from autograd_cnn.studio.records import Graph
from autograd_cnn.studio.text import clip, count_text, plain

LIMIT = 10_000  # operations
STEPS, SHORT = 6, 60  # against the gradient, that are written into a page of so few single numbers
DRAWN = 150  # rows of a picture; if all pictures have more, there is one
PHONE = 483  # points: of a picture on a phone, at 0.78 of its size, if names can be as short as one of these
NAMES = 40, 30, 24, 20, 16, 13, 10  # characters


def page(
    graph: Graph,
    frames: Sequence[tuple[str, Graph]] = (),
    quiz: bool = False,
    source: bool = True,
    images: Sequence[Any] = (),
    classes: Sequence[str] = (),
) -> str:
    """Return the page of `graph`; of several frames and their `images`, those of `graph` itself are the first."""
    if not all(isinstance(frame, (tuple, list)) and len(frame) == 2 for frame in frames):
        raise TypeError('graph: frames are pairs: page([("after 100 steps", ag.trace(f, ...)), ...])')
    if reason := refusal(graph, frames):
        raise ValueError(f"graph: {reason}")
    if images and len(images) != 1 + len(frames):
        raise ValueError(f"graph: {len(images)} images for {1 + len(frames)} moments. The first is of the graph itself")
    folding = Folding(graph)
    # at the depths whose pictures are readable
    views = [folding.view(depth) for depth, rows in enumerate(folding.rows) if rows <= DRAWN] or [folding.view()]
    rounds = {op: clip(text) for op, text in folding.rounds().items()}
    moments: list[dict[str, Any]] = []
    waiting = [("at the start", graph), *frames]
    for k, (label, each) in enumerate(waiting):
        image = url(np.asarray(images[k], np.uint8)) if images else None
        facts = facts_of(each, source, rounds, classes, moments[0] if moments else {})
        moments.append(facts | record(label=plain(label), image=image))
        if not frames and k < STEPS and (following := attempt(stepped, each, facts)) is not None:
            waiting.append((f"after {count_text(k + 1, 'step')}", following))
    pictures = [_lay_out(graph, view, moments) for view in views]
    drawings = [_drawing(graph, *facts) for facts in zip(views, pictures, strict=True)]
    names, more = [*map(plain, classes)], len(waiting) > 1 + len(frames)
    data = assets.as_json(record(frames=moments, pictures=drawings, quiz=quiz, stepped=more, classes=names)).encode()
    drawn = "".join(written(picture).replace('role="img"', 'role="group"', 1) for picture in pictures)
    title = escape(plain(", ".join(graph.summary())))
    body = Template(assets.part("player/page.html")).substitute(title=title, picture=drawn, data=assets.packed(data))
    name = escape(moments[0]["name"])  # without the loss, for which the quiz asks
    return assets.page(f"Backprop player: {name}", body, assets.part("player/player.css"), script(), drawings=drawn)


def stepped(graph: Graph, facts: dict[str, Any]) -> Graph | None:
    """Return the graph of single numbers after the step of the learning rate with which the page begins; else None."""
    update, arrays = facts.get("update"), dict(graph.arrays or {})
    if not facts["scalar"] or not update or update["more"] or len(graph.ops) > SHORT:
        return None
    lr = update["rates"][update["start"]]
    for v in update["learnt"]:
        g = facts["values"][v]["gradient"]["elements"][0]
        arrays[v] = np.asarray(arrays[v] - lr * float(g), arrays[v].dtype).reshape(np.shape(arrays[v]))
    with as_recorded():
        author = Author(after := replace(graph, arrays=arrays, measured=None))
        author.write()
    loss = author.scope[author.name(graph.values[graph.result])]
    return replace(after, loss=loss.item()) if np.isfinite(loss).all() else None


def refusal(graph: Graph, frames: Sequence[tuple[str, Graph]]) -> str:
    """Return why these graphs have no player, with a cure, or "" if they have one."""
    if len(graph.ops) > LIMIT:
        return (
            f"{len(graph.ops):,} operations are too many to step through (at most {LIMIT:,}). "
            'Trace a part, one block or one step; or graph.save("backward.py") for the whole as code'
        )
    for label, other in frames:
        if _structure(other) != _structure(graph):
            return (
                f"the frame {clip(label)} is another network, or other tensors of it require a gradient. "
                "Trace the same function with the same parameters each time"
            )
    return ""


def script() -> str:
    """Return the script of every player, which the page around a frame with a player has to allow."""
    return assets.part("player/player.js", "player/lesson.js", "player/arrays.js")


def _lay_out(graph: Graph, view: View, moments: list[dict[str, Any]]) -> Picture:
    """Lay out a view with room for numbers of all moments, and with names cut only if it is too wide for a phone."""
    numbers: list[dict[str, str]] = [{}, {}]
    for v, fact in (pair for moment in moments for pair in moment["values"].items()):
        for found, look in zip(numbers, ("array", "gradient"), strict=True):
            if number := fact.get(look, {}).get("number"):
                found[v] = max(found.get(v, ""), f"= {number}", key=len)
    constant = {v for v, fact in moments[0]["values"].items() if "gradient" not in fact and len(moments) == 1}
    numbers[0] |= {v: "= 0" for v, a in (graph.arrays or {}).items() if v in constant and not np.any(a)}
    ops = zip(graph.ops, moments[0]["ops"], strict=True)
    once = re.compile(r"^(\w+?)(_\d+)? = (?=\1\()")  # relu = relu(h)
    lines = {op.id: once.sub("", bare(fact["forward"])) for op, fact in ops}
    for longest in NAMES:
        picture = drawn(view, Overlay(leaves=numbers[1], values=numbers[0], lines=lines, brief=longest))
        if picture.width <= PHONE:
            break
    return picture


def _drawing(graph: Graph, view: View, picture: Picture) -> dict[str, Any]:
    """Return boxes with their centres as fractions of width and height, wires, and the row of each operation.

    A wire has its ends, and the value whose name it has, if it has one. Rows that are closed stand for several.
    """
    boxes = [(b.id, round(b.x / picture.width, 4), round(b.y / picture.height, 4)) for b in picture.boxes]
    wires = [(w.tail, w.head, w.value) for w in picture.wires]
    rows = [int(view.rows[op.id][1:]) for op in graph.ops]
    closed = [int(op.id[1:]) for op in view.graph.ops if op.parts]
    return {"boxes": boxes, "wires": wires, "rows": rows, "closed": closed, "result": view.graph.result}


def _structure(graph: Graph) -> Any:
    ops = [(op.name, op.inputs, op.output, sorted(op.rules)) for op in graph.ops]
    return ops, [(v.id, v.shape, v.dtype) for v in graph.values.values()], graph.failure is not None
