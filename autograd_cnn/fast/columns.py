"""Convolution as a matrix product, and its two adjoints, for any stride, dilation and groups.

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

from autograd_cnn.ops.windows import Padding, Pair, Shape

from .memory import scratch
from .threads import map_tiles
from .tiles import in_parts, tiles
from .twins import twin
from .windows import taps

Array = NDArray[Any]
Options = tuple[Pair, Padding, Pair, int]  # stride, padding, dilation, groups


def conv2d(x: Array, w: Array, b: Array | None, y: Array, options: Options) -> None:
    """Write the convolution of `x` with `w` into `y`."""
    groups = options[3]
    matrices = _by_group(w, groups)
    blocks = tiles(len(x), y.shape[1], y.shape[2] * w[..., 0].size * groups * y.itemsize)
    ones = b is not None and len(blocks) > 1 and w.shape[:2] != (1, 1)
    if b is not None and ones:  # an extra input of 1 has the bias as its weight, which saves a pass over y
        matrices = np.concatenate([matrices, _by_group(b, groups)], axis=1)

    def compute(index: int) -> None:
        images, rows = blocks[index]
        columns = im2col(x, images, rows, w.shape, y, options, ones)
        out = y[images, rows]
        np.matmul(columns, matrices, out=_by_group(out, groups))
        if b is not None and not ones:
            out += b

    if len(blocks) == len(x) == 1:  # too little work for our threads: BLAS may use its own
        compute(0)
    else:
        map_tiles(compute, len(blocks))


def input_gradient(g: Array, w: Array, gx: Array, options: Options) -> None:
    """Write the gradient of `conv2d` with respect to `x` into `gx`."""
    stride, padding, dilation, groups = options
    matrices = _by_group(w, groups).transpose(0, 2, 1)
    blocks = tiles(len(g), max(1, g.shape[1]), g.shape[2] * w[..., 0].size * groups * gx.itemsize)
    # Blocks of rows of one image add to overlapping rows of gx, so one thread computes them all.
    parts = [list(part) for _, part in itertools.groupby(blocks, lambda block: block[0].start)]

    def compute(index: int) -> None:
        gx[parts[index][0][0]] = 0
        for images, rows in parts[index]:
            block = np.ascontiguousarray(g[images, rows])
            columns = scratch("columns", (groups, block[..., 0].size, matrices.shape[2]), gx.dtype)
            np.matmul(_by_group(block, groups), matrices, out=columns)
            (top, bottom), across = padding
            below = (top - rows.start * stride[0], bottom), across
            col2im(columns, gx[images], block.shape[1:3], w.shape[:2], stride, below, dilation)

    map_tiles(compute, len(parts))


def weight_gradient(x: Array, g: Array, w_shape: Shape, options: Options) -> Array:
    """Gradient of `conv2d` with respect to `w`."""
    groups = options[3]
    gw = np.zeros(w_shape, np.result_type(x, g))
    parts = in_parts(tiles(len(g), g.shape[1], g.shape[2] * math.prod(w_shape[:3]) * groups * gw.itemsize))

    def compute(index: int) -> Array:
        total = np.zeros_like(gw)
        for images, rows in parts[index]:
            columns = im2col(x, images, rows, w_shape, g, options)
            _by_group(total, groups)[...] += columns.transpose(0, 2, 1) @ _by_group(g[images, rows], groups)
        return total

    for total in map_tiles(compute, len(parts)):
        gw += total
    return gw


def im2col(
    x: Array, images: slice, rows: slice, w_shape: Shape, y: Array, options: Options, ones: bool = False
) -> Array:
    """Lay out windows as rows of matrices: (groups, windows, KH * KW * C // groups), plus a column with `ones`.

    Parameters
    ----------
    x, y : array
        Images and outputs; only the shape and the dtype of `y` matter.
    images, rows : slice
        The outputs whose windows are laid out.
    ones : bool
        Whether to append a column of ones.
    """
    (kh, kw), ((sh, sw), padding, (dh, dw), groups) = w_shape[:2], options
    if kh == kw == 1 and padding == ((0, 0), (0, 0)) and not ones:
        return _by_group(x[images, rows.start * sh : (rows.stop - 1) * sh + 1 : sh, ::sw], groups)
    x, dtype = x[images], np.result_type(x, y)
    height, width, channels = rows.stop - rows.start, y.shape[2], x.shape[3] // groups
    # The part of the images that these windows cover, padded. `taps` of a 1x1 kernel gives the place of x in it.
    size = (height - 1) * sh + (kh - 1) * dh + 1, x.shape[2] + sum(padding[1])
    before = ((padding[0][0] - rows.start * sh, 0), padding[1])
    padded = scratch("padded", (len(x), *size, x.shape[3]), dtype)
    padded[...] = 0
    for _, inside, pixels in taps(x.shape[1:3], size, (1, 1), (1, 1), before):
        padded[inside] = x[pixels]
    # Numbers adjacent both in a window and in memory are copied as one opaque item, which is a third faster.
    together = kw if groups == dw == 1 else 1
    item = np.dtype((np.void, together * channels * padded.itemsize))
    shape = groups, len(x), height, width, kh, kw // together
    image, row, pixel, number = padded.strides
    strides = channels * number, image, row * sh, pixel * sw, row * dh, pixel * dw
    columns = scratch("columns", (groups, len(x) * height * width, kh * kw * channels + ones), dtype)
    group, window, _ = columns.strides
    out_strides = group, height * width * window, width * window, window, kw // together * item.itemsize, item.itemsize
    np.ndarray(shape, item, columns, strides=out_strides)[...] = np.ndarray(shape, item, padded, strides=strides)
    if ones:
        columns[..., -1] = 1
    return columns


@twin("columns.col2im", writes=("gx",))
def col2im(
    columns: Array, gx: Array, y_size: Shape, kernel_size: Shape, stride: Pair, padding: Padding, dilation: Pair
) -> None:
    """The adjoint of `im2col`: adds each number of a window to its pixel of `gx`."""
    groups = len(columns)
    channels = gx.shape[3] // groups
    by_tap = columns.reshape(groups, len(gx), *y_size, *kernel_size, channels).transpose(4, 5, 1, 2, 3, 0, 6)
    by_group = gx.reshape(*gx.shape[:3], groups, channels)
    for tap, windows, pixels in taps(gx.shape[1:3], y_size, kernel_size, stride, padding, dilation):
        by_group[pixels] += by_tap[tap][windows]


def _by_group(a: Array, groups: int) -> Array:
    """Cut the last axis into groups: (..., C) -> (groups, all the rest, C // groups); a view if `a` is in C order.

    Other layouts are copied: BLAS would multiply them by other routines, which round differently.
    """
    return np.ascontiguousarray(a).reshape(-1, groups, a.shape[-1] // groups).transpose(1, 0, 2)
