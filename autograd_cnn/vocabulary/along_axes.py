"""NumPy's other functions that work along an axis: averages, quantiles, sorted numbers, covariances, differences.

A quantile and a sort pick elements in the order of a stable argsort, so the one that comes first has the lower place
among ties, and the gradient goes where the number came from. Lengths of vectors, which NumPy lacks, come last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from autograd_cnn.checks import flag
from autograd_cnn.engine import errors
from autograd_cnn.engine.arrays import as_floats, is_complex
from autograd_cnn.engine.numpy_calls import constant, known, peek, plain, plain_array
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.engine.registry import counterparts
from autograd_cnn.ops import arithmetic, axes, reductions
from autograd_cnn.ops.arithmetic import clip, conjugated, masked
from autograd_cnn.ops.axes import Axis, as_float, axes_of, cut, fixed, in_double, keepdims_shape, operand
from autograd_cnn.ops.indexing import concatenate, scatter, take_along_axis
from autograd_cnn.ops.reductions import count_of, cumprod, cumsum, in_range, keeps, mean, prod, std, sum, var
from autograd_cnn.ops.shapes import axes_last, broadcast_to, moveaxis, reshape, squeeze, together, transpose
from autograd_cnn.vocabulary.arrays import broadcast_arrays, pad
from autograd_cnn.vocabulary.linalg import order_of_powers, vector_norm

__all__ = [
    "average", "bincount", "corrcoef", "cosine_similarity", "cov", "cumulative_prod", "cumulative_sum", "diff",
    "ediff1d", "gradient", "median", "nancumprod", "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin",
    "nanpercentile", "nanprod", "nanquantile", "nanstd", "nansum", "nanvar", "normalize", "partition", "percentile",
    "ptp", "quantile", "sort", "sort_complex", "trapezoid", "unwrap",
]  # fmt: skip


# Averages, quantiles, sorted numbers, covariances


def average(x: Any, axis: Any = None, weights: Any = None, returned: bool = False, keepdims: bool = False) -> Any:
    """Takes the weighted mean along `axis`, or of all numbers.

    Parameters
    ----------
    x : (...)
    axis : int or tuple of int, optional
    weights : array_like, optional
        They have the shape of `x`, or its extents along `axis`, and are differentiated too.
    returned : bool
        Return the sum of the weights as well.

    Raises
    ------
    ValueError
        If weights add up to 0.
    """
    x = operand(x)
    if weights is None:
        out = mean(x, axis, keepdims)
        return (out, np.full(out.shape, x.size / max(out.size, 1), out.dtype)) if returned else out
    (x, weights), axes = as_floats(x, operand(weights, x)), axes_of(axis, x.ndim)
    if weights.shape != x.shape:
        if axis is None or weights.shape != tuple(x.shape[a] for a in axes):
            raise ValueError(f"weights are {weights.shape}\nWant the shape of x, {x.shape}, or its extents along axis")
        ordered = transpose(weights, np.argsort(axes).tolist())
        weights = reshape(ordered, [n if i in axes else 1 for i, n in enumerate(x.shape)])
    total = sum(weights, axis, keepdims)
    if known(total) and np.any(peek(total) == 0):
        raise ValueError("weights add up to 0")
    out = sum(x * weights, axis, keepdims) / total
    return (out, broadcast_to(total, out.shape)) if returned else out


def _in_order(x: Any, arranged: Any, axis: int | None) -> Any:
    """Pick the elements of `x` in the order in which `arranged` has them, ties in their order in `x`."""
    x, axis = (reshape(x, (-1,)), -1) if axis is None else (x, axis)
    order, places = (np.argsort(a, axis, kind="stable") for a in (plain(x), arranged))
    return take_along_axis(x, np.take_along_axis(order, np.argsort(places, axis), axis), axis)


def sort(x: Any, axis: int | None = -1, kind: Any = None, stable: bool | None = None) -> Any:
    """Sorts along `axis`, or the flattened array, and returns a new array. It is stable whatever `kind` is."""
    return _in_order(x, np.sort(plain(x), axis, kind, stable=stable), axis)


def sort_complex(a: Any) -> Any:
    """Sorts by the real parts, and equal ones by the imaginary parts, into complex numbers."""
    return sort(a.astype(np.result_type(a.dtype, np.complex64)))


def partition(x: Any, kth: Any, axis: int | None = -1, kind: Any = "introselect") -> Any:
    """Moves numbers along `axis` so that element `kth` is where a sort puts it, the smaller before it."""
    return _in_order(x, np.partition(plain(x), kth, axis, kind), axis)


def _places(count: Any, n: int, q: Any, method: Any) -> Any:
    """Return the places of quantiles in rows of `n` numbers, of which the first `count` count."""
    count = np.asarray(count)
    place = np.full((*count.shape, q.size), n - 1.0)
    for c in np.unique(count[count > 0]):  # NumPy's quantile of 0, 1, 2, ... is the place, by every method
        place[count == c] = np.quantile(np.arange(float(c)), np.ravel(q), method=method)
    return place


def _quantile(x: Any, q: Any, axis: Any, method: Any, keepdims: bool, ignore_nan: bool) -> Any:
    """Mix the two elements around the place of the quantile in the sorted row, or pick a NaN."""
    flag(keepdims, "keepdims")
    if is_complex(x):
        raise errors.no_order()
    x, q = operand(x), np.asarray(q, float)
    axis = normalize_axis_tuple(range(x.ndim) if axis is None else axis, x.ndim)
    rows = together(x, axis)
    if not rows.shape[-1]:
        rows = pad(rows, [(0, 0)] * (rows.ndim - 1) + [(0, 1)], constant_values=np.nan)
    n, number = rows.shape[-1], ~np.isnan(rows)
    order = np.argsort(plain(rows), -1, kind="stable")  # NaN come last
    count = number.sum(-1) if ignore_nan else n * number.all(-1)
    place = constant(_places, (count, n, q, method), {})
    parts = np.where(place % 1 == 0, 0.5, place % 1).astype(x.dtype if x.dtype.kind == "f" else float)
    picks = (np.take_along_axis(order, end(place).astype(int), -1) for end in (np.floor, np.ceil))
    below, above = (take_along_axis(rows, pick, -1) for pick in picks)
    out = moveaxis(below * (1 - parts) + above * parts, -1, 0)
    return reshape(out, q.shape + (keepdims_shape(x.shape, axis) if keepdims else count.shape))


def quantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """Finds the number below which a share `q` of the numbers along `axis` lies.

    Parameters
    ----------
    x : (...)
    q : array_like
        Shares from 0 to 1, constants. Their axes come first in the result.
    axis : int or tuple of int, optional
    method : str
        How to choose between two numbers: one of NumPy's.

    Returns
    -------
    array
        NaN where a number is, and for no numbers.
    """
    return _quantile(x, q, axis, method, keepdims, False)


def nanquantile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """Finds a `quantile` of the numbers that are not NaN."""
    return _quantile(x, q, axis, method, keepdims, True)


def percentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """Finds a `quantile`, with `q` in percent."""
    return _quantile(x, np.asarray(q) / 100, axis, method, keepdims, False)


def nanpercentile(x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False) -> Any:
    """Finds a `percentile` of the numbers that are not NaN."""
    return _quantile(x, np.asarray(q) / 100, axis, method, keepdims, True)


def median(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Finds the number in the middle along `axis`, or the mean of the two in the middle."""
    return _quantile(x, 0.5, axis, "linear", keepdims, False)


def nanmedian(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Finds the `median` of the numbers that are not NaN."""
    return _quantile(x, 0.5, axis, "linear", keepdims, True)


def _variables(x: Any, rowvar: bool) -> Any:
    """Return a matrix with one variable in each row."""
    x = operand(x)
    if x.ndim > 2:
        raise ValueError(
            f"x is {x.shape}, want a matrix of variables and observations\nOf many matrices: ag.vmap(ag.cov)"
        )
    return reshape(x, (1, -1)) if x.ndim < 2 else x if rowvar else transpose(x)


def cov(
    x: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None, *, dtype: Any = None
) -> Any:
    """Computes the covariances of variables, one in each row of `x` (or column, without `rowvar`) and of `y`.

    Parameters
    ----------
    x, y : (variables, observations), or (observations,)
    bias : bool
        Divide by the number of observations, and not by one less. `ddof` overrides it.

    Returns
    -------
    (variables, variables), or ()
    """
    rows = _variables(x, rowvar)
    rows = rows if y is None else concatenate([rows, _variables(y, rowvar)])
    rows = in_double(rows) if dtype is None else rows.astype(dtype)
    lost = (0 if bias else 1) if ddof is None else ddof
    centred = rows - mean(rows, 1, keepdims=True)
    return squeeze((centred @ conjugated(centred).T) / max(rows.shape[1] - lost, 0))


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, dtype: Any = None) -> Any:
    """Computes the correlations of variables, which are given as in `cov`: covariances over standard deviations."""
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    deviations = np.sqrt(c[(np.arange(len(c)),) * 2])
    c = c / deviations[:, None] / deviations
    return clip(c.real, -1, 1) + 1j * clip(c.imag, -1, 1) if is_complex(c) else clip(c, -1, 1)


def ptp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Takes the largest number less the smallest, along `axis` or of all."""
    return reductions.max(x, axis, keeps(keepdims, axis)) - reductions.min(x, axis, keepdims)


def _without_nan(reduction: Primitive[...], initial: float | None = None) -> Callable[..., Any]:
    """Make NumPy's version of a reduction that ignores NaN. No numbers give NaN, except for a sum and a product.

    So do the variance and the standard deviation of at most `ddof` numbers.
    """

    @wraps(reduction.textbook)
    def f(*args: Any, **options: Any) -> Any:
        given = reduction.signature.bind(*args, **options).arguments
        x, axis, mask = given["x"], given.get("axis"), given.get("where", True)
        number = ~np.isnan(x)
        if not number.ndim:
            given["axis"] = axis = None  # these accept an axis of a number, unlike `mean`
        if not (known(number) and np.all(number)):
            if initial is not None and mask is True and given.get("initial") is None:
                number, given["initial"] = number | ~np.any(number, axis, keepdims=True), initial
            given["where"] = np.logical_and(number, mask)
        out, lost = reduction(**given), given.get("correction") or given.get("ddof", 0)
        enough = not lost or count_of(np.shape(x), axis, given.get("keepdims", False), number & mask) > lost
        return masked(out, enough, np.nan)

    f.__name__ = f.__qualname__ = f"nan{reduction.name}"
    f.__module__ = __name__  # where pickle looks for it
    f.__doc__ = f"Ignores NaN, and else does what `{reduction.name}` does, with the same parameters."
    return f


nansum, nanprod, nanmean, nanvar, nanstd = (_without_nan(f) for f in (sum, prod, mean, var, std))
nanmax, nanmin = _without_nan(reductions.max, -np.inf), _without_nan(reductions.min, np.inf)
counterparts.update({(np.fmax, "reduce"): "nanmax", (np.fmin, "reduce"): "nanmin"})


def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    """Adds up the `weights` of each integer in `x`. Without weights it counts, into a plain array."""
    sums = np.bincount(plain(x), plain(weights), minlength)
    return sums if weights is None else scatter(in_double(weights), np.asarray(plain(x)), sums.shape)


# Other forms of running sums and products, differences between neighbours


def _with_ends(x: Any, start: Any, end: Any, axis: int, dtype: Any = None) -> Any:
    """Join `start` and `end` to `x` along `axis`: each an array, a number, or None."""
    parts = [x if part is x else operand(part, x) for part in (start, x, end) if part is not None]
    parts = [part if part.ndim else broadcast_to(part, keepdims_shape(x.shape, axis)) for part in parts]
    return concatenate(parts, axis, dtype) if len(parts) > 1 else x


def _started(x: Any, axis: int | None, initial: float | None) -> tuple[Any, int]:
    x = operand(x)
    if axis is None and x.ndim > 1:
        raise ValueError(f"x is {x.ndim}-dimensional: axis is missing")
    x, axis = (reshape(x, (-1,)), 0) if axis is None else (x, axis)
    return _with_ends(x, initial if initial is None else x.dtype.type(initial), None, axis), axis


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


def diff(x: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """Subtracts each number from the next one along `axis`, `n` times. `prepend` and `append` are joined before."""
    x = operand(x)
    if n < 0 or not x.ndim:
        raise ValueError(f"diff: n is {n}, x is {x.ndim}-dimensional\nWant n of 0 or more, and an axis")
    x = _with_ends(x, prepend, append, axis) if n else x
    for _ in range(min(n, x.shape[normalize_axis_index(axis, x.ndim)])):  # then nothing is left
        x = (np.not_equal if x.dtype == bool else np.subtract)(cut(x, axis, 1), cut(x, axis, None, -1))  # as NumPy
    return x


def ediff1d(x: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Subtracts each number of the flattened `x` from the next one, between `to_begin` and `to_end`."""
    x = reshape(operand(x), (-1,))
    return _with_ends(x[1:] - x[:-1], to_begin, to_end, 0, x.dtype)


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
    f = as_float(operand(f))
    axes = normalize_axis_tuple(range(f.ndim) if axis is None else axis, f.ndim)
    spacing = as_floats(*(operand(h, f) for h in varargs or (1.0,)))
    if len(spacing) == 1 and not spacing[0].ndim:
        spacing *= len(axes)
    if len(spacing) != len(axes):
        raise TypeError(f"{len(spacing)} distances for {len(axes)} axes")
    slopes = tuple(_slope(f, h, a, edge_order) for h, a in zip(spacing, axes, strict=True))
    return slopes[0] if len(slopes) == 1 else slopes


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Integrates along `axis` by the trapezoidal rule, over points `x`, or over points at distance `dx`."""
    y = axes_last(as_float(operand(y)), axis)
    if x is not None:
        dx = diff(axes_last(as_float(operand(x, y)), axis if np.ndim(x) > 1 else -1))
    return (dx * (y[..., 1:] + y[..., :-1]) / 2).sum(-1)


def unwrap(p: Any, discont: float | None = None, axis: int = -1, *, period: float = 2 * math.pi) -> Any:
    """Adds multiples of `period` along `axis`, so that no step exceeds half of it. The gradient is that of `p`."""
    wrapped = plain_array(p)
    return p + (np.unwrap(wrapped, discont, axis, period=period) - wrapped)


# Lengths of vectors


def cosine_similarity(x1: Any, x2: Any, axis: int | None = None, eps: float = 1e-8) -> Any:
    """Computes the cosine of the angle between vectors along `axis`, whose lengths count as at least `eps`.

    Vectors of zeros have similarity 0. Without `axis`, it is the last: that of a vector, of each row, or the channels
    of images (N, H, W, C). Arrays of three axes need an `axis`.
    """
    x1, x2 = broadcast_arrays(*as_floats(x1, x2))
    axis = axes.channel_axis(x1) if axis is None else axis

    def squares(x: Any, s: Any) -> Any:
        return clip(sum(arithmetic.square(x), axis), (float(fixed(eps, "eps")) * s) ** 2, None)

    (x1, first, _), (x2, second, _) = (in_range(squares, x, axis) for x in (x1, x2))
    return sum(x1 * x2, axis) / (np.sqrt(first) * np.sqrt(second))


def normalize(x: Any, p: float = 2.0, axis: int | None = None, eps: float = 1e-12) -> Any:
    """Divides by the p-norm along `axis`, or by `eps` if that is larger.

    The gradient of the norm at 0 is 0. Without `axis`, it is the last: that of a vector, of each row, or the channels
    of images (N, H, W, C). Arrays of three axes need an `axis`.
    """
    axis = axes.channel_axis(x) if axis is None else axis
    norm = partial(vector_norm, axis=axis, keepdims=True, ord=p)
    x, length, _ = in_range(lambda x, s: arithmetic.maximum(norm(x), eps * s), as_float(x), axis, order_of_powers(p))
    return x / length
