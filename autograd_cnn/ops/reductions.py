"""Sums, means and other reductions over axes, with NumPy's parameters after ours: ``(x, axis=None, keepdims=False)``.

Running sums and products keep their length.

`where` leaves elements out: they receive a gradient of exactly 0, whatever their value. `dtype` converts the elements
first, and the walk converts the gradient back. `initial` is a constant.
"""

from __future__ import annotations

import math
from inspect import signature
from typing import Any

import numpy as np

from autograd_cnn.checks import flag
from autograd_cnn.engine.declare import primitive
from autograd_cnn.engine.numpy_calls import known, peek, plain
from autograd_cnn.ops.arithmetic import conjugated, exp, in_dtype_of, live, masked, quotient, where
from autograd_cnn.ops.axes import Axis, as_float, axes_of, cast, cut, keepdims_shape, rescaling
from autograd_cnn.ops.indexing import concatenate
from autograd_cnn.ops.shapes import apart, broadcast_to, flip, reshape, together

__all__ = ["cumprod", "cumsum", "logsumexp", "max", "mean", "min", "prod", "std", "sum", "var"]


def spread(g: Any, shape: tuple[int, ...], axis: Axis = None, keepdims: bool = False, mask: Any = True) -> Any:
    """Repeat `g` along the axes that a reduction of `shape` removed: the adjoint of `sum`."""
    return masked(broadcast_to(g if keepdims or axis is None else reshape(g, keepdims_shape(shape, axis)), shape), mask)


def count_of(shape: tuple[int, ...], axis: Axis, keepdims: bool = False, mask: Any = True) -> Any:
    if mask is not True:
        return np.sum(np.broadcast_to(mask, shape), axis=axis, keepdims=keepdims)
    return math.prod(shape[a] for a in axes_of(axis, len(shape)))


UNSET = signature(np.sum).parameters["initial"].default  # NumPy's own default; None would refuse a sum of no numbers


def keeps(keepdims: Any, axis: Axis, ddof: bool = False) -> bool:
    """Return `keepdims`, unless a second axis, or `ddof`, was passed in its place."""
    if not isinstance(keepdims, bool):
        several = axis if isinstance(axis, tuple) else () if axis is None else (axis,)
        cure = f"Several axes: axis={(*several, keepdims)}" + f"; or ddof={keepdims}" * ddof
        flag(keepdims, "keepdims", cure if isinstance(keepdims, int) else "Other parameters by name: dtype=...")
    return keepdims


def _options(x: Any, axis: Axis, keepdims: Any, initial: Any = None, where: Any = True) -> tuple[Any, ...]:
    return x, axis, keeps(keepdims, axis), UNSET if initial is None else initial, where


def _options_of_sum(x: Any, axis: Axis, keepdims: Any, dtype: Any, initial: Any, where: Any) -> tuple[Any, ...]:
    return cast(x, dtype), axis, keeps(keepdims, axis), dtype, UNSET if initial is None else initial, where


def _options_of_var(
    x: Any, axis: Axis, keepdims: Any, ddof: Any, dtype: Any, where: Any, correction: Any
) -> tuple[Any, ...]:
    keepdims = keeps(keepdims, axis, True)
    if dtype is not None and np.dtype(dtype).kind == "c" and x.dtype.kind != "c":
        raise TypeError(f"dtype is {np.dtype(dtype)}, but a spread is a real number\nIn a precision: dtype=np.float64")
    if ddof != 0 and correction is not None:
        raise ValueError("ddof and correction can't be provided simultaneously.")
    x = as_float(np.asarray(cast(x, dtype)))
    return x, axis, keepdims, ddof if correction is None else correction, dtype, where, None


def _per(g: Any, count: Any, least: int) -> Any:
    """Divide `g` by the count, or by `least` if that is more, in the dtype of `g`."""
    return g / np.maximum(count, least).astype(g.dtype)


@primitive(batch="axes", complex=True, check=_options_of_sum)
def sum(
    x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None, initial: Any = None, where: Any = True
) -> Any:
    """Adds up the numbers along `axis`, or all of them.

    The sum of no numbers is 0.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> x = ag.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> ag.sum(x, axis=0)
    Tensor([4., 6.], float64, from sum)
    """
    return np.sum(x, axis, dtype=dtype, keepdims=keepdims, initial=initial, where=where)


sum.vjp(x=lambda g, x_shape, axis, keepdims, where: spread(g, x_shape, axis, keepdims, where))


@primitive(batch="axes", complex=True, check=_options_of_sum)
def prod(
    x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None, initial: Any = None, where: Any = True
) -> Any:
    """Multiplies the numbers along `axis`, or all of them.

    The product of no numbers is 1. The gradient is the product of all other numbers, also beside zeros.
    """
    return np.prod(x, axis, dtype=dtype, keepdims=keepdims, initial=initial, where=where)


def _others(x: Any, axis: Axis, initial: Any, mask: Any) -> Any:
    """Return for each element the product of all others: of those before it, and of those behind it."""
    rows = together(masked(x, mask, 1), axis)
    product = products_before(rows, -1) * flip(products_before(flip(rows, -1), -1), -1)
    return apart(product if initial is None else product * initial, x.shape, axis)


prod.vjp(
    x=lambda g, x, axis, keepdims, initial, where: (
        spread(g, x.shape, axis, keepdims, where) * _others(in_dtype_of(g, x), axis, initial, where)
    )
)


@primitive(
    batch="axes", complex=True,
    check=lambda x, axis, keepdims, dtype, where: (cast(x, dtype), axis, keeps(keepdims, axis), dtype, where),
)  # fmt: skip
def mean(x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None, where: Any = True) -> Any:
    """Takes the mean of the numbers along `axis`, or of all of them.

    The mean of no numbers is NaN.
    """
    return np.mean(x, axis, dtype=dtype, keepdims=keepdims, where=where)


mean.vjp(
    x=lambda g, x_shape, axis, keepdims, where: spread(
        _per(g, count_of(x_shape, axis, keepdims, where), 1), x_shape, axis, keepdims, where
    )
)


def _tied(x: Any, extreme: Any, axis: Axis, dtype: Any, initial: Any, mask: Any) -> Any:
    """Return 1 / (number of ties) at the extreme elements, 0 elsewhere, and NaN where the extreme is NaN."""
    x, extreme = plain((x, extreme))
    ties = np.logical_and(x == extreme, mask)
    count = ties.sum(axis=axis, keepdims=True)
    if initial is not None:
        count = count + np.logical_and(extreme == initial, (count == 0) | np.isfinite(extreme))
    return masked(np.divide(ties, count, dtype=dtype), mask)


@primitive(batch="axes", check=_options)
def max(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None, where: Any = True) -> Any:
    """Takes the largest number along `axis`, or of all.

    The result is NaN if one of the numbers is. Ties share the gradient evenly, also with an `initial` that is finite.

    Raises
    ------
    ValueError
        If there are no numbers.
    """
    return np.max(x, axis, keepdims=keepdims, initial=initial, where=where)


@primitive(batch="axes", check=_options)
def min(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None, where: Any = True) -> Any:
    """Takes the smallest number along `axis`, or of all.

    The result is NaN if one of the numbers is. Ties share the gradient evenly, also with an `initial` that is finite.

    Raises
    ------
    ValueError
        If there are no numbers.
    """
    return np.min(x, axis, keepdims=keepdims, initial=initial, where=where)


def _extreme_rule(g: Any, x: Any, out: Any, axis: Axis, keepdims: bool, initial: Any, where: Any) -> Any:
    share = _tied(x, spread(out, x.shape, axis, keepdims), axis, g.dtype, initial, where)
    gx = spread(g, x.shape, axis, keepdims, where)
    if known(g) and np.isfinite(peek(g)).all():
        return gx * share
    return masked(gx, share != 0) * share  # 0 of an infinite g is 0


max.vjp(x=_extreme_rule)
min.vjp(x=_extreme_rule)


def _shifted(x: Any, axis: Axis, mask: Any) -> Any:
    """Subtract one of the numbers along `axis`, so that the variance of equal numbers is exactly 0."""
    if mask is not True and x.dtype.kind == "c":
        return x - mean(x, axis, True, None, mask)
    if mask is not True:
        return x - max(1.0 * x, axis, True, -np.inf, mask)
    axes = axes_of(axis, len(x.shape))
    return x - x[tuple(slice(1) if i in axes else slice(None) for i in range(len(x.shape)))]


@primitive(batch="axes", complex=True, check=_options_of_var)
def var(
    x: Any, axis: Axis = None, keepdims: bool = False, ddof: float = 0, dtype: Any = None, where: Any = True,
    correction: float | None = None,
) -> Any:  # fmt: skip
    """Measures the spread along `axis`: the mean square of the distances from the mean.

    The sum of squares is divided by count - `ddof`, but at least 0; `correction` is another name of `ddof`. The
    gradient is 0 where all numbers are equal.
    """
    x = _shifted(x, axis, where)
    return np.var(x, axis, ddof=ddof, keepdims=keepdims, where=where)


def _var_rule(g: Any, x: Any, axis: Any, ddof: Any, keepdims: Any, where: Any, correction: Any) -> Any:
    """gx = g * 2 * (x - mean) / (count - ddof)"""
    lost = ddof if correction is None else correction
    weight = _per(g, count_of(x.shape, axis, keepdims, where) - lost, 0) * 2
    x = _shifted(in_dtype_of(g, x), axis, where)
    deviations = conjugated(masked(x - mean(x, axis, True, None, where), where))
    return spread(weight, x.shape, axis, keepdims, where) * deviations


@primitive(batch="axes", complex=True, check=_options_of_var)
def std(
    x: Any, axis: Axis = None, keepdims: bool = False, ddof: float = 0, dtype: Any = None, where: Any = True,
    correction: float | None = None,
) -> Any:  # fmt: skip
    """Measures the spread along `axis`: the square root of `var`, with its parameters.

    The gradient is 0 where all numbers are equal.
    """
    x = _shifted(x, axis, where)
    return np.std(x, axis, ddof=ddof, keepdims=keepdims, where=where)


def _std_rule(g: Any, x: Any, out: Any, axis: Any, ddof: Any, keepdims: Any, where: Any, correction: Any) -> Any:
    """The rule of the root, then that of `var`; neither changes with the scale of the numbers."""
    if (s := rescaling(masked(np.asarray(plain(x)), where), axis, np.asarray(plain(out)), 2)) is not None:
        x = in_dtype_of(g, x) * s.reshape(keepdims_shape(x.shape, axis))
        out = std(x, axis, keepdims, ddof, None, where, correction)
    return _var_rule(g * quotient(0.5, live(out, g)), x, axis, ddof, keepdims, where, correction)


var.vjp(x=_var_rule)
std.vjp(x=_std_rule)


@primitive(complex=True, batch="axes", check=lambda x, axis, keepdims: (x, axis, keeps(keepdims, axis)))
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Computes a smooth maximum over `axis`: ``log(sum(exp(x)))``.

    It is exact at ``|x| = 1000``. A -inf among finite numbers adds nothing. It is -inf for no numbers.

    An infinity takes the whole gradient, several share it evenly. If all numbers are -inf, the gradient is NaN.
    """
    top = np.max(np.real(x), axis, keepdims=True) if np.size(x) else x.dtype.type(0)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        out = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return out if keepdims else np.squeeze(out, axis)


def _shares(x: Any, out: Any, axis: Axis, keepdims: bool) -> Any:
    """Return softmax(x), normalised again: a rounding error in a large `out` would scale every element."""
    out = spread(out, x.shape, axis, keepdims)
    below, infinite = x - out, np.equal(plain(out), np.inf)
    if infinite.any():
        below = where(np.equal(plain(x), np.inf), 0, where(infinite, -np.inf, below))
    e = exp(below)
    return e / sum(e, axis, keepdims=True)


logsumexp.vjp(x=lambda g, x, out, axis, keepdims: spread(g, x.shape, axis, keepdims) * _shares(x, out, axis, keepdims))


def in_range(measure: Any, x: Any, axis: Any, order: float = 1) -> tuple[Any, Any, Any]:
    """Return `x`, its measure along `axis`, and None; if a measure does not fit its dtype, both of ``x * s``, and s.

    s has a power of two for each row. ``measure(x, s)`` is a sum of squares and of constants times ``s * s``, or a root
    of such a sum; its power of `order` must fit.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        size = measure(x, 1)
    s = rescaling(peek(x), axis, peek(size), order)
    if s is None:
        return x, size, None
    x = x * (s if s.ndim == len(x.shape) else np.expand_dims(s, axis))
    return x, measure(x, s), s


# Running sums and products along an axis. Their rules are scans in the opposite direction.


@primitive(batch="axis", complex=True)
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Adds up the numbers along `axis`, and keeps every partial sum.

    Without an axis, the array is flattened.
    """
    return np.cumsum(cast(x, dtype), axis, dtype=dtype)


cumsum.vjp(x=lambda g, x_shape, axis: reshape(flip(cumsum(flip(g, axis or 0), axis or 0), axis or 0), x_shape))


@primitive(batch="axis", complex=True)
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Multiplies the numbers along `axis`, and keeps every partial product.

    Without an axis, the array is flattened. The gradient is right beside zeros: its rule divides by no number.
    """
    return np.cumprod(cast(x, dtype), axis, dtype=dtype)


def products_before(x: Any, axis: int) -> Any:
    """Return for each element the product of those before it along `axis`, which is 1 for the first."""
    ones = np.ones(keepdims_shape(x.shape, axis), x.dtype)
    return cut(cumprod(concatenate([ones, x], axis), axis), axis, None, -1)


def _cumprod_rule(g: Any, x: Any, axis: int) -> Any:
    """gx[i] = x[0] ... x[i-1] * s[i], where s[i] = g[i] + x[i+1] * s[i+1]

    All s are computed in log2(n) steps: before each, s[i] has the terms of d elements of `g`, and the other factor of
    s[i+d] is jump[i] = x[i+1] ... x[i+d].
    """
    n = x.shape[axis]
    s, jump, d = g, cut(x, axis, 1), 1
    while d < n:
        s = concatenate([cut(s, axis, 0, n - d) + jump * cut(s, axis, d), cut(s, axis, n - d)], axis)
        jump = cut(jump, axis, 0, n - 2 * d if n > 2 * d else 0) * cut(jump, axis, d)
        d *= 2
    return products_before(x, axis) * s


cumprod.vjp(x=lambda g, x, axis: reshape(_cumprod_rule(g, reshape(in_dtype_of(g, x), g.shape), axis or 0), x.shape))
