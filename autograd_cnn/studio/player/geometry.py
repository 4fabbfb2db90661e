"""Finds which elements of its inputs an element of an operation's output depends on: a window, a row, or the same one.

The parameters of the recorded call describe windows. Rows and single elements are found by trying: the operation is run
on a part of its inputs, and the result is compared with that part of its output. No operation is listed by name, so a
user's own primitives are shown in the same way.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_cnn.ops.windows import margins, pair
from autograd_cnn.studio.player.lines import Refusal, attempt
from autograd_cnn.studio.player.schema import Each, Reach, Rows, Window
from autograd_cnn.studio.records import Op, Use


def geometry(op: Op, arrays: dict[str, Any]) -> Reach | None:
    """Return how the output of `op` depends on its inputs, or None if it is none of these.

    A window joins pixels of a `fine` image to a pixel of a `coarse` image, by weights `w` or as a `pool`, max or mean.
    The output is the coarse image or, in a transposed convolution, the fine one. A row (`rows`) joins vectors in the
    same way, and `each` lists inputs whose elements give the same element of the output, beside `others`; a `gate` lets
    through or shuts, as relu does. `arrays` holds the inputs and the output by id.
    """
    if op.call.inside or any(v not in arrays for v in (op.output, *(v for _, v in op.inputs))):
        return None
    given = dict(zip(op.call.primitive.parameters, op.call.arguments, strict=False))
    uses = {name: use.value.id for name, use in given.items() if isinstance(use, Use)}
    distinct = len({v for _, v in op.inputs}) == len(op.inputs)  # in x @ x an element of x is in a row and in a column
    found = attempt(  # a user's primitive may take anything under these names
        lambda: (distinct and (_window(op, given, uses, arrays) or _row(op, arrays))) or _each(op, arrays)
    )
    return None if isinstance(found, Refusal) else found


def _window(op: Op, given: dict[str, Any], uses: dict[str, str], arrays: dict[str, Any]) -> Reach | None:
    if not {"x", "stride", "padding"} <= given.keys() or arrays[uses["x"]].ndim != 4 != arrays[op.output].ndim:
        return None
    fine, coarse = (op.output, uses["x"]) if "output_padding" in given else (uses["x"], op.output)
    kernel = pair(arrays[uses["w"]].shape[:2] if "w" in uses else given["kernel_size"], "kernel")
    stride = kernel if given["stride"] is None else pair(given["stride"], "stride")
    dilation = pair(given.get("dilation", 1), "dilation")
    (top, _), (left, _) = margins(given["padding"], kernel, stride, dilation, arrays[fine].shape[1:3])
    w, b, group, pool = uses.get("w"), uses.get("b"), None, None
    if w:
        group = arrays[fine].shape[-1] // given["groups"], arrays[coarse].shape[-1] // given["groups"]
    else:
        pool = "max" if op.byproducts else "mean"
    return Window(fine, coarse, kernel, stride, (top, left), dilation, w, b, group, pool, None)


def _row(op: Op, arrays: dict[str, Any]) -> Reach | None:
    if len(op.inputs) not in (2, 3) or {arrays[v].ndim for _, v in op.inputs[:2]} != {2}:
        return None
    x, w, *b = (v for _, v in op.inputs)
    if arrays[x].shape[1:] != arrays[w].shape[:1]:
        return None
    product = arrays[x][:1] @ arrays[w] + (arrays[b[0]] if b else 0)
    if product.shape[1:] != arrays[op.output].shape[1:] or not np.allclose(product, arrays[op.output][:1], 1e-4, 1e-6):
        return None
    return Rows(True, x, op.output, w, b[0] if b else None, arrays[w].shape)


def _each(op: Op, arrays: dict[str, Any]) -> Reach | None:
    out = arrays[op.output]
    if not out.size:
        return None
    for i in (int(np.argmax(out)), int(np.argmin(out)), out.size // 2, out.size // 3):
        at = np.unravel_index(i, out.shape)

        def part(use: Any, at: Any = at) -> Any:
            if not isinstance(use, Use):
                return use
            a = arrays[use.value.id]
            places = at[out.ndim - a.ndim :] if a.ndim else ()
            return a[tuple(slice(k, k + 1) if n > 1 else slice(None) for k, n in zip(places, a.shape, strict=True))]

        made = op.call.primitive.raw(*map(part, op.call.arguments))
        if np.size(made) != 1 or not np.allclose(made, out.flat[i], 1e-4, 1e-6):
            return None
    inputs = [v for v in dict.fromkeys(v for _, v in op.inputs) if arrays[v].shape == out.shape]
    if not inputs:
        return None
    gate = op.call.primitive.rectifies and len(inputs) == 1 and bool(np.all((out == 0) | (out == arrays[inputs[0]])))
    others = [v for v in dict.fromkeys(v for _, v in op.inputs) if v not in inputs]
    return Each(inputs, others, gate)
