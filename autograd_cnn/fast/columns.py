"""Convolution as a matrix product, and its two adjoints.

`im2col` (Chellapilla, Puri and Simard, 2006) copies each window of the images, KH * KW * C numbers, into one row of a
matrix. The weights are a matrix with one column for each output channel. So a convolution is y = im2col(x) @ w, and the
gradient of w is im2col(x).T @ g. The gradient of x is col2im(g @ w.T), where `col2im`, the adjoint of `im2col`, adds
each number of a window to the pixel that it came from.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.ops.windows import Pair, Shape

from .memory import scratch
from .threads import each_part, map_tiles
from .tiles import in_parts, put, tiles
from .windows import taps

Array = NDArray[Any]


def conv2d(x: Array, w: Array, b: Array | None, y: Array, stride: Pair, corner: Pair) -> None:
    """Write the convolution of `x` with `w` into `y`."""
    matrix = _matrix(w)
    blocks = tiles(len(x), y.shape[1], y.shape[2] * w[..., 0].size * y.itemsize)

    def compute(index: int) -> None:
        images, rows = blocks[index]
        columns, out = im2col(x, images, rows, w.shape, y, stride, corner), y[images, rows]
        put(out, np.matmul(columns, matrix, out=out.reshape(len(columns), -1)).reshape(out.shape))
        if b is not None:
            out += b

    if len(blocks) == len(x) == 1:  # too little work for our threads: BLAS may use its own
        compute(0)
    else:
        map_tiles(compute, len(blocks))


def input_gradient(g: Array, w: Array, gx: Array, stride: Pair, corner: Pair) -> None:
    """Write the gradient of `conv2d` with respect to `x` into `gx`, by `col2im`."""
    size = g.shape[1] * g.shape[2] * w[..., 0].size * gx.itemsize  # bytes of the columns of an image

    def compute(g: Array, gx: Array) -> None:
        gx[...] = 0
        whole = len(g) * size
        for _, rows in tiles(1, g.shape[1], whole // g.shape[1], whole):  # bands of rows, if the images are large
            band, below = g[:, rows], (corner[0] - rows.start * stride[0], corner[1])
            columns = (_matrix(band) @ _matrix(w).T).reshape(*band.shape[:3], *w.shape[:3])
            for (i, j), windows, pixels in taps(gx.shape[1:3], band.shape[1:3], w.shape[:2], stride, below):
                gx[pixels] += columns[:, :, :, i, j][windows]

    each_part(compute, len(tiles(len(g), 1, size)), g, gx, products=True)


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


def im2col(x: Array, images: slice, rows: slice, w_shape: Shape, y: Array, stride: Pair, corner: Pair) -> Array:
    """Lay out windows as rows of a matrix: (windows, KH * KW * C).

    Parameters
    ----------
    x, y : array
        Images and outputs; only the shape and the dtype of `y` matter.
    images, rows : slice
        The outputs whose windows are laid out.
    """
    (kh, kw), (sh, sw) = w_shape[:2], stride
    height, width, dtype = rows.stop - rows.start, y.shape[2], np.result_type(x, y)
    if kh == kw == 1 and corner == (0, 0):
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
    columns = scratch("columns", (len(x) * height * width, kh * kw * x.shape[3]), dtype)
    window = columns.strides[0]
    shape, strides = (len(x), height, width, kh), (image, row * sh, pixel * sw, row)
    out_strides = height * width * window, width * window, window, item.itemsize
    np.ndarray(shape, item, columns, strides=out_strides)[...] = np.ndarray(shape, item, padded, strides=strides)
    return columns


def _matrix(a: Array) -> Array:
    """Return (places, C), in C order: BLAS multiplies others by routines that round differently."""
    return np.ascontiguousarray(a).reshape(-1, a.shape[-1])
