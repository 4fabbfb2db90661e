"""Explains sums: of which terms a result is the mean or the sum, and over which numbers a gradient is summed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd_cnn.studio.player.lines import attempt
from autograd_cnn.studio.player.schema import Formula
from autograd_cnn.studio.player.trials import Trials, inputs_of
from autograd_cnn.studio.player.wording import apart, number, signed
from autograd_cnn.studio.records import Op, Use, Value
from autograd_cnn.studio.text import clip, count_text

TERMS, CLASSES = 4, 10  # that are written out


def terms(t: Trials, op: Op, i: int) -> tuple[list[Formula], str, str] | None:
    """Return the first term with its numbers, the mean or sum that is the i-th number of the result, and what it is.

    The terms of a loss are its results without a reduction or, of scores and labels, the logarithms of softmax.
    """
    options = dict(zip(op.call.primitive.parameters, op.call.arguments, strict=False))
    z, *others = (t.values[v] for v in inputs_of(op))
    x, out, place, lines = np.asarray(t.array(z)), np.asarray(t.array(t.values[op.output])), t.told(z, 0), []
    if found := attempt(class_losses, t, op):
        (p, *_), (y, *_), each = found
        place, right = place.rpartition(", ")[0], apart(p[y], 1)[0] if p[y] > 0.999 else number(p[y])
        row = clip(z.name) + (f"[{', '.join('0' * (x.ndim - 1))}]" if x.ndim > 1 else "")
        lines = [f"softmax({row}) = {', '.join(map(number, p[:CLASSES]))}" + ", …" * (len(p) > CLASSES)]
        lines += [f"{t.called('class', int(y))} is right: −log {right} = {number(each[0])}"]
    elif "reduction" in options:
        given = {n: t.array(a.value) if isinstance(a, Use) else a for n, a in options.items()}
        each = np.reshape(op.call.primitive.raw(*(given | {"reduction": "none"}).values()), -1)
        first = [number(np.reshape(given[n], -1)[0]) for n, a in options.items() if isinstance(a, Use)]
        lines = [f"{op.name}({', '.join(first)}) = {number(each[0])}"]
    elif not others and "axis" in options:
        axis = range(x.ndim) if options["axis"] is None else np.reshape(options["axis"], -1).tolist()
        each = np.moveaxis(x, axis, range(-len(axis), 0)).reshape(out.size, -1)[i]
    else:
        return None
    count, divisor = each.size, _divisor(each, out.flat[i])
    if count < 2 or not divisor or each.dtype.kind != "f":
        return None
    sum_ = " + ".join([number(each[0] + 0.0), *(signed(a + 0.0) for a in each[1:TERMS])]) + " + …" * (count > TERMS)
    one = [Formula(lines, f"the term of {place or t.named(z, 0)}")] if lines else []
    how, filled = ("mean", f"({sum_}) / {count:,}") if divisor > 1 else ("sum", sum_)
    return one, filled, f"the {how} of {count:,} numbers"


def class_losses(t: Trials, op: Op) -> Any:
    """Return the shares that softmax gives the classes, the right class, and the loss of each item; else None.

    The loss of an item is the logarithm of the share of its right class, and the result of `op` is their mean or sum.
    """
    scores, labels = inputs_of(op)
    x, y = np.asarray(t.array(t.values[scores])), np.reshape(t.array(t.values[labels]), -1)
    if t.axes[scores][-1] != "class" or y.dtype.kind not in "iu":
        return None
    e = np.exp(x - x.max(-1, keepdims=True)).reshape(-1, x.shape[-1])
    p = e / e.sum(-1, keepdims=True)
    each = -np.log(p[np.arange(len(y)), y])
    return (p, y, each) if _divisor(each, float(t.array(t.values[op.output]))) else None


def _divisor(each: Any, result: Any) -> int:
    """Return the count of numbers if the result is their mean, 1 if it is their sum, else 0."""
    return next((k for k in (each.size, 1) if np.isclose(each.sum() / k, result, 1e-4, 0)), 0)


def changed(t: Trials, op: Op, value: Value) -> str:
    """Say which numbers of the result of `op` the example of `value` changes, and why not others between them."""
    out, moved = t.values[op.output], t.changed(op, value)
    axes = zip(np.unravel_index(moved, out.shape), t.axes.get(out.id) or [""] * len(out.shape), strict=True)
    sizes = [(len(np.unique(places)), name) for places, name in axes]
    count = math.prod(n for n, _ in sizes)
    words = [count_text(n, name) if name else f"{n:,}" for n, name in sizes if n > 1]
    text = " × ".join(words)
    if count == len(moved):
        return text if len(words) > 1 else ""
    return f"{len(moved):,} of {count:,} places ({text}), since at the other {count - len(moved):,} the slope is 0"


def counted(t: Trials, op: Op, value: Value) -> str:
    """Count the products whose sum is the gradient of a weight, and those of them that are 0; "" of other values."""
    reach = t.reach.get(op.id)
    if not reach or reach.w != value.id:
        return ""
    (items, *places, _), x = t.values[reach.coarse].shape, clip(t.values[op.inputs[0][1]].name)
    count, words = items * math.prod(places), count_text(items, (t.axes.get(reach.coarse) or ["item"])[0])
    spread = f"{words} × {count_text(math.prod(places), 'place')}" if places else words
    text = f"{spread} = {count_text(count, 'product')}"
    zero = count - len(t.changed(op, value))
    return text + f"; in {zero:,} of them {x} is 0{' or padding' * bool(places)}" * (zero > 0)
