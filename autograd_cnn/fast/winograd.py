"""Convolution with 3x3 windows, one pixel apart, in 36 multiplications a channel for 16 pixels rather than 144.

The minimal algorithm F(4x4, 3x3) of Winograd (Lavin and Gray, "Fast algorithms for convolutional neural networks",
2016) cuts an output into tiles of 4x4 pixels, each of which depends on 6x6 pixels of the image. For such a piece d of
the image, the weights w, and constant matrices A, B and G,

    y = Aᵀ [(G w Gᵀ) ⊙ (Bᵀ d B)] A

where ⊙, summed over channels, is one matrix product for each of the 36 entries. Each factor is a linear map, so both
gradients follow by transposing: that of w is Gᵀ [(Bᵀ d B) ⊙ (A g Aᵀ)] G, and that of x is again a convolution.

The algorithm multiplies polynomials through their values at five points and at infinity, and the points decide the
rounding errors (Barabasz and others, "Error analysis and improving the accuracy of Winograd convolution for deep neural
networks", 2020). In float32, with noise after relu, the largest error is 1.7e-6 of the largest output for 64 channels
and 3.4e-6 for 256; that of a plain sum by `columns` is 0.5e-6. The usual points 0, 1, -1, 2, -2 give 7e-6 and 15e-6.
Points in pairs p, -p halve the work of the transforms, and those of a pair and its reciprocals have the least errors.

Larger weights are cut into parts of 3x3; each part reads the image 3 pixels further on. In the products the parts are
additional channels, so the sum over channels includes them. 5x5 weights take 144 multiplications for 16 pixels rather
than 400.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from autograd_cnn.ops.windows import Pair, Shape

from . import spread
from .memory import empty, scratch
from .threads import map_tiles
from .tiles import Block, blocks, in_bands, in_parts, tiles

Array = NDArray[Any]
Directly = Callable[..., Any]

_POINTS = np.array([0, 2 / 3, -2 / 3, 3 / 2, -3 / 2])  # and infinity, which is the last row of each matrix
_OTHERS = [np.delete(_POINTS, i) for i in range(5)]
A = np.vstack([np.vander(_POINTS, 4, increasing=True), [0, 0, 0, 1]])
BT = np.vstack([*(np.append(np.poly(others)[::-1], 0) for others in _OTHERS), np.poly(_POINTS)[::-1]])
_SCALES = [np.prod(point - others) for point, others in zip(_POINTS, _OTHERS, strict=True)]
G = np.vstack([np.vander(_POINTS, 3, increasing=True) / np.array(_SCALES)[:, None], [0, 0, 1]])
_GG = np.kron(G, G)  # (36, 9): both axes at once


def parts(w_shape: Shape) -> Pair:
    """Number of 3x3 parts that cover weights (KH, KW, ...): (down, across)."""
    return -(-w_shape[0] // 3), -(-w_shape[1] // 3)


def conv2d(x: Array, w: Array, b: Array | None, y: Array, corner: Pair, directly: Directly) -> None:
    """Write the convolution of `x` with `w`, at stride 1, into `y`.

    ``directly(x, w, b, y, corner)`` computes images that hold a far pixel (see `spread`), and a block if most do.
    """
    w = w.astype(y.dtype, copy=False)
    bias = np.zeros(y.shape[3], y.dtype) if b is None else b.astype(y.dtype, copy=False)
    (u,) = map_tiles(lambda _: transform_weights(w), 1)
    work, concentration = cut(x, y, w.shape, corner), spread.concentration(w)

    def tile(index: int) -> None:
        x, y, corner = work[index]
        x = np.ascontiguousarray(x, w.dtype)
        far = ~spread.even(x, concentration)
        if 2 * np.count_nonzero(far) > len(far):  # so are identity kernels in the first steps of a training
            directly(x, w, b, y, corner)
            return
        with np.errstate(all="ignore"):  # far pixels are computed again
            v = _transformed(x, y, corner, w.shape)
            m = _matrices("m", v.shape[1], y.shape[3], y.dtype)
            np.matmul(v, u, out=m[:, : v.shape[1]])
            collect_images(m, bias, y)
        if far.any():
            part = np.empty_like(y[far])
            directly(x[far], w, b, part, corner)
            y[far] = part

    map_tiles(tile, len(work))


def weight_gradient(x: Array, g: Array, w_shape: Shape, corner: Pair, directly: Directly) -> Array:
    """Gradient of `conv2d` for `w`; ``directly(x, g, w_shape, corner)`` is that of images that hold a far pixel."""
    dtype = np.result_type(x, g)
    work = in_parts(cut(x, g, w_shape, corner))
    inputs, outputs = w_shape[2] * math.prod(parts(w_shape)), w_shape[3]
    totals = empty((len(work), 36, inputs, outputs), dtype)

    def compute(index: int) -> list[Array]:
        total = product = totals[index]  # the first product is the sum so far
        apart: list[Array] = []
        for block in work[index]:
            x, g = np.ascontiguousarray(block.x, dtype), np.ascontiguousarray(block.y, dtype)
            even = spread.even(x) & spread.even(g)
            if not even.all():
                apart.append(directly(x[~even], g[~even], w_shape, block.corner))
                x, g = (np.where(even[:, None, None, None], a, 0) for a in (x, g))
            v = _transformed(x, g, block.corner, w_shape)
            m = _matrices("m", v.shape[1], outputs, dtype)
            transform_gradients(g, m)
            np.matmul(v.swapaxes(1, 2), m[:, : v.shape[1]], out=product)
            if product is not total:
                total += product
            product = scratch("product", total.shape, dtype)
        return apart

    apart = map_tiles(compute, len(work))
    # One call sums each of the 36 entries: threads wait for the interpreter between calls.
    total = np.stack(map_tiles(lambda entry: np.add.reduce(totals[:, entry]), 36))
    return sum(itertools.chain(*apart), map_tiles(lambda _: collect_weights(total, w_shape), 1)[0])


def size_in_tiles(y: Array) -> Pair:
    """Number of 4x4 tiles of an image of outputs: (down, across)."""
    return -(-y.shape[1] // 4), -(-y.shape[2] // 4)


def cut(x: Array, y: Array, w_shape: Shape, corner: Pair, numbers: int = 36, most: int | None = None) -> list[Block]:
    """Cut into blocks that fit the cache, if a tile takes `numbers` numbers of each channel; or into at most `most`."""
    down, across = size_in_tiles(y)
    bytes_of_row = across * numbers * (x.shape[3] * math.prod(parts(w_shape)) + y.shape[3]) * y.itemsize
    in_tiles = (tiles if most is None else partial(in_bands, most=most))(len(y), down, bytes_of_row)
    in_rows = [(images, slice(4 * rows.start, 4 * rows.stop)) for images, rows in in_tiles]
    return blocks(x, y, in_rows, w_shape[0], (1, 1), corner)


def _transformed(x: Array, y: Array, corner: Pair, w_shape: Shape) -> Array:
    """Compute Bᵀ d B of every tile of a block, in scratch memory: (36, tiles, parts * C)."""
    count = len(y) * math.prod(size_in_tiles(y))
    v = _matrices("v", count, math.prod(parts(w_shape)) * x.shape[3], x.dtype)
    transform_images(x, v, corner, size_in_tiles(y), parts(w_shape))
    return v[:, :count]


def _matrices(name: str, tiles: int, channels: int, dtype: Any) -> Array:
    """Scratch for 36 matrices (tiles, channels); the last row may be unused.

    An odd number of rows keeps the 36 matrices from competing for the same lines of the cache.
    """
    return scratch(name, (36, tiles | 1, channels), dtype)


def transform_weights(w: Array) -> Array:
    """G w Gᵀ of every 3x3 part: (KH, KW, C, O) -> (36, parts * C, O)."""
    (high, wide), (kh, kw, inputs, outputs) = parts(w.shape), w.shape
    whole = np.zeros((3 * high, 3 * wide, inputs, outputs), w.dtype)
    whole[:kh, :kw] = w
    each = whole.reshape(high, 3, wide, 3, -1).transpose(1, 3, 0, 2, 4)
    return (_GG.astype(w.dtype) @ each.reshape(9, -1)).reshape(36, -1, outputs)


def collect_weights(u: Array, w_shape: Shape) -> Array:
    """The adjoint of `transform_weights`, Gᵀ u G of every part: (36, parts * C, O) -> (KH, KW, C, O)."""
    (high, wide), (kh, kw, inputs, outputs) = parts(w_shape), w_shape
    each = (_GG.T.astype(u.dtype) @ u.reshape(36, -1)).reshape(3, 3, high, wide, -1).transpose(2, 0, 3, 1, 4)
    return each.reshape(3 * high, 3 * wide, inputs, outputs)[:kh, :kw]


def transform_images(x: Array, v: Array, corner: Pair, tiles: Pair, parts: Pair) -> None:
    """Write Bᵀ d B of every tile d into `v`, with the parts of the weights side by side.

    Parameters
    ----------
    x : array (N, H, W, C)
    v : array (36, N * down * across or one more, parts * C)
        Written.
    corner : (rows, columns)
        Zeros before the image; if negative, to cut off.
    tiles : (down, across)
        Number of those of each image.
    """
    (n, height, width, channels), (top, left), (down, across) = x.shape, corner, tiles
    high, wide = 4 * down + 3 * parts[0] - 1, 4 * across + 3 * parts[1] - 1
    image = scratch("image", (n, high, wide, channels), x.dtype)
    image[...] = 0
    (r, r_to), (c, c_to) = (top, top + height), (left, left + width)
    inside = image[:, max(r, 0) : max(min(r_to, high), 0), max(c, 0) : max(min(c_to, wide), 0)]
    inside[...] = x[:, max(-r, 0) :, max(-c, 0) :][:, : inside.shape[1], : inside.shape[2]]
    of_image, of_row, of_pixel, _ = image.strides
    steps = of_row, of_pixel, of_image, 4 * of_row, 4 * of_pixel, 3 * of_row, 3 * of_pixel, x.itemsize
    windows = as_strided(image, (6, 6, n, down, across, *parts, channels), steps, writeable=False)
    d = scratch("d", windows.shape, x.dtype)
    d[...] = windows
    _both_axes(BT, d.reshape(6, 6, -1), v[:, : n * down * across].reshape(6, 6, -1))


def _both_axes(matrix: Array, tiles: Array, out: Array) -> None:
    """Write matrix · tile · matrixᵀ of every tile into `out`: (k, k, n) -> (m, m, n)."""
    matrix = matrix.astype(tiles.dtype)
    half = scratch("half", (len(out), *tiles.shape[1:]), tiles.dtype)
    np.matmul(matrix, tiles.swapaxes(0, 1), out=half.swapaxes(0, 1))
    np.matmul(matrix, half, out=out)


def collect_images(m: Array, b: Array, y: Array) -> None:
    """Write Aᵀ m A of every tile, plus the bias, into `y`.

    Parameters
    ----------
    m : array (36, N * down * across or one more, O)
    b : array (O,)
    y : array (N, H, W, O)
        Written; the last tiles may extend up to three rows and columns beyond it.
    """
    (n, height, width, channels), (down, across) = y.shape, size_in_tiles(y)
    count = n * down * across
    pixels = scratch("pixels", (4, 4, n, down, across, channels), y.dtype)
    _both_axes(A.T, m[:, :count].reshape(6, 6, -1), pixels.reshape(4, 4, -1))
    even = y
    if (height, width) != (4 * down, 4 * across) or not y.flags.c_contiguous:
        even = scratch("even", (n, 4 * down, 4 * across, channels), y.dtype)
    np.add(pixels.transpose(2, 3, 0, 4, 1, 5), b, out=even.reshape(n, down, 4, across, 4, channels))
    if even is not y:
        y[...] = even[:, :height, :width]


def transform_gradients(g: Array, v: Array) -> None:
    """Write A g Aᵀ of every tile of g into `v`: the adjoint of `collect_images`.

    Parameters
    ----------
    g : array (N, H, W, O)
        Treated as 0 where the last tiles extend beyond it.
    v : array (36, N * down * across or one more, O)
        Written.
    """
    (n, height, width, channels), (down, across) = g.shape, size_in_tiles(g)
    even = g
    if (height, width) != (4 * down, 4 * across):
        even = scratch("even", (n, 4 * down, 4 * across, channels), g.dtype)
        even[:, height:] = even[:, :, width:] = 0
        even[:, :height, :width] = g
    pixels = scratch("pixels", (4, 4, n, down, across, channels), g.dtype)
    pixels[...] = even.reshape(n, down, 4, across, 4, channels).transpose(2, 4, 0, 1, 3, 5)
    _both_axes(A, pixels.reshape(4, 4, -1), v[:, : n * down * across].reshape(6, 6, -1))
