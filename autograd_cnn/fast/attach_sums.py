"""Puts faster products and sums in the place of the textbook's: matmul, linear, sum, softmax and what is made of it."""

from __future__ import annotations

from functools import wraps
from math import prod
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from autograd_cnn.ops import activations, losses, products, reductions

from . import elementwise, matrices, rows
from .choose import Kernel, choose
from .tiles import SMALL


def accelerate_sums() -> None:
    """Compute products in blocks, and sums and softmax over rows, on all threads."""
    products.matmul.accelerate(lambda _: matrices.matmul)
    products.linear.accelerate(lambda _: _linear)
    reductions.sum.accelerate(_sum)
    accelerate_softmax()


def _linear(x: Any, w: Any, b: Any) -> Any:
    y = matrices.matmul(x.reshape(-1, len(w)), w).reshape(*x.shape[:-1], w.shape[1])
    if b is None:
        return y
    return np.add(y, b, out=y) if y.dtype == np.result_type(y, b) else y + b


def _sum(textbook: Kernel) -> Kernel:
    @wraps(textbook)
    def run(x: Any, axis: Any, keepdims: bool, dtype: Any, initial: Any, where: Any) -> Any:
        plain = not keepdims and initial is reductions.UNSET and where is True
        if plain and elementwise.is_large(x) and x.dtype.char in "fd" and _all_but_last(axis, x.ndim):
            return elementwise.sum_rows(x)
        return textbook(x, axis, keepdims, dtype, initial, where)

    return run


def _all_but_last(axis: Any, ndim: int) -> bool:
    return axis is not None and normalize_axis_tuple(axis, ndim, allow_duplicate=True) == (*range(ndim - 1),)


def accelerate_softmax() -> None:
    """Compute softmax over the last axis row by row."""
    activations.softmax.accelerate(
        choose(_quiet(rows.softmax), _in_rows), x=choose(_quiet(rows.softmax_gradient), _in_large_rows)
    )
    activations.log_softmax.accelerate(
        choose(_quiet(rows.log_softmax), _in_rows), x=choose(_quiet(rows.log_softmax_gradient), _in_large_rows)
    )
    losses.cross_entropy_of_labels.accelerate(
        lambda _: _cross_entropy, logits=lambda _: _cross_entropy_rule, exact=True
    )


def _cross_entropy(logits: Any, labels: Any, reduction: Any) -> Any:
    scores = activations.log_softmax.raw(logits)
    values = -(scores.reshape(-1)[_places(labels, scores.shape[-1])]).reshape(labels.shape)
    return losses.reduced(values, reduction, None, values.size or None, np.sum, np.mean)  # np.mean takes twice as long


def _places(labels: Any, classes: int) -> Any:
    """Return the places of the labels' scores in the flat array of all scores."""
    return np.arange(0, labels.size * classes, classes) + labels.reshape(-1).astype(np.intp, copy=False)


def _cross_entropy_rule(g: Any, logits: Any, labels: Any, reduction: Any) -> Any:
    """Compute the rule with fewer passes."""
    gx = np.ascontiguousarray(activations.softmax.raw(logits))
    gx.reshape(-1)[_places(np.asarray(labels), gx.shape[-1])] -= 1
    gx *= g[..., None] if reduction == "none" else losses.divided(g, prod(logits.shape[:-1]), reduction)
    return gx


def _quiet(kernel: Kernel) -> Kernel:
    """Return a kernel without its last argument, the axis, and without warnings."""

    def run(*args: Any) -> Any:
        with np.errstate(invalid="ignore", divide="ignore"):
            return kernel(*args[:-1])

    return run


def _in_rows(x: Any, axis: Any) -> bool:
    """Return whether `axis` is the last of several, and the kernels are for such an array."""
    return x.ndim > 1 and axis in (-1, x.ndim - 1) and prod(x.shape) > 0 and x.dtype.char in "fd"


def _in_large_rows(g: Any, out: Any, axis: Any) -> bool:
    return g.size >= SMALL and _in_rows(g, axis)
