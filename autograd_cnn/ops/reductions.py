"""Sums, means and other reductions over axes, with NumPy's parameters: ``(x, axis=None, keepdims=False)``."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from autograd_cnn.engine.primitive import primitive
from autograd_cnn.kernels import elementwise
from autograd_cnn.kernels.tiles import SMALL
from autograd_cnn.ops.arithmetic import exp, sqrt, where
from autograd_cnn.ops.shapes import Axis, broadcast_to, reshape

__all__ = ["logsumexp", "max", "mean", "min", "std", "sum", "var"]


def _axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """Returns `axis` as a tuple of non-negative axes."""
    if axis is None:
        return tuple(range(ndim))
    return tuple(a % ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def _kept(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """Returns `shape` with 1 for each axis in `axis`."""
    axes = _axes(axis, len(shape))
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def spread(g: Any, shape: tuple[int, ...], axis: Axis = None, keepdims: bool = False) -> Any:
    """Repeats `g` along the axes that a reduction of `shape` removed: the adjoint of `sum`."""
    return broadcast_to(g if keepdims or axis is None else reshape(g, _kept(shape, axis)), shape)


def _count(shape: tuple[int, ...], axis: Axis) -> int:
    return math.prod(shape[a] for a in _axes(axis, len(shape)))


def _examples(rng: np.random.Generator) -> list[Any]:
    x = rng.normal(size=(2, 3, 4))
    return [(x,), ((x, 1), {}), ((x, (0, -1)), {"keepdims": True})]


@primitive(examples=_examples)
def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Adds up the numbers along `axis`, or all of them.

    The sum of no numbers is 0.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> x = ag.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> ag.sum(x, axis=0)
    Tensor([4., 6.], float64, from sum)
    """
    large = np.size(x) >= SMALL and x.dtype.char in "fd"
    if large and not keepdims and _axes(axis, x.ndim) == tuple(range(x.ndim - 1)):
        return elementwise.sum_rows(x)
    return np.sum(x, axis=axis, keepdims=keepdims)


sum.vjp(x=lambda g, x_shape, axis, keepdims: spread(g, x_shape, axis, keepdims))


@primitive(examples=_examples)
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Takes the mean of the numbers along `axis`, or of all of them.

    The mean of no numbers is NaN.
    """
    return np.mean(x, axis=axis, keepdims=keepdims)


mean.vjp(
    x=lambda g, x_shape, axis, keepdims: spread(g / builtins.max(_count(x_shape, axis), 1), x_shape, axis, keepdims)
)


def _tied(x: Any, extreme: Any, axis: Axis, dtype: Any) -> Any:
    """Returns 1 / (number of ties) at the extreme elements, 0 elsewhere, and NaN where the extreme is NaN."""
    ties = x == extreme
    return (ties / ties.sum(axis=axis, keepdims=True)).astype(dtype)


@primitive(examples=_examples)
def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Takes the largest number along `axis`, or of all.

    The result is NaN if one of the numbers is. Ties share the gradient evenly.

    Raises
    ------
    ValueError
        If there are no numbers.
    """
    return np.max(x, axis=axis, keepdims=keepdims)


@primitive(examples=_examples)
def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Takes the smallest number along `axis`, or of all.

    The result is NaN if one of the numbers is. Ties share the gradient evenly.

    Raises
    ------
    ValueError
        If there are no numbers.
    """
    return np.min(x, axis=axis, keepdims=keepdims)


for _extreme in (max, min):
    _extreme.vjp(
        x=lambda g, x, out, axis, keepdims: (
            spread(g, x.shape, axis, keepdims) * _tied(x, spread(out, x.shape, axis, keepdims), axis, g.dtype)
        )
    )


def _shifted(x: Any, axis: Axis) -> Any:
    """Subtracts the first element along `axis`, so that the variance of equal numbers is exactly 0."""
    axes = _axes(axis, len(x.shape))
    return x - x[tuple(slice(1) if i in axes else slice(None) for i in range(len(x.shape)))]


def _centred(x: Any, axis: Axis) -> Any:
    x = _shifted(x, axis)
    return x - mean(x, axis, keepdims=True)


def _freedom(shape: tuple[int, ...], axis: Axis, ddof: int) -> float:
    """Returns 1 / (count - ddof), or inf if count equals ddof."""
    return float(np.divide(1.0, _count(shape, axis) - ddof))


@primitive(examples=_examples)
def var(x: Any, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """Measures the spread along `axis`: the mean square of the distances from the mean.

    The sum of squares is divided by count - `ddof`. The gradient is 0 where all numbers are equal.
    """
    return np.var(_shifted(x, axis), axis=axis, ddof=ddof, keepdims=keepdims)


var.vjp(
    x=lambda g, x, axis, ddof, keepdims: (
        spread(g, x.shape, axis, keepdims) * _centred(x, axis) * (2 * _freedom(x.shape, axis, ddof))
    )
)


@primitive(examples=_examples)
def std(x: Any, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """Measures the spread along `axis`: the square root of `var`.

    The gradient is 0 where all numbers are equal.
    """
    return np.std(_shifted(x, axis), axis=axis, ddof=ddof, keepdims=keepdims)


def _std_slope(x: Any, axis: Axis, ddof: int) -> Any:
    centred = _centred(x, axis)
    variance = sum(centred * centred, axis, keepdims=True) * _freedom(x.shape, axis, ddof)
    flat = variance == 0
    return where(flat, 0, centred * _freedom(x.shape, axis, ddof) / sqrt(where(flat, 1, variance)))


std.vjp(x=lambda g, x, axis, ddof, keepdims: spread(g, x.shape, axis, keepdims) * _std_slope(x, axis, ddof))


@primitive(examples=_examples)
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Computes a smooth maximum over `axis`: ``log(sum(exp(x)))``.

    It is exact at ``|x| = 1000``. A -inf among finite numbers adds nothing.
    """
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        out = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return out if keepdims else np.squeeze(out, axis)


def _shares(x: Any, out: Any, axis: Axis, keepdims: bool) -> Any:
    """Returns the softmax of `x`, divided by its sum, since the rounding error of a large `out` scales all of it."""
    e = exp(x - spread(out, x.shape, axis, keepdims))
    return e / sum(e, axis, keepdims=True)


logsumexp.vjp(x=lambda g, x, out, axis, keepdims: spread(g, x.shape, axis, keepdims) * _shares(x, out, axis, keepdims))
