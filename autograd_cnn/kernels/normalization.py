"""Batch normalisation: the moments of each channel, the map to mean 0 and variance 1, and its gradient.

Rows are everything but the last axis. Each tile sums up rows around its own mean while it has them in the cache, and
the moments of tiles are merged (Chan, Golub and LeVeque, 1979), so that large batches lose no digits.

Imports NumPy and its neighbours `elementwise`, `memory`, `threads` and `twins`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .elementwise import tile_size
from .memory import empty, scratch
from .threads import map_tiles
from .twins import twin

Array = NDArray[Any]

LONG = 1024  # numbers in a row


def moments(x: Array) -> tuple[Array, Array]:
    """Mean and variance (over n, not n - 1) of each channel: (..., C) -> two (C,)."""

    def tile(x: Array) -> tuple[int, Array, Array]:
        mean, squares = np.empty((2, x.shape[1]), x.dtype)
        _moments(x, mean, squares)
        return len(x), mean, squares

    parts = _map_rows(tile, x)
    counts = np.array([count for count, _, _ in parts], float)
    means = np.array([mean for _, mean, _ in parts], float)
    mean = counts @ means / counts.sum()
    squares = np.sum([squares for _, _, squares in parts], axis=0, dtype=float) + counts @ (means - mean) ** 2
    return mean.astype(x.dtype), (squares / counts.sum()).astype(x.dtype)


def normalise(x: Array, mean: Array, scale: Array, shift: Array) -> Array:
    """``(x - mean) * scale + shift``, channel by channel."""
    y = empty(x.shape, x.dtype)
    _map_rows(lambda x, y: _normalise(x, y, mean, scale, shift), x, y)
    return y


def batch_norm_gradient(
    g: Array, x: Array, mean: Array, variance: Array, w: Array, eps: float
) -> tuple[Array, Array, Array]:
    """Gradients for x, w and b of ``(x - mean) / sqrt(variance + eps) * w + b``, whose mean and variance are x's own.

    Section 3 of Ioffe and Szegedy, with the sums that w and b need anyway.
    """

    def tile(g: Array, x: Array) -> Array:
        sums = np.empty((2, x.shape[1]), x.dtype)
        _project(g, x, sums, mean)
        return sums

    scale = 1 / np.sqrt(variance + x.dtype.type(eps))
    gb, gw = np.sum(_map_rows(tile, g, x), axis=0)
    gw *= scale
    count = x.size // x.shape[-1]
    slope = scale * w
    gx = empty(x.shape, x.dtype)
    bend, shift = -slope * scale * gw / count, -slope * gb / count
    _map_rows(lambda g, x, gx: _pull_back(g, x, gx, mean, slope, bend, shift), g, x, gx)
    return gx, gw, gb


def _map_rows(function: Callable[..., Any], *arrays: Array) -> list[Any]:
    channels = arrays[0].shape[-1]
    flat = [np.ascontiguousarray(a).reshape(-1, channels) for a in arrays]
    step = max(1, tile_size(arrays[0].size) // channels)

    def tile(index: int) -> Any:
        return function(*(a[index * step : (index + 1) * step] for a in flat))

    return map_tiles(tile, -(-len(flat[0]) // step))


@twin("mean", "squares")
def _moments(x: Array, mean: Array, squares: Array) -> None:
    channels = len(mean)
    rough = np.ones(len(x), x.dtype) @ x / x.dtype.type(len(x))
    wide, middle = _side_by_side(x, rough)
    centred = np.subtract(wide, middle, out=scratch("centred", wide.shape, x.dtype))
    np.add(rough, _sum(centred, channels) / x.dtype.type(len(x)), out=mean)
    squares[...] = _sum(np.square(centred, out=centred), channels)


@twin("y")
def _normalise(x: Array, y: Array, mean: Array, scale: Array, shift: Array) -> None:
    x, y, mean, scale, shift = _side_by_side(x, y, mean, scale, shift)
    np.subtract(x, mean, out=y)
    y *= scale
    y += shift


@twin("sums")
def _project(g: Array, x: Array, sums: Array, mean: Array) -> None:
    """Sums of g, and of g times x around its mean."""
    channels = len(mean)
    g, x, mean = _side_by_side(g, x, mean)
    centred = np.subtract(x, mean, out=scratch("centred", x.shape, x.dtype))
    sums[0] = _sum(g, channels)
    sums[1] = _sum(np.multiply(centred, g, out=centred), channels)


@twin("gx")
def _pull_back(g: Array, x: Array, gx: Array, mean: Array, slope: Array, bend: Array, shift: Array) -> None:
    g, x, gx, slope, bend, shift = _side_by_side(g, x, gx, slope, bend, shift - mean * bend)
    np.multiply(x, bend, out=gx)
    gx += np.multiply(g, slope, out=scratch("centred", x.shape, x.dtype))
    gx += shift


def _side_by_side(x: Array, *others: Array) -> tuple[Array, ...]:
    """Rows of matrices joined to longer ones, and vectors repeated as often: NumPy begins anew with each row."""
    rows, channels = x.shape
    times = math.gcd(rows, max(1, LONG // channels))
    return tuple(a.reshape(-1, times * channels) if a.ndim == 2 else np.tile(a, times) for a in (x, *others))


def _sum(x: Array, channels: int) -> Array:
    """As `sum_rows`, in fewer calls, between which threads wait for the interpreter: a tenth of the whole."""
    ones = np.ones(len(x), x.dtype)  # products with ones are several times as fast as sums
    total: Array = (ones @ x).reshape(-1, channels).sum(axis=0)
    return total
