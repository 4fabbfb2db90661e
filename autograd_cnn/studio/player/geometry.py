"""Finds which elements of its inputs an element of an operation's output depends on: a window, a row, or the same one.

The parameters of the recorded call describe windows, and its primitive declares whether it is elementwise. Rows are
found by trying. No operation is listed by name, so a user's own primitives are shown in the same way.
"""

from __future__ import annotations

from collections import namedtuple
from itertools import pairwise
from typing import Any

import numpy as np

from autograd_cnn.ops.windows import window
from autograd_cnn.studio.player.array_views import drawn, maps
from autograd_cnn.studio.player.trials import Trials, attempt, inputs_of
from autograd_cnn.studio.records import Op, Use

# Inputs and output of an operation by their parts: a window joins pixels of a `fine` and a `coarse` image. It does so
# by weights `w` and a bias `b`, between channels of one `group`, or as a `pool`, of which `won` are maps of the places
# of the winners in their windows. The output is the coarse image or, in a transposed convolution, the fine one. Of
# `rows`, vectors are joined in the same way, in a product whose matrix is `left` by its rows. `each` lists inputs whose
# elements give the same element of the output; a `gate` lets through or shuts, as relu does
Reach = namedtuple(
    "Reach", "fine coarse w b group kernel stride pad dilation pool won rows left each gate",
    defaults=(None, None, None, None, None, None, None, None, None, None, None, None, None, None, None),
)  # fmt: skip


def geometry(t: Trials, op: Op) -> Reach | None:
    """Return how the output of `op` depends on its inputs, or None if it is in none of these ways."""
    known = {v: t.array(t.values[v]) for v in (op.output, *inputs_of(op))}
    if any(a is None for a in known.values()):
        return None
    arrays = {v: np.asarray(a) for v, a in known.items()}
    distinct = len(arrays) == 1 + len(op.inputs)  # in x @ x an element of x is in a row and in a column
    return attempt(  # a user's primitive may take anything under these names
        lambda: (distinct and (_window(t, op, arrays) or _row(op, arrays))) or _each(op, arrays)
    )


def axes(t: Trials) -> dict[str, tuple[str, ...]]:
    """Return what the axes of values are called, by value, as far as operations say.

    The last axis is that of classes where a loss compares it with integers, or with as many numbers as `t.classes`.
    """
    found: dict[str, tuple[str, ...]] = {}
    item = "image" if any(reach and reach.kernel for reach in t.reach.values()) else "item"

    def call(v: str | None, *names: str) -> None:
        if v and len(t.values[v].shape) == len(names):
            found.setdefault(v, names)

    for op in (*reversed(t.ops), *t.ops):  # classes are known from the loss on, channels from the input on
        reach, given = t.reach.get(op.id), [t.values[v] for v in inputs_of(op)]
        for z, y in pairwise(given):
            of_labels = np.dtype(y.dtype).kind in "iu" and y.shape == z.shape[:-1] and t.values[op.output].size == 1
            of_shares = y.shape == z.shape and z.shape[-1:] == (len(t.classes),) and y.role in ("input", "target")
            if of_labels or of_shares:
                last = "class" if len(t.classes) in (0, z.shape[-1]) else "score"  # names of others name none of these
                call(z.id, *[item, *["place"] * (len(z.shape) - 2), last][-len(z.shape) :])
                call(y.id, *found.get(z.id, ())[: len(y.shape)])
        if reach and reach.kernel:
            x, group = t.values[reach.fine], reach.group or (0,)
            last = "colour" if x.role == "input" and x.shape[-1] == 3 else "channel"
            call(reach.fine, item, "row", "column", last)
            call(reach.coarse, item, "row", "column", "channel")
            call(reach.w, "row", "column", last + " of the group" * (group[0] != x.shape[-1]), "filter")
            call(reach.b, "filter" if op.output == reach.coarse else "channel")
        elif reach and reach.rows:
            for v in (op.output, reach.fine):
                unit = "input" if t.values[v].role == "input" else "unit"
                call(v, *[item, *["place"] * (len(t.values[v].shape) - 2), unit][-len(t.values[v].shape) :])
            ends = ["input", last := "class" if found[op.output][-1] == "class" else "output"]
            call(reach.w, *(ends[::-1] if reach.left else ends))
            call(reach.b, last)
        elif reach:
            for v in (alike := [op.output, *reach.each]):
                call(v, *next((found[u] for u in alike if u in found), ()))
    return found


def _window(t: Trials, op: Op, arrays: dict[str, Any]) -> Reach | None:
    given = dict(zip(op.call.primitive.parameters, op.call.arguments, strict=False))
    uses: Any = {name: use.value.id for name, use in given.items() if isinstance(use, Use)}
    x, w, b = map(uses.get, "xwb")
    if not {"x", "stride", "padding"} <= given.keys() or arrays[x].ndim != 4 != arrays[op.output].ndim:
        return None
    fine, coarse = (op.output, x) if "output_padding" in given else (x, op.output)
    kernel, padding = arrays[w].shape[:2] if w else given["kernel_size"], given["padding"]
    stride, dilation = kernel if given["stride"] is None else given["stride"], given.get("dilation", 1)
    size = arrays[fine].shape[1:3] if padding == "same" else None  # a pool may look further than its image
    kernel, stride, ((top, _), (left, _)), dilation = window(size, kernel, stride, padding, dilation)
    group = tuple(arrays[v].shape[-1] // given["groups"] for v in (fine, coarse)) if w else None
    winner = t.author.names.get((op.id, op.byproducts[0]), "") if op.byproducts and not w else ""
    won = drawn(maps(t.scope.get(winner), "activation"), False, "")  # none without a gradient
    return Reach(fine, coarse, w, b, group, kernel, stride, (top, left), dilation, not w, won)


def _row(op: Op, arrays: dict[str, Any]) -> Reach | None:
    if len(op.inputs) not in (2, 3):
        return None
    x, w, *b = (v for _, v in op.inputs)
    left = arrays[w].ndim == 1  # a matrix times a vector is the vector times its transpose
    x, w = (w, x) if left else (x, w)
    matrix = arrays[w].T if left else arrays[w]
    vectors = arrays[x].ndim == arrays[op.output].ndim in (1, 2, 3)
    if matrix.ndim != 2 or not vectors or arrays[x].shape[-1] != len(matrix):
        return None
    row, out = (arrays[v].reshape(-1, arrays[v].shape[-1])[:1] for v in (x, op.output))
    product = row @ matrix + (arrays[b[0]] if b else 0)
    if product.shape != out.shape or not np.allclose(product, out, 1e-4, 1e-6):
        return None
    return Reach(x, op.output, w, b[0] if b else None, matrix.shape, rows=True, left=left)


def _each(op: Op, arrays: dict[str, Any]) -> Reach | None:
    out, terms = arrays[op.output], "reduction" in op.call.primitive.parameters  # of a loss, each of a pair
    shape = arrays[inputs_of(op)[0]].shape if terms else out.shape
    inputs = [v for v in inputs_of(op) if arrays[v].shape == shape]
    gate = op.call.primitive.rectifies and len(inputs) == 1 and bool(np.all((out == 0) | (out == arrays[inputs[0]])))
    return Reach(each=inputs, gate=gate) if inputs[terms:] and (terms or op.call.primitive.elementwise) else None
