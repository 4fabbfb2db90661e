"""Convolution as a matrix product, and its two adjoints.

`im2col` (Chellapilla, Puri and Simard, 2006) copies each window of the images, KH * KW * C numbers, into one row of a
matrix. The weights are a matrix with one column for each output channel. So a convolution is y = im2col(x) @ w, and the
gradient of w is im2col(x).T @ g. The gradient of x is col2im(g @ w.T), where `col2im`, the adjoint of `im2col`, adds
each number of a window to the pixel that it came from.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.ops.windows import Pair, Shape

from .memory import scratch
from .threads import map_tiles
from .tiles import in_parts, tiles
from .twins import twin
from .windows import taps

Array = NDArray[Any]


def conv2d(x: Array, w: Array, b: Array | None, y: Array, stride: Pair, corner: Pair) -> None:
    """Write the convolution of `x` with `w` into `y`, in C order."""
    matrix = _matrix(w)
    blocks = tiles(len(x), y.shape[1], y.shape[2] * w[..., 0].size * y.itemsize)
    ones = b is not None and len(blocks) > 1 and w.shape[:2] != (1, 1)
    if b is not None and ones:  # an extra input of 1 has the bias as its weight, which saves a pass over y
        matrix = np.concatenate([matrix, _matrix(b)])

    def compute(index: int) -> None:
        images, rows = blocks[index]
        columns, out = im2col(x, images, rows, w.shape, y, stride, corner, ones), y[images, rows]
        np.matmul(columns, matrix, out=out.reshape(len(columns), -1))
        if b is not None and not ones:
            out += b

    if len(blocks) == len(x) == 1:  # too little work for our threads: BLAS may use its own
        compute(0)
    else:
        map_tiles(compute, len(blocks))


def input_gradient(g: Array, w: Array, gx: Array, stride: Pair, corner: Pair) -> None:
    """Write the gradient of `conv2d` with respect to `x` into `gx`, in C order."""
    matrix = _matrix(w).T
    blocks = tiles(len(g), max(1, g.shape[1]), g.shape[2] * w[..., 0].size * gx.itemsize)
    # Blocks of rows of one image add to overlapping rows of gx, so one thread computes them all.
    parts = [list(part) for _, part in itertools.groupby(blocks, lambda block: block[0].start)]

    def compute(index: int) -> None:
        gx[parts[index][0][0]] = 0
        for images, rows in parts[index]:
            block = g[images, rows]
            columns = scratch("columns", (block[..., 0].size, matrix.shape[1]), gx.dtype)
            np.matmul(_matrix(block), matrix, out=columns)
            below = corner[0] - rows.start * stride[0], corner[1]
            col2im(columns, gx[images], block.shape[1:3], w.shape[:2], stride, below)

    map_tiles(compute, len(parts))


def weight_gradient(x: Array, g: Array, w_shape: Shape, stride: Pair, corner: Pair) -> Array:
    """Gradient of `conv2d` with respect to `w`."""
    dtype, shape = np.result_type(x, g), (math.prod(w_shape[:3]), w_shape[3])
    parts = in_parts(tiles(len(g), g.shape[1], g.shape[2] * shape[0] * dtype.itemsize))

    def compute(index: int) -> Array:
        total = np.zeros(shape, dtype)
        for images, rows in parts[index]:
            total += im2col(x, images, rows, w_shape, g, stride, corner).T @ _matrix(g[images, rows])
        return total

    return sum(map_tiles(compute, len(parts)), np.zeros(shape, dtype)).reshape(w_shape)


def im2col(
    x: Array, images: slice, rows: slice, w_shape: Shape, y: Array, stride: Pair, corner: Pair, ones: bool = False
) -> Array:
    """Lay out windows as rows of a matrix: (windows, KH * KW * C), plus a column with `ones`.

    Parameters
    ----------
    x, y : array
        Images and outputs; only the shape and the dtype of `y` matter.
    images, rows : slice
        The outputs whose windows are laid out.
    ones : bool
        Whether to append a column of ones.
    """
    (kh, kw), (sh, sw) = w_shape[:2], stride
    height, width, dtype = rows.stop - rows.start, y.shape[2], np.result_type(x, y)
    if kh == kw == 1 and corner == (0, 0) and not ones:
        seen = x[images, rows.start * sh : (rows.stop - 1) * sh + 1 : sh, : (width - 1) * sw + 1 : sw]
        if seen.shape[1:3] == (height, width):
            return _matrix(seen)
    x = x[images]
    # The part of the images that these windows cover, padded. `taps` of a 1x1 kernel gives the place of x in it.
    size = (height - 1) * sh + kh, (width - 1) * sw + kw
    padded = scratch("padded", (len(x), *size, x.shape[3]), dtype)
    padded[...] = 0
    for _, inside, pixels in taps(x.shape[1:3], size, (1, 1), (1, 1), (corner[0] - rows.start * sh, corner[1])):
        padded[inside] = x[pixels]
    # The pixels of a row of a window are adjacent: copied as one opaque item, which is a third faster.
    item = np.dtype((np.void, kw * x.shape[3] * padded.itemsize))
    image, row, pixel, _ = padded.strides
    columns = scratch("columns", (len(x) * height * width, kh * kw * x.shape[3] + ones), dtype)
    window = columns.strides[0]
    shape, strides = (len(x), height, width, kh), (image, row * sh, pixel * sw, row)
    out_strides = height * width * window, width * window, window, item.itemsize
    np.ndarray(shape, item, columns, strides=out_strides)[...] = np.ndarray(shape, item, padded, strides=strides)
    if ones:
        columns[:, -1] = 1
    return columns


@twin("columns.col2im", writes=("gx",))
def col2im(columns: Array, gx: Array, y_size: Shape, kernel_size: Shape, stride: Pair, corner: Pair) -> None:
    """The adjoint of `im2col`: adds each number of a window to its pixel of `gx`."""
    by_tap = columns.reshape(len(gx), *y_size, *kernel_size, gx.shape[3]).transpose(3, 4, 0, 1, 2, 5)
    for tap, windows, pixels in taps(gx.shape[1:3], y_size, kernel_size, stride, corner):
        gx[pixels] += by_tap[tap][windows]


def _matrix(a: Array) -> Array:
    """Return (places, C), in C order: BLAS multiplies others by routines that round differently."""
    return np.ascontiguousarray(a).reshape(-1, a.shape[-1])
