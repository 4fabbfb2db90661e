"""Softmax of the rows of a matrix, its logarithm and its gradient, in tiles.

NumPy reduces short rows slowly, one at a time. Here the maximum is taken over the columns of the transpose, and the sum
is a product with ones: for rows of 10, that is 5 to 10 times as fast.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .memory import empty, scratch
from .tiles import SMALL, map_rows
from .twins import twin

Array = NDArray[Any]


def softmax(x: Array) -> Array:
    """``exp(x) / sum(exp(x))`` over the last axis: (..., K) -> (..., K)."""
    return _apply(softmax_tile, x)


def log_softmax(x: Array) -> Array:
    """Logarithm of `softmax`."""
    return _apply(log_softmax_tile, x)


def softmax_gradient(g: Array, y: Array) -> Array:
    """Gradient of `softmax`: ``y * (g - sum(g * y))``, for ``y = softmax(x)``."""
    return _apply(softmax_gradient_tile, g, y)


def log_softmax_gradient(g: Array, y: Array) -> Array:
    """Gradient of `log_softmax`: ``g - exp(y) * sum(g)``, for ``y = log_softmax(x)``."""
    return _apply(log_softmax_gradient_tile, g, y)


def _apply(function: Callable[..., None], *arrays: Array) -> Array:
    """Return a new array that ``function(*arrays, out)`` fills, where all arrays are passed as matrices."""
    small = arrays[0].size < SMALL
    out = (np.empty if small else empty)(arrays[0].shape, arrays[0].dtype)
    if small:  # cutting tiles would cost as much as computing them
        function(*(np.ascontiguousarray(a).reshape(-1, out.shape[-1]) for a in (*arrays, out)))
    else:
        map_rows(function, *arrays, out)
    return out


def _shift(x: Array, y: Array) -> None:
    """Write x minus the maximum of each row into y, so that no exponential overflows."""
    columns = scratch("columns", x.shape[::-1], x.dtype)
    columns[...] = x.T
    np.subtract(x, columns.max(axis=0)[:, None], out=y)


def _sums(x: Array) -> Array:
    return (x @ np.ones(x.shape[1], x.dtype))[:, None]


@twin("rows.softmax_tile", writes=("y",), only="f")
def softmax_tile(x: Array, y: Array) -> None:
    """Write `softmax` of a matrix into `y`."""
    _shift(x, y)
    np.exp(y, out=y)
    y /= _sums(y)


@twin("rows.log_softmax_tile", writes=("y",), only="f")
def log_softmax_tile(x: Array, y: Array) -> None:
    """Write `log_softmax` of a matrix into `y`."""
    _shift(x, y)
    y -= np.log(_sums(np.exp(y, out=scratch("powers", x.shape, x.dtype))))


@twin("rows.softmax_gradient_tile", writes=("gx",))
def softmax_gradient_tile(g: Array, y: Array, gx: Array) -> None:
    """Write `softmax_gradient` of matrices into `gx`."""
    np.subtract(g, _sums(np.multiply(g, y, out=gx)), out=gx)
    gx *= y


@twin("rows.log_softmax_gradient_tile", writes=("gx",), only="f")
def log_softmax_gradient_tile(g: Array, y: Array, gx: Array) -> None:
    """Write `log_softmax_gradient` of matrices into `gx`."""
    np.exp(y, out=gx)
    gx *= _sums(g)
    np.subtract(g, gx, out=gx)
