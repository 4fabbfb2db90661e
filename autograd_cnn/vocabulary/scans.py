"""Running extremes along an axis, other forms of running sums and products, and differences between neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from autograd_cnn.engine.fitting import FLOATS
from autograd_cnn.engine.numpy_calls import constant
from autograd_cnn.engine.registry import counterparts
from autograd_cnn.ops.arithmetic import masked
from autograd_cnn.ops.axes import cut, keepdims_shape, operand
from autograd_cnn.ops.indexing import take_along_axis
from autograd_cnn.ops.joining import concatenate
from autograd_cnn.ops.running import cumprod, cumsum
from autograd_cnn.ops.shapes import axes_last, broadcast_to, moveaxis, reshape

__all__ = [
    "cummax", "cummin", "cumulative_prod", "cumulative_sum", "diff", "ediff1d", "gradient", "nancumprod", "nancumsum",
    "trapezoid",
]  # fmt: skip


def _with_ends(x: Any, start: Any, end: Any, axis: int) -> Any:
    """Join `start` and `end` to `x` along `axis`: each an array, a number, or None."""
    parts = [x if part is x else operand(part, x) for part in (start, x, end) if part is not None]
    parts = [part if part.ndim else broadcast_to(part, keepdims_shape(x.shape, axis)) for part in parts]
    return concatenate(parts, axis) if len(parts) > 1 else x


def _started(x: Any, axis: int | None, initial: float | None) -> tuple[Any, int]:
    x = operand(x)
    if axis is None and x.ndim > 1:
        raise ValueError(f"x is {x.ndim}-dimensional: axis is missing")
    x, axis = (reshape(x, (-1,)), 0) if axis is None else (x, axis)
    return _with_ends(x, initial, None, axis), axis


def cumulative_sum(x: Any, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Adds up like `cumsum`, but flattens nothing; `include_initial` puts a 0 before the sums."""
    return cumsum(*_started(x, axis, 0 if include_initial else None), dtype)


def cumulative_prod(x: Any, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Multiplies like `cumprod`, but flattens nothing; `include_initial` puts a 1 before the products."""
    return cumprod(*_started(x, axis, 1 if include_initial else None), dtype)


def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Adds up like `cumsum`, with 0 in place of NaN."""
    return cumsum(masked(x, ~np.isnan(x)), axis, dtype)


def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Multiplies like `cumprod`, with 1 in place of NaN."""
    return cumprod(masked(x, ~np.isnan(x), 1), axis, dtype)


def _records(extreme: np.ufunc, x: Any, axis: int) -> Any:
    """Return the places of the last elements so far that are the most extreme, or that are NaN."""
    x = np.asarray(x)
    record = (x == extreme.accumulate(x, axis)) | np.isnan(x)
    return np.maximum.accumulate(np.where(record, np.indices(x.shape, sparse=True)[axis], 0), axis)


def _running(extreme: np.ufunc, x: Any, axis: int) -> Any:
    return take_along_axis(x, constant(_records, (extreme, x, axis), {}), axis)


def cummax(x: Any, axis: int = 0) -> Any:
    """Takes the largest number so far: ``np.maximum.accumulate``.

    The last one of ties receives the gradient.
    """
    return _running(np.maximum, x, axis)


def cummin(x: Any, axis: int = 0) -> Any:
    """Takes the smallest number so far: ``np.minimum.accumulate``.

    The last one of ties receives the gradient.
    """
    return _running(np.minimum, x, axis)


counterparts.update({(np.maximum, "accumulate"): "cummax", (np.minimum, "accumulate"): "cummin"})


def diff(x: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Subtracts each number from the next one along `axis`, `n` times. `prepend` and `append` are joined before."""
    x = operand(x)
    if n < 0 or not x.ndim:
        raise ValueError(f"diff: n is {n}, x is {x.ndim}-dimensional\nWant n of 0 or more, and an axis")
    x = _with_ends(x, prepend, append, axis) if n else x
    for _ in range(min(n, x.shape[normalize_axis_index(axis, x.ndim)])):  # then nothing is left
        x = cut(x, axis, 1) - cut(x, axis, None, -1)
    return x


def ediff1d(x: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Subtracts each number of the flattened `x` from the next one, between `to_begin` and `to_end`."""
    x = reshape(operand(x), (-1,))
    return _with_ends(diff(x), to_begin, to_end, 0)


def _slope(f: Any, h: Any, axis: int, edge_order: int) -> Any:
    """Average the slopes to both neighbours, each weighted with the distance to the other neighbour."""
    f, n = axes_last(f, axis), f.shape[axis]
    if edge_order not in (1, 2) or n <= edge_order:
        raise ValueError(f"axis {axis} has {n} points\nedge_order is 1 or 2, and wants more points than that")
    h = (diff(h) if h.ndim else h) * np.ones(n - 1, f.dtype)
    slopes = diff(f) / h
    bend = diff(slopes) / (h[:-1] + h[1:])
    first, last = slopes[..., :1], slopes[..., -1:]
    if edge_order == 2:
        first, last = first - h[0] * bend[..., :1], last + h[-1] * bend[..., -1:]
    return moveaxis(concatenate([first, slopes[..., :-1] + h[:-1] * bend, last], -1), -1, axis)


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Estimates the derivative of a function from its values at points of a grid, along each of its axes.

    The method ``t.gradient(x)`` is another thing: it differentiates `t` by `x`.

    Parameters
    ----------
    f : (...)
    *varargs : float or (n,)
        The distance of points for all axes, or for each axis its distance or the coordinates of its points.
    axis : int or tuple of int, optional
        Default: all.
    edge_order : int
        1 takes the slope to the one neighbour at the edges, 2 that of a parabola.

    Returns
    -------
    (...), or a tuple of them
        One for each axis.

    Raises
    ------
    TypeError, ValueError
        If there are too few points, or not as many distances as axes.
    """
    f = operand(f)
    f = f if f.dtype.kind in FLOATS else f.astype(float)
    axes = normalize_axis_tuple(range(f.ndim) if axis is None else axis, f.ndim)
    spacing = [operand(h, f) for h in varargs or (1.0,)]
    if len(spacing) == 1 and not spacing[0].ndim:
        spacing *= len(axes)
    if len(spacing) != len(axes):
        raise TypeError(f"{len(spacing)} distances for {len(axes)} axes")
    slopes = tuple(_slope(f, h, a, edge_order) for h, a in zip(spacing, axes, strict=True))
    return slopes[0] if len(slopes) == 1 else slopes


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Integrates along `axis` by the trapezoidal rule, over points `x`, or over points at distance `dx`."""
    y = axes_last(operand(y), axis)
    if x is not None:
        dx = diff(axes_last(operand(x, y), axis if np.ndim(x) > 1 else -1))
    return (dx * (y[..., 1:] + y[..., :-1]) / 2).sum(-1)
