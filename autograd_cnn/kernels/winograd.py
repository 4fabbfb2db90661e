"""Convolution with 3x3 windows, one pixel apart, in 16 multiplications a channel for 4 pixels rather than 36.

The minimal algorithm F(2x2, 3x3) of Winograd (Lavin and Gray, "Fast algorithms for convolutional neural networks",
2016): an output is cut into tiles of 2x2 pixels, each of which depends on 4x4 pixels of the image. With the constant
matrices A, B and G below, of a tile d and the weights w

    y = Aᵀ [(G w Gᵀ) ⊙ (Bᵀ d B)] A

where ⊙, summed over channels, is one matrix product for each of the 16 entries. Each factor is a linear map, so both
gradients follow by transposing: that of w is Gᵀ [(Bᵀ d B) ⊙ (A g Aᵀ)] G, and that of x is again a convolution. The
constants are 0, 1 and 1/2: rounding errors are no larger than those of the sum that is saved.

Larger weights are cut into parts of 3x3, each of which sees the image 3 pixels further on: channels side by side in
the products, and one sum. 5x5 weights take 64 multiplications for 4 pixels rather than 100.

Imports NumPy and its neighbours `memory` and `twins`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .memory import scratch
from .twins import twin

Array = NDArray[Any]

# (1/2)(1, 1, 1) is the first column's half of a value at +1, (1/2)(1, -1, 1) at -1: polynomials are multiplied by
# their values at 0, 1, -1 and infinity.
_G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]) / 2
_GG = np.kron(_G, _G)  # (16, 9): both axes at once


def parts(w_shape: tuple[int, ...]) -> tuple[int, int]:
    """Parts of 3x3 that cover weights (KH, KW, ...): down, across."""
    return -(-w_shape[0] // 3), -(-w_shape[1] // 3)


def transform_weights(w: Array) -> Array:
    """G w Gᵀ of every 3x3 part: (KH, KW, C, O) -> (16, parts * C, O)."""
    (high, wide), (kh, kw, inputs, outputs) = parts(w.shape), w.shape
    whole = np.zeros((3 * high, 3 * wide, inputs, outputs), w.dtype)
    whole[:kh, :kw] = w
    each = whole.reshape(high, 3, wide, 3, -1).transpose(1, 3, 0, 2, 4)
    return (_GG.astype(w.dtype) @ each.reshape(9, -1)).reshape(16, -1, outputs)


def collect_weights(u: Array, w_shape: tuple[int, ...]) -> Array:
    """Its adjoint, Gᵀ u G of every part: (16, parts * C, O) -> (KH, KW, C, O)."""
    (high, wide), (kh, kw, inputs, outputs) = parts(w_shape), w_shape
    each = (_GG.T.astype(u.dtype) @ u.reshape(16, -1)).reshape(3, 3, high, wide, -1).transpose(2, 0, 3, 1, 4)
    return each.reshape(3 * high, 3 * wide, inputs, outputs)[:kh, :kw]


def matrices(name: str, tiles: int, channels: int, dtype: Any) -> Array:
    """Scratch for 16 matrices (tiles, channels), the last row unused.

    An odd number of rows keeps the 16 from competing for the same lines of the cache.
    """
    return scratch(name, (16, tiles | 1, channels), dtype)


@twin("v")
def transform_images(x: Array, v: Array, top: int, left: int, down: int, across: int, parts: tuple[int, int]) -> None:
    """Bᵀ d B of every tile d, side by side for each part of the weights.

    Parameters
    ----------
    x : array (N, H, W, C)
    v : array (16, N * down * across or one more, parts * C)
        Written.
    top, left : int
        Rows and columns of zeros before the image; less than 0: of the image that are left out.
    down, across : int
        Tiles of each image.
    """
    n, height, width, channels = x.shape
    high, wide = 2 * down + 3 * parts[0] - 1, 2 * across + 3 * parts[1] - 1
    d = scratch("d", (n, high, wide, channels), x.dtype)
    d[...] = 0
    (r, r_to), (c, c_to) = (top, top + height), (left, left + width)
    inside = d[:, max(r, 0) : max(min(r_to, high), 0), max(c, 0) : max(min(c_to, wide), 0)]
    inside[...] = x[:, max(-r, 0) :, max(-c, 0) :][:, : inside.shape[1], : inside.shape[2]]
    half = scratch("half", (4, n, down, wide, channels), x.dtype)
    entries = v[:, : n * down * across].reshape(4, 4, n, down, across, *parts, channels).swapaxes(0, 1)
    for i in range(parts[0]):
        _differences([d[:, r : r + 2 * down - 1 : 2] for r in range(3 * i, 3 * i + 4)], half)
        for j in range(parts[1]):
            seen = [half[:, :, :, c : c + 2 * across - 1 : 2] for c in range(3 * j, 3 * j + 4)]
            _differences(seen, entries[..., i, j, :])


def _differences(d: list[Array], out: Array) -> None:
    """Bᵀ along one axis."""
    np.subtract(d[0], d[2], out=out[0])
    np.add(d[1], d[2], out=out[1])
    np.subtract(d[2], d[1], out=out[2])
    np.subtract(d[1], d[3], out=out[3])


@twin("y")
def collect_images(m: Array, b: Array, y: Array, down: int, across: int) -> None:
    """Aᵀ m A of every tile, and the bias.

    Parameters
    ----------
    m : array (16, N * down * across or one more, O)
    b : array (O,)
    y : array (N, H, W, O)
        Written; tiles may reach one row or column over its end.
    down, across : int
        Tiles of each image.
    """
    (n, height, width, channels), count = y.shape, len(y) * down * across
    entries = m[:, :count].reshape(4, 4, n, down, across, channels)
    sums = scratch("sums", (2, *entries.shape[1:]), m.dtype)
    _totals(entries, sums)
    sums[:, 1] += b  # the entry that all four pixels share
    even = (
        y
        if (height, width) == (2 * down, 2 * across)
        else scratch("even", (n, 2 * down, 2 * across, channels), y.dtype)
    )
    _totals(sums.swapaxes(0, 1), even.reshape(n, down, 2, across, 2, channels).transpose(4, 2, 0, 1, 3, 5))
    if even is not y:
        y[...] = even[:, :height, :width]


def _totals(m: Array, out: Array) -> None:
    """Aᵀ along one axis."""
    np.add(m[0], m[1], out=out[0])
    out[0] += m[2]
    np.subtract(m[1], m[2], out=out[1])
    out[1] -= m[3]


@twin("v")
def transform_gradients(g: Array, v: Array, down: int, across: int) -> None:
    """A g Aᵀ of every tile of g, the adjoint of `collect_images`.

    Parameters
    ----------
    g : array (N, H, W, O)
        Where it ends before a tile does, zeros follow.
    v : array (16, N * down * across or one more, O)
        Written.
    down, across : int
        Tiles of each image.
    """
    n, height, width, channels = g.shape
    even = g
    if (height, width) != (2 * down, 2 * across):
        even = scratch("even", (n, 2 * down, 2 * across, channels), g.dtype)
        even[:, height:] = even[:, :, width:] = 0
        even[:, :height, :width] = g
    half = scratch("half", (4, n, down, 2 * across, channels), g.dtype)
    _sums(even[:, 0::2], even[:, 1::2], half)
    entries = v[:, : n * down * across].reshape(4, 4, n, down, across, channels).swapaxes(0, 1)
    _sums(half[:, :, :, 0::2], half[:, :, :, 1::2], entries)


def _sums(first: Array, second: Array, out: Array) -> None:
    """A along one axis."""
    out[0] = first
    np.add(first, second, out=out[1])
    np.subtract(first, second, out=out[2])
    np.negative(second, out=out[3])
