"""Convolution of images and its two gradients: raw arrays in, raw arrays out.

A window of an image, laid out as a row of KH * KW * C numbers, times the weights, laid out as a matrix with a
column for each output channel, is one pixel of the output. With all windows as rows of one matrix (im2col:
Chellapilla, Puri and Simard, 2006) a convolution is a matrix product, y = columns(x) @ w. It is linear in x
and linear in w, and each of the two maps has an adjoint:

    <conv2d(x, w), g>  =  <x, conv2d_input_gradient(g, w)>  =  <w, conv2d_weight_gradient(x, g)>

for all x, w and g. The gradient of w is columns(x).T @ g. That of x, also known as the transposed convolution
of g, gives every place back what it lent to each window; at stride 1 it is again a convolution, of g with the
weights turned round. The three are each other's derivatives, to any order.

Images are NHWC, weights HWIO: (KH, KW, C // groups, O). Options come normalised: `stride` and `dilation` are
(vertical, horizontal), `padding` is ((top, bottom), (left, right)). Inputs are only read; they may have any
strides, and no images at all. The output has their common dtype, and the same bits from run to run: tiles
follow from shapes alone, and partial sums are added in the order of the tiles.

Imports NumPy and its neighbours `memory`, `threads` and `winograd`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import winograd
from .memory import empty, scratch
from .threads import Result, map_tiles
from .twins import kernel_set, twin

Array = NDArray[Any]
Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
Shape = tuple[int, ...]
Options = tuple[Pair, Padding, Pair, int]  # stride, padding, dilation, groups
Place = tuple[slice, slice, slice]

CACHE = 1 << 21  # bytes that a tile may fill: about what a core's second-level cache holds
PARTS = 16  # that the tiles of a weight gradient are summed up in, each by one thread


def output_size(size: int, kernel: int, stride: int, before: int, after: int, dilation: int = 1) -> int:
    """Number of windows along one axis.

    Examples
    --------
    >>> output_size(32, kernel=3, stride=2, before=1, after=1)
    16
    """
    return (size + before + after - dilation * (kernel - 1) - 1) // stride + 1


def taps(
    size: Shape, windows: Shape, kernel: Shape, stride: Pair, padding: Padding, dilation: Pair = (1, 1)
) -> Iterator[tuple[Pair, Place, Place]]:
    """For each tap of a kernel: the windows in which it meets the image, and the places that it meets there.

    Parameters
    ----------
    size, windows, kernel : (height, width)
        Of the image, of the output and of the kernel.

    Yields
    ------
    tap : (row, column)
    seen, met : index
        Of outputs (N, OH, OW, ...) and of images (N, H, W, ...), with results of the same shape: in window
        ``y[seen]`` this tap lies on ``x[met]``. Taps that only meet padding are left out.

    Examples
    --------
    >>> for tap, seen, met in taps((1, 4), (1, 3), (1, 3), (1, 2), ((0, 0), (1, 1))):
    ...     print(tap, seen[2], met[2])
    (0, 0) slice(1, 3, None) slice(1, 4, 2)
    (0, 1) slice(0, 2, None) slice(0, 3, 2)
    (0, 2) slice(0, 2, None) slice(1, 4, 2)
    """
    along = [_taps(*axis) for axis in zip(size, windows, kernel, stride, padding, dilation, strict=True)]
    for i, seen_rows, met_rows in along[0]:
        for j, seen, met in along[1]:
            yield (i, j), (slice(None), seen_rows, seen), (slice(None), met_rows, met)


def _taps(
    size: int, windows: int, kernel: int, stride: int, padding: Pair, dilation: int
) -> list[tuple[int, slice, slice]]:
    found = []
    for tap in range(kernel):
        offset = tap * dilation - padding[0]  # window r has place r * stride + offset under this tap
        first = max(0, -(offset // stride))
        last = min(windows - 1, (size - 1 - offset) // stride)
        if first <= last:
            met = slice(first * stride + offset, last * stride + offset + 1, stride)
            found.append((tap, slice(first, last + 1), met))
    return found


def tiles(images: int, rows: int, row_bytes: int) -> list[tuple[slice, slice]]:
    """Blocks of whole images, or of rows of one image: pairs (images, rows).

    Each fits the cache, and is a quarter of the whole where that makes blocks worth a thread's while. Of images they
    are of one size, nearly, and a multiple of four if there are several, or the last thread would work alone.

    Examples
    --------
    >>> [block.stop for block, _ in tiles(images=90, rows=32, row_bytes=1000)]  # of 2 880 000 bytes in all
    [22, 45, 67, 90]
    >>> tiles(images=1, rows=32, row_bytes=CACHE // 12)[1]
    (slice(0, 1, None), slice(8, 16, None))
    """
    block_bytes = min(CACHE, max(CACHE // 2, images * rows * row_bytes // 4))
    fit = max(1, block_bytes // max(1, row_bytes))
    count, row_step = images, min(fit, rows)
    if fit >= rows:
        count = -(-images // (fit // rows))
        count = min(images, -(-count // 4) * 4 if count > 1 else 1)
    return [
        (slice(images * n // count, images * (n + 1) // count), slice(r, min(r + row_step, rows)))
        for n in range(count)
        for r in range(0, rows, row_step)
    ]


def map_images(function: Callable[..., Result], *arrays: Array, products: bool = False) -> list[Result]:
    """Results of `function(*blocks)`, the blocks being the same few images of each array; see `map_tiles`."""
    # Twice the cache: passes over them are short, and between two a thread may wait for the interpreter.
    blocks = tiles(len(arrays[0]), 1, sum(a[:1].nbytes for a in arrays) // 2)
    return map_tiles(lambda index: function(*(a[blocks[index][0]] for a in arrays)), len(blocks), products)


def conv2d(x: Array, w: Array, b: Array | None, stride: Pair, padding: Padding, dilation: Pair, groups: int) -> Array:
    """Convolution of images with weights (as everywhere in this field a correlation: weights are not turned).

    Parameters
    ----------
    x : array (N, H, W, C)
    w : array (KH, KW, C // groups, O)
    b : array (O,), or None

    Returns
    -------
    array (N, OH, OW, O), OH and OW by `output_size`
    """
    options = stride, padding, dilation, groups
    height, width = (output_size(x.shape[a + 1], w.shape[a], stride[a], *padding[a], dilation[a]) for a in (0, 1))
    y = empty((len(x), height, width, w.shape[3]), np.result_type(x, w, *([] if b is None else [b])))
    if _suits_winograd(y, w.shape, stride, groups):
        _conv2d_by_winograd(x, w, b, y, padding, dilation, groups)
        return y
    matrices = _by_group(w, groups)
    blocks = tiles(len(x), height, width * w[..., 0].size * groups * y.itemsize)
    ones = b is not None and len(blocks) > 1 and w.shape[:2] != (1, 1)
    if b is not None and ones:  # the bias is the weight of a number that is always 1: no pass over the output
        matrices = np.concatenate([matrices, _by_group(b, groups)], axis=1)

    def by_matrices(index: int) -> None:
        images, rows = blocks[index]
        columns = _columns(x, images, rows, w.shape, y, options, ones)
        out = y[images, rows]
        np.matmul(columns, matrices, out=_by_group(out, groups))
        if b is not None and not ones:
            out += b

    if _is_depthwise(x.shape, groups):
        x, w = np.ascontiguousarray(x, y.dtype), np.ascontiguousarray(w, y.dtype)
        shift = np.zeros(y.shape[3], y.dtype) if b is None else np.ascontiguousarray(b, y.dtype)
        map_images(lambda x, y: _depthwise(x, w, shift, y, stride, padding, dilation), x, y)
    elif len(blocks) == 1:  # too little to share, but for BLAS
        by_matrices(0)
    else:
        map_tiles(by_matrices, len(blocks))
    return y


def conv2d_input_gradient(
    g: Array, w: Array, x_shape: Shape, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Array:
    """Gradient of `conv2d` for `x`, also known as the transposed convolution of `g` with `w`.

    Parameters
    ----------
    g : array (N, OH, OW, O)
    w : array (KH, KW, C // groups, O)
    x_shape : (N, H, W, C)

    Returns
    -------
    array (N, H, W, C), exactly 0 in places that no window meets
    """
    if stride == (1, 1) and (groups < x_shape[3] or g.shape[3] == x_shape[3]):
        turned = _turned(w, groups)
        down, across = dilation[0] * (w.shape[0] - 1), dilation[1] * (w.shape[1] - 1)
        (top, bottom), (left, right) = padding
        return conv2d(
            g, turned, None, stride, ((down - top, down - bottom), (across - left, across - right)), dilation, groups
        )
    gx = empty(x_shape, np.result_type(g, w))
    if _is_depthwise(x_shape, groups):
        g, w = np.ascontiguousarray(g, gx.dtype), np.ascontiguousarray(w, gx.dtype)
        map_images(lambda g, gx: _depthwise_input(g, w, gx, stride, padding, dilation), g, gx)
        return gx
    matrices = _by_group(w, groups).transpose(0, 2, 1)
    blocks = tiles(len(g), max(1, g.shape[1]), g.shape[2] * w[..., 0].size * groups * gx.itemsize)
    parts = [list(part) for _, part in itertools.groupby(blocks, lambda block: block[0].start)]

    def by_matrices(index: int) -> None:
        gx[parts[index][0][0]] = 0
        for images, rows in parts[index]:
            given = np.ascontiguousarray(g[images, rows])
            columns = scratch("columns", (groups, given[..., 0].size, matrices.shape[2]), gx.dtype)
            np.matmul(_by_group(given, groups), matrices, out=columns)
            (top, bottom), across = padding
            places = w.shape[:2], stride, ((top - rows.start * stride[0], bottom), across), dilation
            _give_back(columns, gx[images], given.shape[1:3], *places)

    map_tiles(by_matrices, len(parts))
    return gx


def _turned(w: Array, groups: int) -> Array:
    """Weights of the convolution that is the input gradient of one with weights `w`, at stride 1."""
    kh, kw, inputs, outputs = w.shape
    turned = w[::-1, ::-1].reshape(kh, kw, inputs, groups, outputs // groups).transpose(0, 1, 4, 3, 2)
    return turned.reshape(kh, kw, outputs // groups, groups * inputs)


def conv2d_weight_gradient(
    x: Array, g: Array, w_shape: Shape, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Array:
    """Gradient of `conv2d` for `w`.

    Parameters
    ----------
    x : array (N, H, W, C)
    g : array (N, OH, OW, O)
    w_shape : (KH, KW, C // groups, O)

    Returns
    -------
    array (KH, KW, C // groups, O)
    """
    options = stride, padding, dilation, groups
    if _suits_winograd(g, w_shape, stride, groups):
        return _weight_gradient_by_winograd(x, g, w_shape, padding, dilation, groups)
    gw = np.zeros(w_shape, np.result_type(x, g))
    blocks = tiles(len(g), g.shape[1], g.shape[2] * math.prod(w_shape[:3]) * groups * gw.itemsize)
    parts = min(PARTS, len(blocks))

    def by_matrices(part: int) -> Array:
        total = np.zeros_like(gw)
        for images, rows in blocks[part * len(blocks) // parts : (part + 1) * len(blocks) // parts]:
            columns = _columns(x, images, rows, w_shape, g, options)
            _by_group(total, groups)[...] += columns.transpose(0, 2, 1) @ _by_group(g[images, rows], groups)
        return total

    def by_channel(x: Array, g: Array) -> Array:
        total = np.empty_like(gw)
        _depthwise_weights(x, g, total, stride, padding, dilation)
        return total

    if _is_depthwise(x.shape, groups):
        x, g = np.ascontiguousarray(x, gw.dtype), np.ascontiguousarray(g, gw.dtype)
        totals = map_images(by_channel, x, g, products=True)
    else:
        totals = map_tiles(by_matrices, parts)
    for total in totals:
        gw += total
    return gw


def _suits_winograd(y: Array, w_shape: Shape, stride: Pair, groups: int) -> bool:
    """Whether there is a faster way, and enough to do for it to pay."""
    (kh, kw), parts = w_shape[:2], math.prod(winograd.parts(w_shape))
    worth = min(kh, kw) >= 3 and 4 * kh * kw >= 20 * parts  # products for 4 pixels; each part takes 16, and transforms
    if not worth or stride != (1, 1) or y.dtype.char not in "fd":
        return False
    inputs, outputs = w_shape[2], w_shape[3] // groups
    enough = 256 if kernel_set() == "numba" else 4096  # products of channels, below which transforms cost too much
    suits = min(inputs, outputs) >= 16 and inputs * outputs >= enough and math.prod(y.shape[:3]) >= 1024
    return suits and (parts == 1 or groups == 1)


def _conv2d_by_winograd(
    x: Array, w: Array, b: Array | None, y: Array, padding: Padding, dilation: Pair, groups: int
) -> None:
    w = w.astype(y.dtype, copy=False)
    bias = np.zeros(y.shape[3], y.dtype) if b is None else b.astype(y.dtype, copy=False)
    (u,) = map_tiles(lambda _: np.ascontiguousarray(_grouped(winograd.transform_weights(w), groups)), 1)
    work = _winograd_tiles(x, y, w.shape, padding, dilation)

    def tile(index: int) -> None:
        seen, top, left, out, (down, across) = work[index]
        v = _transformed_images(seen, w.shape, top, left, down, across, y.dtype)
        m = winograd.matrices("m", len(out) * down * across, y.shape[3], y.dtype)
        np.matmul(_grouped(v, groups), u, out=_grouped(m[:, : v.shape[1]], groups))
        whole = out if out.flags.c_contiguous else scratch("out", out.shape, out.dtype)
        winograd.collect_images(m, bias, whole, down, across)
        if whole is not out:
            out[...] = whole

    map_tiles(tile, len(work))


def _weight_gradient_by_winograd(
    x: Array, g: Array, w_shape: Shape, padding: Padding, dilation: Pair, groups: int
) -> Array:
    dtype = np.result_type(x, g)
    work = _winograd_tiles(x, g, w_shape, padding, dilation)
    parts = min(PARTS, len(work))
    inputs, outputs = w_shape[2] * math.prod(winograd.parts(w_shape)), w_shape[3]
    totals = empty((parts, 16, groups, inputs, outputs // groups), dtype)

    def part(index: int) -> None:
        total = product = totals[index]
        for seen, top, left, given, (down, across) in work[
            index * len(work) // parts : (index + 1) * len(work) // parts
        ]:
            v = _transformed_images(seen, w_shape, top, left, down, across, dtype)
            m = winograd.matrices("m", v.shape[1], outputs, dtype)
            winograd.transform_gradients(np.ascontiguousarray(given, dtype), m, down, across)
            np.matmul(_grouped(v, groups).swapaxes(2, 3), _grouped(m[:, : v.shape[1]], groups), out=product)
            if product is not total:
                total += product
            product = scratch("product", total.shape, dtype)

    map_tiles(part, parts)
    # Entry by entry, each in one call: between two, threads wait for the interpreter.
    total = np.stack(map_tiles(lambda entry: np.add.reduce(totals[:, entry]), 16))
    u = total.transpose(0, 2, 1, 3).reshape(16, inputs, outputs)
    return map_tiles(lambda _: winograd.collect_weights(u, w_shape), 1)[0]


def _winograd_tiles(
    x: Array, y: Array, w_shape: Shape, padding: Padding, dilation: Pair
) -> list[tuple[Array, int, int, Array, tuple[int, int]]]:
    """Tiles of the work: what of the images is seen, zeros before it, the outputs, and their 2x2 tiles down and across.

    Outputs that are `dilation` apart see places that are as far apart: for them it is a convolution without it.
    """
    found = []
    parts = winograd.parts(w_shape)
    below = 3 * parts[0] - 1  # rows that a tile sees below its own
    for phase in itertools.product(*map(range, dilation)):
        down, across = (
            (slice((i - before) % d, None, d), slice(i, None, d), -((i - before) // d))
            for i, d, (before, _) in zip(phase, dilation, padding, strict=True)
        )
        seen, out, top = x[:, down[0], across[0]], y[:, down[1], across[1]], down[2]
        if not out.size:
            continue
        wide = -(-out.shape[2] // 2)
        bytes_of_row = wide * 16 * (x.shape[3] * math.prod(parts) + y.shape[3]) * y.itemsize
        for images, rows in tiles(len(out), -(-out.shape[1] // 2), bytes_of_row):
            first = max(0, 2 * rows.start - top)
            band = seen[images, first : max(first, 2 * rows.stop + below - top)]
            part = out[images, 2 * rows.start : 2 * rows.stop]
            found.append((band, top - 2 * rows.start + first, across[2], part, (rows.stop - rows.start, wide)))
    return found


def _transformed_images(x: Array, w_shape: Shape, top: int, left: int, down: int, across: int, dtype: Any) -> Array:
    count, parts = len(x) * down * across, winograd.parts(w_shape)
    v = winograd.matrices("v", count, math.prod(parts) * x.shape[3], dtype)
    winograd.transform_images(np.ascontiguousarray(x, dtype), v, top, left, down, across, parts)
    return v[:, :count]


def _grouped(a: Array, groups: int) -> Array:
    """Matrices of each group: (16, n, C) -> (16, groups, n, C // groups)."""
    return a.reshape(*a.shape[:2], groups, a.shape[2] // groups).swapaxes(1, 2)


def _columns(
    x: Array, images: slice, rows: slice, w_shape: Shape, y: Array, options: Options, ones: bool = False
) -> Array:
    """Windows, for some rows of y, as rows of matrices (groups, windows, KH * KW * C // groups), then a 1 if wanted."""
    (kh, kw), ((sh, sw), padding, (dh, dw), groups) = w_shape[:2], options
    if kh == kw == 1 and padding == ((0, 0), (0, 0)) and not ones:
        return _by_group(x[images, rows.start * sh : (rows.stop - 1) * sh + 1 : sh, ::sw], groups)
    x, dtype = x[images], np.result_type(x, y)
    height, width, channels = rows.stop - rows.start, y.shape[2], x.shape[3] // groups
    # What of the images these windows need, padded: as outputs, with one tap, that start `before` the image.
    size = (height - 1) * sh + (kh - 1) * dh + 1, x.shape[2] + sum(padding[1])
    before = ((padding[0][0] - rows.start * sh, 0), padding[1])
    padded = scratch("padded", (len(x), *size, x.shape[3]), dtype)
    padded[...] = 0
    for _, inside, source in taps(x.shape[1:3], size, (1, 1), (1, 1), before):
        padded[inside] = x[source]
    # Numbers that are neighbours both in a window and in memory are moved as one opaque item: a third faster.
    together = kw if groups == dw == 1 else 1
    item = np.dtype((np.void, together * channels * padded.itemsize))
    shape = groups, len(x), height, width, kh, kw // together
    image, row, place, number = padded.strides
    strides = channels * number, image, row * sh, place * sw, row * dh, place * dw
    columns = scratch("columns", (groups, len(x) * height * width, kh * kw * channels + ones), dtype)
    group, window, _ = columns.strides
    out_strides = group, height * width * window, width * window, window, kw // together * item.itemsize, item.itemsize
    np.ndarray(shape, item, columns, strides=out_strides)[...] = np.ndarray(shape, item, padded, strides=strides)
    if ones:
        columns[..., -1] = 1
    return columns


@twin("gx")
def _give_back(
    columns: Array, gx: Array, windows: Shape, kernel: Shape, stride: Pair, padding: Padding, dilation: Pair
) -> None:
    """The adjoint of `_columns`: adds to each place of `gx` what the windows, (height, width) of them, have of it."""
    groups = len(columns)
    channels = gx.shape[3] // groups
    given = columns.reshape(groups, len(gx), *windows, *kernel, channels).transpose(4, 5, 1, 2, 3, 0, 6)
    apart = gx.reshape(*gx.shape[:3], groups, channels)
    for tap, seen, met in taps(gx.shape[1:3], windows, kernel, stride, padding, dilation):
        apart[met] += given[tap][seen]


def _by_group(a: Array, groups: int) -> Array:
    """Last axis cut into groups: (..., C) -> (groups, all the rest, C // groups), a view if it can be.

    What is not is copied: for matrices that lie otherwise BLAS has other ways, which round otherwise.
    """
    return np.ascontiguousarray(a).reshape(-1, groups, a.shape[-1] // groups).transpose(1, 0, 2)


def _is_depthwise(x_shape: Shape, groups: int) -> bool:
    """Whether every channel has weights of its own, so that matrices would be 1 wide."""
    return 1 < groups == x_shape[3]


@twin("y")
def _depthwise(x: Array, w: Array, b: Array, y: Array, stride: Pair, padding: Padding, dilation: Pair) -> None:
    y[...] = b
    for tap, seen, met in _depthwise_taps(x.shape, y.shape, w.shape, stride, padding, dilation):
        y[seen] += x[met] * w[tap]


@twin("gx")
def _depthwise_input(g: Array, w: Array, gx: Array, stride: Pair, padding: Padding, dilation: Pair) -> None:
    gx[...] = 0
    for tap, seen, met in _depthwise_taps(gx.shape, g.shape, w.shape, stride, padding, dilation):
        gx[met] += g[seen] * w[tap]


@twin("total")
def _depthwise_weights(x: Array, g: Array, total: Array, stride: Pair, padding: Padding, dilation: Pair) -> None:
    total[...] = 0
    for tap, seen, met in _depthwise_taps(x.shape, g.shape, total.shape, stride, padding, dilation):
        product = np.multiply(x[met], g[seen], order="C").reshape(-1, x.shape[3])
        total[tap] = np.ones(len(product), product.dtype) @ product  # four times as fast as a sum


def _depthwise_taps(
    x_shape: Shape, y_shape: Shape, w_shape: Shape, stride: Pair, padding: Padding, dilation: Pair
) -> Iterator[tuple[tuple[Any, ...], tuple[slice, ...], Place]]:
    """As `taps`, for each of the outputs that a channel has; `tap` and `seen` pick its channel too."""
    outputs = w_shape[3] // x_shape[3]
    for tap, seen, met in taps(x_shape[1:3], y_shape[1:3], w_shape[:2], stride, padding, dilation):
        for channel in (slice(k, None, outputs) for k in range(outputs)):
            yield (*tap, 0, channel), (*seen, channel), met
