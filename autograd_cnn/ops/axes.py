"""Axes, operands, and the scales of rows: what the files of operations share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from autograd_cnn.engine.arrays import FLOATS, NUMBERS, as_floats
from autograd_cnn.engine.numpy_calls import known
from autograd_cnn.engine.tensor import Tensor

Axis = int | tuple[int, ...] | None
Shape = int | Sequence[int]
X = TypeVar("X", bound=Any)


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """Return `axis` as a tuple of non-negative axes; NumPy ignores the axis of a 0-d array."""
    if axis is None or ndim == 0:
        normalize_axis_tuple(() if axis is None else axis, 1)  # NumPy takes 0 and -1 for a single number
        return tuple(range(ndim))
    return tuple(a % ndim for a in (axis if isinstance(axis, (tuple, list)) else (axis,)))


def keepdims_shape(shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """Return `shape` with 1 for each axis in `axis`."""
    axes = axes_of(axis, len(shape))
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def channel_axis(x: Any) -> int:
    """Return the last axis, unless `x` has three: PyTorch takes the second then."""
    if np.ndim(x) == 3:
        raise ValueError(f"x {np.shape(x)} has three axes\nThe last one: axis=-1. PyTorch takes the second: axis=1")
    return -1


def cut(x: Any, axis: int, start: int | None, stop: int | None = None) -> Any:
    """Take ``start:stop`` of `axis`."""
    return x[(slice(None),) * normalize_axis_index(axis, len(x.shape)) + (slice(start, stop),)]


def operand(x: Any, beside: Any = None) -> Any:
    """Return lists and numbers as arrays; `beside` float32 or more, in its precision."""
    if isinstance(x, Tensor) or (isinstance(x, np.ndarray) and (x.ndim or beside is None)):
        return x
    array = np.asarray(x)
    if array.dtype.kind not in NUMBERS:
        raise TypeError(f"{x!r:.40} is no array of numbers")
    if beside is None:
        return array
    weak = beside.dtype.kind in FLOATS and (beside.dtype != np.float16 or not array.ndim)
    return array.astype(np.result_type(beside.dtype, array.dtype.type().item() if weak else array.dtype))


def as_float(x: Any) -> Any:
    """Return integers as float64, and floats as they are."""
    return as_floats(x)[0]


def in_double(x: Any) -> Any:
    """Return integers and float16 as float64, in which NumPy computes some functions; float32 stays float32."""
    x = as_float(operand(x))
    return x.astype(float) if x.dtype == np.float16 else x


def fixed(value: Any, name: str) -> Any:
    """Return an argument without a rule, or raise an error if it requires a gradient."""
    if getattr(value, "requires_grad", False):
        raise TypeError(f"no rule for {name}, which requires a gradient\nPass {name}.detach()")
    return value


def cast(x: Any, dtype: Any) -> Any:
    """Convert a plain array to `dtype`, if that is given; floats only to floats or complex numbers."""
    if dtype is not None and np.dtype(dtype).kind not in {"f": FLOATS, "c": "c"}.get(np.asarray(x).dtype.kind, NUMBERS):
        raise TypeError(f"dtype is {np.dtype(dtype)}, which has no derivative\nConvert the result: .data.astype(dtype)")
    return x if dtype is None else np.asarray(x, dtype)


def of_first(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a form for `vmap` from ``f(x, *options)``, which takes all examples of the first operand alone."""
    return lambda primitive, args, batched, size: f(*args) if batched == {0} else NotImplemented


# Powers of two for rows whose sum of squares overflows or underflows, although the result does not. Products with them
# are exact. A row that fits keeps its bits, and costs two comparisons of its sum.


@cache
def _limits(dtype: Any, order: float) -> tuple[Any, Any, int]:
    """The roots of the least sum that has all its digits and of the greatest, and the greatest exponent."""
    info = np.finfo(dtype)
    least, most = (np.power(limit, 1 / order, dtype=dtype) for limit in (info.tiny / info.eps, info.max))
    return least, most, -int(info.minexp)


def rescaling(x: Any, axis: Any, size: Any, order: float = 1) -> Any:
    """Powers of two that bring the rows of `x` near 1 whose `size` does not fit its dtype, and 1 for the others.

    Parameters
    ----------
    x : (...)
    axis : int or tuple of int
        The axes of a row.
    size : array
        A sum of squares of each row, or of other powers. With the shape of `x`, a row has several sums.
    order : float
        The power of `size` that must fit: 2 if it is the root of a sum.

    Returns
    -------
    array or None
        One for each row. None if each is 1, as for ordinary numbers, rows of 0, and rows with NaN or infinity.
    """
    least, most, exponent = _limits(size.dtype, order)
    fits = (size >= least) & (size <= most)
    if known(fits) and fits.all():
        return None
    if fits.shape == x.shape:
        fits = fits.all(axis, keepdims=True)
    top = np.max(np.abs(x), axis, initial=0).reshape(fits.shape)
    fits = fits | (top == 0) | ~np.isfinite(top)
    if known(fits) and fits.all():
        return None
    powers = np.where(fits, 0, -np.clip(np.frexp(top)[1], -exponent, exponent))
    return np.ldexp(np.ones(fits.shape, size.real.dtype), powers)
