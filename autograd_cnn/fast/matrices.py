"""Multiplies large matrices in blocks: with Numba by the compiled product of convolutions, else by BLAS.

BLAS has its own threads. After a product they stay awake for some milliseconds in case another one follows, and occupy
the cores that the tiles of the next operation need: with them, a training step took half as long again.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from autograd_cnn.ops.windows import Shape

from .mailbox import Plan, carved, kept
from .memory import empty
from .threads import each_part
from .tiles import laid_out, pieces
from .twins import compiled_pass, kernel_set

Array = NDArray[Any]

SMALL = 1 << 18  # multiplications below which BLAS uses one thread anyway
LARGE = 1 << 23  # multiplications from which a second thread of Python pays off
NARROW = 64  # rows or columns below which a block costs more than it saves
BLOCKS = 16  # most blocks of one product
MOST = 1 << 10  # products of a stack; the plan of more would take much memory
LONG = 1 << 10  # terms of a sum from which a single block is cut
DEEP, WIDE, TALL = 256, 64, 192  # of the parts of the compiled product: they stay in a core's caches
_FLOATS = {np.dtype(np.float32), np.dtype(np.float64)}
UNIT, UNITS = 32, 4  # rows or columns of a block of the compiled product are a multiple of UNIT; as many units at least


def matmul(x: Array, y: Array, b: Array | None = None) -> Array:
    """``x @ y + b``.

    Examples
    --------
    >>> x, y = np.ones((400, 300)), np.ones((300, 200))
    >>> np.array_equal(matmul(x, y), x @ y)
    True
    """
    stack, work = x.shape[:-2], 0
    if x.ndim > 1 < y.ndim:
        stack = stack if stack == y.shape[:-2] else np.broadcast_shapes(stack, y.shape[:-2])
        work = math.prod((*stack, *x.shape[-2:], y.shape[-1]))
    if work < SMALL:
        out = np.matmul(x, y)
    elif math.prod(stack) <= MOST and _suit(x, y, b):
        return product(x, y, b, stack)
    else:
        out = _by_blas(x, y, stack, work)
    if b is None:
        return out
    return np.add(out, b, out=out) if out.dtype == np.result_type(out, b) else out + b


def _suit(x: Array, y: Array, b: Array | None) -> bool:
    """Whether the compiled product computes ``x @ y + b`` faster than BLAS."""
    kinds = {a.dtype for a in (x, y, b) if a is not None}
    quick = x.shape[-2] > 1 or y.flags.c_contiguous  # a copy of `y` takes longer than one row by BLAS
    return kernel_set() == "numba" and kinds <= _FLOATS and len(kinds) == 1 and x.flags.aligned and quick


def product(x: Array, y: Array, b: Array | None = None, stack: Shape = (), out: Array | None = None) -> Array:
    """``x @ y + b`` of matrices of floats, or stacks of them, by `compiled.products`; they may have any strides.

    It needs no thread of BLAS: those wait for each other while another process keeps a core busy.
    """
    if min(y.strides) < 0 or not y.flags.aligned or np.may_share_memory(x, y):  # see `Plan.lasts`
        y = y.copy("K")
    (rows, depth), columns = x.shape[-2:], y.shape[-1]
    longest = max(rows, columns)
    # A small matrix of long sums, such as a gradient of weights, is the sum of several.
    layers = pieces(depth, depth if stack or longest > UNITS * UNIT else LONG, BLOCKS)
    out = empty((*stack, rows, columns), x.dtype) if out is None else out
    bias = np.zeros((len(layers), columns), x.dtype)
    totals = out[None] if len(layers) == 1 else empty((len(layers), rows, columns), x.dtype)
    bias[0] = 0 if b is None else b

    def plan() -> Plan:
        most = max(1, BLOCKS // math.prod(stack))
        units = [slice(UNIT * n.start, min(longest, UNIT * n.stop)) for n in pieces(-(-longest // UNIT), UNITS, most)]
        cut = [(n, slice(0, columns)) if rows == longest else (slice(0, rows), n) for n in units]
        xs, ys = (np.broadcast_to(a, (*stack, *a.shape[-2:])) for a in (x, y))
        work = [
            (xs[at][r, layer], ys[at][layer, c], start[c], total[at][r, c])
            for at in np.ndindex(stack)
            for r, c in cut
            for layer, start, total in zip(layers, bias, totals, strict=True)
        ]
        code = compiled_pass("products.address")(x.dtype)
        area, buffers = carved(x.dtype, [[(DEEP * WIDE,)]] * len(work))
        calls = [
            (code, *laid_out(left), _span(right), laid_out(right)[2], start, _span(part), columns, len(start), packed)
            for (left, right, start, part), (packed,) in zip(work, buffers, strict=True)
        ]
        return Plan(compiled_pass("products.matmul"), calls, (x, y, bias, totals), area)

    kept(("matmul", x.dtype, x.shape, x.strides, y.shape, y.strides), plan).run(x, y, bias, totals)
    return out if len(layers) == 1 else np.sum(totals, axis=0, out=out)


def _span(a: Array) -> Array:
    """All numbers in memory from the first to the last one of a matrix."""
    last = sum((n - 1) * step for n, step in zip(*laid_out(a)[1:], strict=True))
    return as_strided(a, (last + 1,), (a.itemsize,))


def _by_blas(x: Array, y: Array, stack: Shape, work: int) -> Array:
    """``x @ y`` in blocks: of the products of a stack, or of the rows or the columns of one product."""
    out = empty((*stack, x.shape[-2], y.shape[-1]), np.result_type(x, y))
    most = stack[0] if stack else -(-max(out.shape) // NARROW) if min(out.shape) > 1 else 1
    given: tuple[Array, ...] = x, y, out
    if stack:
        given = *(np.broadcast_to(a, (*stack, *a.shape[-2:])) for a in (x, y)), out
    elif len(x) < y.shape[1]:
        given = y.T, x.T, out.T
    count = min(BLOCKS, most) if work >= LARGE else 1
    each_part(np.matmul, count, *given, whole=() if stack else (1,), products=True)
    return out
