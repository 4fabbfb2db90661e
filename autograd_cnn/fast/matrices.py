"""Products of large matrices, in blocks, on the threads of `threads`.

BLAS has its own threads. After a product they stay awake for some milliseconds in case another one follows, and occupy
the cores that the tiles of the next operation need: with them, a training step took half as long again.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .memory import empty
from .threads import each_part

Array = NDArray[Any]

SMALL = 1 << 18  # multiplications below which BLAS uses one thread anyway
LARGE = 1 << 23  # multiplications from which a second thread pays off
NARROW = 64  # rows or columns below which a block costs more than it saves
BLOCKS = 16  # most blocks of one product


def matmul(x: Array, y: Array) -> Array:
    """``x @ y``.

    Examples
    --------
    >>> x, y = np.ones((400, 300)), np.ones((300, 200))
    >>> np.array_equal(matmul(x, y), x @ y)
    True
    """
    if max(x.ndim, y.ndim) > 2 and min(x.ndim, y.ndim) > 1:
        return _stacked(x, y)
    work = len(x) * y.size
    if not (x.ndim == y.ndim == 2) or len(x) == 1 or work < SMALL:
        return np.matmul(x, y)
    out = empty((len(x), y.shape[1]), np.result_type(x, y))
    longest = max(out.shape)
    count = min(BLOCKS, -(-longest // NARROW)) if min(out.shape) > 1 and work >= LARGE else 1
    if len(out) == longest:
        each_part(_product, count, x, y, out, whole=(1,), products=True)
    else:
        each_part(lambda x, y, out: _product(x, y.T, out.T), count, x, y.T, out.T, whole=(0,), products=True)
    return out


def _product(x: Array, y: Array, out: Array) -> None:
    np.matmul(x, y, out=out)


def _stacked(x: Array, y: Array) -> Array:
    """Multiply stacks of matrices, which broadcast, in blocks of whole products."""
    stack = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    work = math.prod(stack) * x.shape[-2] * y.shape[-2] * y.shape[-1]
    if work < SMALL:
        return np.matmul(x, y)
    out = empty((*stack, x.shape[-2], y.shape[-1]), np.result_type(x, y))
    x, y = (np.broadcast_to(a, (*stack, *a.shape[-2:])) for a in (x, y))
    each_part(_product, min(BLOCKS, stack[0]) if work >= LARGE else 1, x, y, out, products=True)
    return out
