"""Batch normalisation: the moments of each channel, the map to mean 0 and variance 1, and its gradient.

Arrays are treated as matrices with a column for each channel. Each tile sums its rows around its own mean while they
are in the cache. Then the moments of the tiles are merged (Chan, Golub and LeVeque, 1979), so large batches lose no
digits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .memory import empty, scratch
from .tiles import parts
from .twins import each_tile

Array = NDArray[Any]

LONG = 1024  # numbers up to which short rows are joined


def moments(x: Array) -> tuple[Array, Array]:
    """Mean and variance (divided by n, not n - 1) of each channel: (..., C) -> two arrays (C,); 0 of no numbers."""
    if not x.size:
        return np.zeros(x.shape[-1], x.dtype), np.zeros(x.shape[-1], x.dtype)
    (matrix,) = _matrices(x)
    count, channels = parts(x.size, len(matrix)), x.shape[-1]
    of_tiles, squares_of_tiles = np.empty((2, count * channels), x.dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # as the compiled twin
        each_tile(moments_tile, count, matrix, of_tiles, squares_of_tiles, products=True)
        counts = np.diff(len(matrix) * np.arange(count + 1) // count).astype(float)
        means = of_tiles.reshape(count, channels).astype(float)
        mean = counts @ means / counts.sum()
        squares = squares_of_tiles.reshape(count, channels).sum(axis=0, dtype=float) + counts @ (means - mean) ** 2
        return mean.astype(x.dtype), (squares / counts.sum()).astype(x.dtype)


def _matrices(*arrays: Array) -> list[Array]:
    """The arrays in C order, as matrices with a column for each channel."""
    return [np.ascontiguousarray(a).reshape(-1, a.shape[-1]) for a in arrays]


def normalise(x: Array, mean: Array, scale: Array, shift: Array) -> Array:
    """``(x - mean) * scale + shift``, channel by channel."""
    y = empty(x.shape, x.dtype)
    if y.size:
        matrix, out = _matrices(x, y)
        vectors = mean, scale, scale, shift  # there is no gradient to scale
        each_tile(affine_tile, parts(x.size, len(matrix)), matrix[:0], matrix, out, *vectors, whole=(3, 4, 5, 6))
    return y


def batch_norm_gradient(
    g: Array, x: Array, mean: Array, variance: Array, w: Array, eps: Any
) -> tuple[Array, Array, Array]:
    """Gradients of ``(x - mean) / sqrt(variance + eps) * w + b`` for x, w and b; mean and variance are those of x.

    See section 3 of Ioffe and Szegedy (2015). The gradients of w and b are also terms of the gradient of x. If `g` is
    writable, the gradient of x takes its place: then memory is read and written four times rather than five.
    """
    if not x.size:
        return np.zeros_like(x), np.zeros_like(w), np.zeros_like(w)
    matrices = _matrices(g, x)
    count = parts(x.size, len(matrices[0]))
    sums = np.empty((2 * count, len(mean)), x.dtype)
    each_tile(gradient_sums_tile, count, *matrices, sums, mean, whole=(3,), products=True)
    scale = 1 / np.sqrt(variance + np.asarray(eps, x.dtype))
    gb, gw = sums.reshape(count, 2, -1).sum(axis=0)
    gw *= scale
    g_scale, rows = scale * w, len(matrices[0])
    gx = g if g.flags.carray else empty(x.shape, x.dtype)
    slope, shift = -g_scale * scale * gw / rows, -g_scale * gb / rows
    vectors = mean, g_scale, slope, shift
    each_tile(affine_tile, count, *matrices, *_matrices(gx), *vectors, whole=(3, 4, 5, 6))
    return gx, gw, gb


def moments_tile(x: Array, mean: Array, squares: Array) -> None:
    """Write the mean of each column into `mean`, and the sum of squared deviations from it into `squares`."""
    channels = len(mean)
    rough = np.ones(len(x), x.dtype) @ x / x.dtype.type(len(x))
    wide, middle = _side_by_side(x, rough)
    centred = np.subtract(wide, middle, out=scratch("centred", wide.shape, x.dtype))
    np.add(rough, _sum(centred, channels) / x.dtype.type(len(x)), out=mean)
    squares[...] = _sum(np.square(centred, out=centred), channels)


def gradient_sums_tile(g: Array, x: Array, sums: Array, mean: Array) -> None:
    """Write the sums of `g` and of ``g * (x - mean)`` over each column into `sums`."""
    channels = len(mean)
    g, x, mean = _side_by_side(g, x, mean)
    centred = np.subtract(x, mean, out=scratch("centred", x.shape, x.dtype))
    sums[0] = _sum(g, channels)
    sums[1] = _sum(np.multiply(centred, g, out=centred), channels)


def affine_tile(g: Array, x: Array, y: Array, mean: Array, scale: Array, slope: Array, shift: Array) -> None:
    """Write ``(x - mean) * slope + shift`` into `y`, and add ``g * scale`` if `g` has rows; `y` may be `g`."""
    given, (x, y, mean, scale, slope, shift) = len(g), _side_by_side(x, y, mean, scale, slope, shift)
    if not given:
        np.subtract(x, mean, out=y)
        y *= slope
    else:
        np.multiply(g.reshape(x.shape), scale, out=y)
        y += np.multiply(x, slope, out=scratch("centred", x.shape, x.dtype))
        shift = shift - mean * slope
    y += shift


def _side_by_side(x: Array, *others: Array) -> tuple[Array, ...]:
    """Join rows of matrices into longer ones, and repeat vectors to match: NumPy has a fixed cost for each row."""
    rows, channels = x.shape
    times = math.gcd(rows, max(1, LONG // channels))
    return tuple(a.reshape(-1, times * channels) if a.ndim == 2 else np.tile(a, times) for a in (x, *others))


def _sum(x: Array, channels: int) -> Array:
    """Sum over each column of a matrix with joined rows.

    It makes fewer calls than `elementwise.sum_rows`, since threads wait for the interpreter between calls. That took a
    tenth of the time.
    """
    ones = np.ones(len(x), x.dtype)  # a product with ones is several times as fast as a sum
    total: Array = (ones @ x).reshape(-1, channels).sum(axis=0)
    return total
