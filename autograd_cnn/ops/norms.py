"""Norms of vectors: `linalg.vector_norm`."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_cnn.engine.numpy_calls import plain
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.ops import reductions
from autograd_cnn.ops.arithmetic import abs, square, where
from autograd_cnn.ops.reductions import sum

_OF_ABSOLUTES: dict[float, Any] = {1: sum, np.inf: reductions.max, -np.inf: reductions.min}


def vector_norm(x: Any, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Computes norms of vectors along `axis`, or of all elements: ``sum(abs(x) ** ord) ** (1 / ord)``, as `norm`."""
    if isinstance(ord, str):
        raise ValueError(f"linalg.norm: vectors have no norm of order {ord!r}")
    along = {"axis": axis, "keepdims": keepdims}
    x = x if isinstance(x, Tensor) else np.asarray(x)
    if x.dtype.kind not in "fiub":
        raise TypeError("x is no array of numbers")
    x = x if x.dtype.kind == "f" else x.astype(np.float64)  # the square of an integer may be too large for its dtype
    if ord in _OF_ABSOLUTES:
        return _OF_ABSOLUTES[ord](abs(x), **along)
    if ord == 0:
        return np.linalg.vector_norm(plain(x), ord=0, **along)
    zero = x == 0
    powers = square(x) if ord == 2 else where(zero, 0.0 if ord > 0 else np.inf, where(zero, 1, abs(x)) ** ord)
    total = sum(powers, **along)
    flat = total == (0 if ord > 0 else np.inf)
    return where(flat, plain(total) ** (1 / ord), where(flat, 1, total) ** (1 / ord))


def order_of_powers(ord: float) -> float:
    """Return the order of the powers that a vector norm adds up, or 1 if it needs none."""
    return float(np.abs(ord)) if 1 < np.abs(ord) < np.inf else 1.0
