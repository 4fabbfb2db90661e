"""Running sums and products along an axis. Their rules are scans in the opposite direction."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd_cnn.engine.primitive import primitive
from autograd_cnn.ops.arithmetic import in_dtype_of
from autograd_cnn.ops.axes import cast, cut, keepdims_shape
from autograd_cnn.ops.joining import concatenate
from autograd_cnn.ops.shapes import flip, reshape

__all__ = ["cumprod", "cumsum"]


def _examples(rng: np.random.Generator) -> list[Any]:
    x = rng.normal(size=(2, 5))
    return [(x,), (x, 1), (x, 0), (x * [1, 1, 0, 1, 0], -1)]


@primitive(batch="axis", complex=True, examples=_examples)
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Adds up the numbers along `axis`, and keeps every partial sum.

    Without an axis, the array is flattened.
    """
    return np.cumsum(cast(x, dtype), axis, dtype=dtype)


cumsum.vjp(x=lambda g, x_shape, axis: reshape(flip(cumsum(flip(g, axis or 0), axis or 0), axis or 0), x_shape))


@primitive(batch="axis", complex=True, examples=_examples)
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
        jump = cut(jump, axis, 0, max(n - 2 * d, 0)) * cut(jump, axis, d)
        d *= 2
    return products_before(x, axis) * s


cumprod.vjp(x=lambda g, x, axis: reshape(_cumprod_rule(g, reshape(in_dtype_of(g, x), g.shape), axis or 0), x.shape))
