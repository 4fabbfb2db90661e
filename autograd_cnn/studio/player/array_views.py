"""Shows an array as text and numbers of four digits. Reads arrays."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from autograd_cnn.studio.player.wording import number, record, significant
from autograd_cnn.studio.records import Graph, Use, Value
from autograd_cnn.studio.text import count_text

EXACT, BEGIN = 64, 4  # elements that are written out: at most all of 64, or else the first 4
CHANNELS, SIDE = 6, 64  # maps that are drawn, and their most rows and columns, of which others are skipped
MATRIX, BARS = 32, 16  # rows and columns of a matrix, and elements of a vector, and items, that are drawn
ITEMS = "k, x"  # the index of the elements of a batch of vectors, of which the page draws one item
WHOLE = 300  # operations; longer graphs have no images and no trials
Look = dict[str, Any]  # an array on the page, or its maps, which are drawn


# The part of an array that is drawn: maps (filters, channels, height, width), in words, and its index, in which
# ``k, c, y, x`` stand for the axes. Of the two last, every `step`-th element is there
Cut = namedtuple("Cut", "numbers words at step")


def maps(array: Any, role: str) -> Cut | None:
    """Return the maps of an array; None if it has no elements, only one, or elements that are no numbers.

    A parameter of four axes has the layout HWIO; any other such array has the layout NHWC, of which item 0 is drawn. A
    vector, a column, and each item of a batch of vectors is one row.
    """
    a = np.asarray(array)
    if a.size < 2 or a.dtype.kind not in "fiub":
        return None
    index, a = "0, " * (a.ndim - 4), a[(0,) * (a.ndim - 4)]
    if a.ndim == 4 and role == "parameter":
        cut = np.transpose(a, (3, 2, 0, 1))[:CHANNELS, :CHANNELS]
        words = f"filter {{k}} (0 to {a.shape[3] - 1}): {_of(cut.shape[1], a.shape[2], 'input channel')}"
        index += "y, x, c, k"
    elif a.ndim == 4:
        cut = np.moveaxis(a[:1], -1, 1)[:, :CHANNELS]
        words, index = f"item 0: {_of(cut.shape[1], a.shape[3], 'channel')}", index + "0, y, x, c"
    elif a.ndim == 3 or (a.ndim == 2 and role == "parameter" and a.shape[1] > 1):
        matrix = a[0] if a.ndim == 3 else a
        cut = matrix[None, None, :MATRIX, :MATRIX]
        words, index = "item 0" if a.ndim == 3 else "", "0, y, x" if a.ndim == 3 else "y, x"
        if cut.size < matrix.size:
            words = f"the first {cut.shape[2]} × {cut.shape[3]}"
    else:
        batch = a.ndim == 2 and a.shape[1] > 1
        rows = a if batch else a.reshape(1, -1)
        cut, index = rows[:BARS, None, None, :BARS], ITEMS if batch else "x, 0" if a.ndim == 2 else "x"
        which = f"item {{k}}{f' (0 to {len(rows) - 1})' * (len(rows) > 1)}" * batch
        words = ", ".join(filter(None, [which, f"the first {BARS}" * (rows.shape[1] > BARS)]))
    step = max(1, -(-max(cut.shape[2:]) // SIDE))
    return Cut(cut[:, :, ::step, ::step].astype(np.float64), words, index, step) if cut.size else None


def _of(shown: int, count: int, what: str) -> str:
    return f"{shown} of " * (shown < count) + count_text(count, what)


def drawn(found: Cut | None, gradient: bool, role: str) -> Look | None:
    """Return the numbers of the maps, with four digits, and what is said of them; None stands for nan or inf."""
    if found is None:
        return None
    colour = int(role == "input" and found.numbers.shape[1] == 3 and not gradient)
    return {
        "numbers": [significant(x, 4) for x in found.numbers.flat], "shape": found.numbers.shape, "words": found.words,
        "index": found.at, "step": found.step, "colour": colour,
    }  # fmt: skip


class Views:
    """Shows the arrays of a graph; no maps if it is too long to be shown `whole`."""

    def __init__(self, graph: Graph) -> None:
        self.whole = len(graph.ops) <= WHOLE
        calls = [zip(op.call.primitive.parameters, op.call.arguments, strict=False) for op in graph.ops]
        self.filters = {a.value.id for call in calls for name, a in call if name == "w" and isinstance(a, Use)}
        products = [[graph.values[v] for _, v in op.inputs] for op in graph.ops if op.call.primitive.symbol == "@"]
        matrices = [x if len(y.shape) == 1 else y for x, y in products]
        self.filters |= {value.id for value in matrices if len(value.shape) == 2}  # drawn as a matrix
        for op in reversed(graph.ops):  # and so is what one is a transpose or a slice of
            self.filters |= {v for _, v in op.inputs if op.output in self.filters and len(op.inputs) == 1}

    def role(self, value: Value) -> str:
        if value.id in self.filters:
            return "parameter"
        return "activation" if len(value.shape) == 4 and value.role == "parameter" else value.role  # learnt images

    def look(self, array: Any, value: Value, gradient: bool) -> Look:
        """Return what is shown of an array that belongs to `value`: its number, if it is one, its elements, and maps.

        The elements are all of them or the first; `bad` numbers are not finite. Of a long graph there is less.
        """
        a, cut = np.asarray(array), maps(array, self.role(value)) if self.whole else None
        exact = 2 if not self.whole else BEGIN if a.size > EXACT else EXACT
        bad = int(np.count_nonzero(~np.isfinite(a))) if a.dtype.kind in "fc" else 0
        return record(
            size=int(a.size), number=number(a.reshape(-1)[0]) if a.size == 1 else None, bad=bad or None,
            elements=[str(x) for x in a.reshape(-1)[:exact]], maps=drawn(cut, gradient, self.role(value)),
        )  # fmt: skip

    def places(self, value: Value) -> tuple[Any, Any]:
        """Return the flat indices of the elements that are drawn at first, and of those whose numbers are in the page.

        The page has the first item of a batch of vectors.
        """
        every = np.arange(value.size)
        cut = maps(every.reshape(value.shape), self.role(value)) if self.whole else None
        first = 1 if cut and cut.at == ITEMS else None
        drawn = cut.numbers[:first].astype(int).ravel() if cut else every
        return drawn, drawn if value.size > EXACT else every[: value.shape[-1] if first else None]
