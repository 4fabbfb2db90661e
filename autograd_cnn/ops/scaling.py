"""Powers of two for rows whose sum of squares overflows or underflows, although the result does not.

Products with powers of two are exact. A row that fits keeps its bits, and costs two comparisons of its sum.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.engine.numpy_calls import known

Array = NDArray[Any]


@cache
def _limits(dtype: Any, order: float) -> tuple[Any, Any, int]:
    """The roots of the least sum that has all its digits and of the greatest, and the greatest exponent."""
    info = np.finfo(dtype)
    least, most = (np.power(limit, 1 / order, dtype=dtype) for limit in (info.tiny / info.eps, info.max))
    return least, most, -int(info.minexp)


def rescaling(x: Array, axis: Any, size: Array, order: float = 1) -> Array | None:
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
