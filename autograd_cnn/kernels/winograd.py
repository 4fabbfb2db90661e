"""Convolution with 3x3 windows, one pixel apart, in 16 multiplications a channel for 4 pixels rather than 36.

The minimal algorithm F(2x2, 3x3) of Winograd (Lavin and Gray, "Fast algorithms for convolutional neural networks",
2016): an output is cut into tiles of 2x2 pixels, each of which depends on 4x4 pixels of the image. For such a piece d
of the image, the weights w and constant matrices A, B and G,

    y = Aᵀ [(G w Gᵀ) ⊙ (Bᵀ d B)] A

where ⊙, summed over channels, is one matrix product for each of the 16 entries. Each factor is a linear map, so both
gradients follow by transposing: that of w is Gᵀ [(Bᵀ d B) ⊙ (A g Aᵀ)] G, and that of x is again a convolution. The
constants are 0, 1 and 1/2, so rounding errors are no larger than those of the plain sum.

Larger weights are cut into parts of 3x3; each part reads the image 3 pixels further on. In the products the parts are
additional channels, so the sum over channels includes them. 5x5 weights take 64 multiplications for 4 pixels rather
than 100.

Imports NumPy and its neighbours `memory`, `threads`, `tiles`, `twins` and `windows`.
"""

from __future__ import annotations

import itertools
import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .memory import empty, scratch
from .threads import map_tiles
from .tiles import in_parts, tiles
from .twins import twin
from .windows import Padding, Pair, Shape

Array = NDArray[Any]

# The algorithm multiplies polynomials through their values at 0, 1, -1 and infinity. These rows evaluate the weights
# there, halved at 1 and -1.
_G = np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]) / 2
_GG = np.kron(_G, _G)  # (16, 9): both axes at once


def parts(w_shape: Shape) -> tuple[int, int]:
    """Number of 3x3 parts that cover weights (KH, KW, ...): (down, across)."""
    return -(-w_shape[0] // 3), -(-w_shape[1] // 3)


def conv2d(x: Array, w: Array, b: Array | None, y: Array, padding: Padding, dilation: Pair, groups: int) -> None:
    """Write the convolution of `x` with `w`, at stride 1, into `y`."""
    w = w.astype(y.dtype, copy=False)
    bias = np.zeros(y.shape[3], y.dtype) if b is None else b.astype(y.dtype, copy=False)
    (u,) = map_tiles(lambda _: np.ascontiguousarray(_by_group(transform_weights(w), groups)), 1)
    blocks = _blocks(x, y, w.shape, padding, dilation)

    def compute(index: int) -> None:
        block = blocks[index]
        v = _transformed(block, w.shape, y.dtype)
        m = _matrices("m", v.shape[1], y.shape[3], y.dtype)
        np.matmul(_by_group(v, groups), u, out=_by_group(m[:, : v.shape[1]], groups))
        whole = block.y if block.y.flags.c_contiguous else scratch("out", block.y.shape, block.y.dtype)
        collect_images(m, bias, whole, block.down, block.across)
        if whole is not block.y:
            block.y[...] = whole

    map_tiles(compute, len(blocks))


def weight_gradient(x: Array, g: Array, w_shape: Shape, padding: Padding, dilation: Pair, groups: int) -> Array:
    """Gradient of `conv2d` for `w`."""
    dtype = np.result_type(x, g)
    work = in_parts(_blocks(x, g, w_shape, padding, dilation))
    inputs, outputs = w_shape[2] * math.prod(parts(w_shape)), w_shape[3]
    totals = empty((len(work), 16, groups, inputs, outputs // groups), dtype)

    def compute(index: int) -> None:
        total = product = totals[index]
        for block in work[index]:
            v = _transformed(block, w_shape, dtype)
            m = _matrices("m", v.shape[1], outputs, dtype)
            transform_gradients(np.ascontiguousarray(block.y, dtype), m, block.down, block.across)
            np.matmul(_by_group(v, groups).swapaxes(2, 3), _by_group(m[:, : v.shape[1]], groups), out=product)
            if product is not total:
                total += product
            product = scratch("product", total.shape, dtype)

    map_tiles(compute, len(work))
    # One call sums each of the 16 entries: threads wait for the interpreter between calls.
    total = np.stack(map_tiles(lambda entry: np.add.reduce(totals[:, entry]), 16))
    u = total.transpose(0, 2, 1, 3).reshape(16, inputs, outputs)
    return map_tiles(lambda _: collect_weights(u, w_shape), 1)[0]


class _Block(NamedTuple):
    """The work of one thread: some outputs, or their gradient, and the pixels that they depend on."""

    x: Array
    top: int  # rows and columns of zeros before x
    left: int
    y: Array
    down: int  # 2x2 tiles of each image of y
    across: int


def _blocks(x: Array, y: Array, w_shape: Shape, padding: Padding, dilation: Pair) -> list[_Block]:
    """Cut the work into blocks that fit the cache.

    Outputs that are `dilation` apart depend only on pixels that are as far apart, so a dilated convolution is several
    without dilation.
    """
    found = []
    below = 3 * parts(w_shape)[0] - 1  # image rows that tiles need below their own
    for phase in itertools.product(*map(range, dilation)):
        down, across = (
            (slice((i - before) % d, None, d), slice(i, None, d), -((i - before) // d))
            for i, d, (before, _) in zip(phase, dilation, padding, strict=True)
        )
        pixels, out, top = x[:, down[0], across[0]], y[:, down[1], across[1]], down[2]
        if not out.size:
            continue
        wide = -(-out.shape[2] // 2)
        bytes_of_row = wide * 16 * (x.shape[3] * math.prod(parts(w_shape)) + y.shape[3]) * y.itemsize
        for images, rows in tiles(len(out), -(-out.shape[1] // 2), bytes_of_row):
            first = max(0, 2 * rows.start - top)
            band = pixels[images, first : max(first, 2 * rows.stop + below - top)]
            part = out[images, 2 * rows.start : 2 * rows.stop]
            found.append(_Block(band, top - 2 * rows.start + first, across[2], part, rows.stop - rows.start, wide))
    return found


def _transformed(block: _Block, w_shape: Shape, dtype: Any) -> Array:
    """Compute Bᵀ d B of every tile of a block, in scratch memory: (16, tiles, parts * C)."""
    x, top, left, y, down, across = block
    count = len(y) * down * across
    v = _matrices("v", count, math.prod(parts(w_shape)) * x.shape[3], dtype)
    transform_images(np.ascontiguousarray(x, dtype), v, top, left, down, across, parts(w_shape))
    return v[:, :count]


def _matrices(name: str, tiles: int, channels: int, dtype: Any) -> Array:
    """Scratch for 16 matrices (tiles, channels); the last row may be unused.

    An odd number of rows keeps the 16 matrices from competing for the same lines of the cache.
    """
    return scratch(name, (16, tiles | 1, channels), dtype)


def _by_group(a: Array, groups: int) -> Array:
    """Matrices of each group: (16, n, C) -> (16, groups, n, C // groups)."""
    return a.reshape(*a.shape[:2], groups, a.shape[2] // groups).swapaxes(1, 2)


def transform_weights(w: Array) -> Array:
    """G w Gᵀ of every 3x3 part: (KH, KW, C, O) -> (16, parts * C, O)."""
    (high, wide), (kh, kw, inputs, outputs) = parts(w.shape), w.shape
    whole = np.zeros((3 * high, 3 * wide, inputs, outputs), w.dtype)
    whole[:kh, :kw] = w
    each = whole.reshape(high, 3, wide, 3, -1).transpose(1, 3, 0, 2, 4)
    return (_GG.astype(w.dtype) @ each.reshape(9, -1)).reshape(16, -1, outputs)


def collect_weights(u: Array, w_shape: Shape) -> Array:
    """The adjoint of `transform_weights`, Gᵀ u G of every part: (16, parts * C, O) -> (KH, KW, C, O)."""
    (high, wide), (kh, kw, inputs, outputs) = parts(w_shape), w_shape
    each = (_GG.T.astype(u.dtype) @ u.reshape(16, -1)).reshape(3, 3, high, wide, -1).transpose(2, 0, 3, 1, 4)
    return each.reshape(3 * high, 3 * wide, inputs, outputs)[:kh, :kw]


@twin("winograd.transform_images", writes=("v",))
def transform_images(x: Array, v: Array, top: int, left: int, down: int, across: int, parts: tuple[int, int]) -> None:
    """Write Bᵀ d B of every tile d into `v`, with the parts of the weights side by side.

    Parameters
    ----------
    x : array (N, H, W, C)
    v : array (16, N * down * across or one more, parts * C)
        Written.
    top, left : int
        Rows and columns of zeros before the image; if negative, rows and columns to cut off.
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
            columns = [half[:, :, :, c : c + 2 * across - 1 : 2] for c in range(3 * j, 3 * j + 4)]
            _differences(columns, entries[..., i, j, :])


def _differences(d: list[Array], out: Array) -> None:
    """Bᵀ along one axis."""
    np.subtract(d[0], d[2], out=out[0])
    np.add(d[1], d[2], out=out[1])
    np.subtract(d[2], d[1], out=out[2])
    np.subtract(d[1], d[3], out=out[3])


@twin("winograd.collect_images", writes=("y",))
def collect_images(m: Array, b: Array, y: Array, down: int, across: int) -> None:
    """Write Aᵀ m A of every tile, plus the bias, into `y`.

    Parameters
    ----------
    m : array (16, N * down * across or one more, O)
    b : array (O,)
    y : array (N, H, W, O)
        Written; the last tiles may extend one row or column beyond it.
    down, across : int
        Tiles of each image.
    """
    (n, height, width, channels), count = y.shape, len(y) * down * across
    entries = m[:, :count].reshape(4, 4, n, down, across, channels)
    sums = scratch("sums", (2, *entries.shape[1:]), m.dtype)
    _totals(entries, sums)
    sums[:, 1] += b  # this entry is added to all four pixels with factor 1
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


@twin("winograd.transform_gradients", writes=("v",))
def transform_gradients(g: Array, v: Array, down: int, across: int) -> None:
    """Write A g Aᵀ of every tile of g into `v`: the adjoint of `collect_images`.

    Parameters
    ----------
    g : array (N, H, W, O)
        Treated as 0 where the last tiles extend beyond it.
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
