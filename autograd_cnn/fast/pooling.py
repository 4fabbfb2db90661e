"""Pooling of images and its gradients, on raw arrays.

A window is reduced over its rows first, and the resulting row over its columns: KH + KW passes over a tile rather than
KH * KW. Max pooling also returns the place of each maximum in its window. For fixed places it is a linear map, which
picks entries of x (`max_gather2d`); its adjoint puts them back (`max_unpool2d`). Average pooling is linear, and
`avg_unpool2d` is its adjoint. The functions of each pair are each other's derivatives, to any order.

Images are NHWC. Options come normalised, as in `windows`. Inputs are only read; they may have any strides, and there
may be no images at all. Outputs have the dtype of the input.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.ops.windows import Padding, Pair, Shape, output_size

from .elementwise import select
from .memory import empty, scratch
from .tiles import map_images, parts
from .twins import each_tile, twin
from .windows import Index, taps

Array = NDArray[Any]


def max_pool2d(
    x: Array, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair = (1, 1), places: bool = True
) -> tuple[Array, Array | None]:
    """Largest number of each window, and its place.

    A tie goes to the first place in row-major order; NaN counts as larger than every number; padding never wins,
    not even against -inf.

    Parameters
    ----------
    x : array (N, H, W, C)
    places : bool
        Whether to return the places; without them, pooling takes half as long.

    Returns
    -------
    y : array (N, OH, OW, C)
    argmax : array (N, OH, OW, C) of the smallest unsigned integers that count the places of a window; or None
        ``row * KW + column`` in the window.

    Examples
    --------
    >>> x = np.array([[1.0, 5.0], [5.0, 2.0]]).reshape(1, 2, 2, 1)
    >>> y, argmax = max_pool2d(x, kernel_size=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0)))
    >>> y.item(), argmax.item()
    (5.0, 1)
    """
    x = np.ascontiguousarray(x)
    window: tuple[Pair, Pair, Padding] = kernel_size, stride, padding
    y = empty(_pooled_shape(x.shape, *window, dilation), x.dtype)
    if not places and dilation == (1, 1):
        each_tile(max_tile, parts(x.size, len(x)), x, y, *window)
        return y, None
    argmax = empty(y.shape, np.min_scalar_type(kernel_size[0] * kernel_size[1]))
    if dilation == (1, 1):
        each_tile(max_argmax_tile, parts(x.size, len(x)), x, y, argmax, *window)
    else:
        map_images(lambda x, y, argmax: _maxima(x, y, argmax, *window, dilation), x, y, argmax)
    return y, argmax


@twin("pooling.max_tile", writes=("y",))
def max_tile(x: Array, y: Array, kernel_size: Pair, stride: Pair, padding: Padding) -> None:
    """Write the maxima of a few images into `y`."""
    _reduce(np.maximum, _lowest(x.dtype), x, y, kernel_size, stride, padding)


@twin("pooling.max_argmax_tile", writes=("y", "argmax"))
def max_argmax_tile(x: Array, y: Array, argmax: Array, kernel_size: Pair, stride: Pair, padding: Padding) -> None:
    """Write the maxima of a few images into `y`, and their places into `argmax`."""
    _maxima(x, y, argmax, kernel_size, stride, padding)


def _maxima(
    x: Array, y: Array, argmax: Array, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair = (1, 1)
) -> None:
    _reduce(np.maximum, _lowest(x.dtype), x, y, kernel_size, stride, padding, dilation)
    # Places that equal the maximum get a score, the first one the highest. A score of 0 means that the maximum is NaN.
    # Arithmetic is 5 times as fast as a branch on every number, which is mispredicted half of the time.
    argmax[...] = 0
    places = kernel_size[0] * kernel_size[1]
    for is_maximum in np.equal, lambda a, _: np.isnan(a):
        for place, windows, pixels in _places(x.shape, y.shape, kernel_size, stride, padding, dilation):
            score = is_maximum(x[pixels], y[windows]).view(np.uint8) * argmax.dtype.type(places - place)
            np.maximum(argmax[windows], score, out=argmax[windows])
        if argmax.all():
            break
    np.subtract(places, argmax, out=argmax)


def max_unpool2d(
    g: Array,
    argmax: Array,
    x_shape: Shape,
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair = (1, 1),
) -> Array:
    """Gradient of `max_pool2d`: adds every entry of `g` to the pixel that was the maximum of its window.

    Parameters
    ----------
    g, argmax : array (N, OH, OW, C)
    x_shape : (N, H, W, C)

    Returns
    -------
    array (N, H, W, C)
    """
    gx = empty(x_shape, g.dtype)
    arrays = np.ascontiguousarray(g), np.ascontiguousarray(argmax), gx
    window: tuple[Pair, Pair, Padding] = kernel_size, stride, padding
    if dilation == (1, 1):
        each_tile(max_unpool_tile, parts(gx.size, len(gx)), *arrays, *window)
    else:
        map_images(lambda g, argmax, gx: _unpool(g, argmax, gx, *window, dilation), *arrays)
    return gx


@twin("pooling.max_unpool_tile", writes=("gx",))
def max_unpool_tile(g: Array, argmax: Array, gx: Array, kernel_size: Pair, stride: Pair, padding: Padding) -> None:
    """Write `max_unpool2d` of a few images into `gx`."""
    _unpool(g, argmax, gx, kernel_size, stride, padding)


def _unpool(
    g: Array, argmax: Array, gx: Array, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair = (1, 1)
) -> None:
    disjoint = dilation == (1, 1) and stride[0] >= kernel_size[0] and stride[1] >= kernel_size[1]
    gx[...] = 0
    for place, windows, pixels in _places(gx.shape, g.shape, kernel_size, stride, padding, dilation):
        chosen = select(argmax[windows] == place, g[windows])
        if disjoint:  # a third faster
            gx[pixels] = chosen
        else:
            gx[pixels] += chosen


def max_gather2d(
    x: Array, argmax: Array, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair = (1, 1)
) -> Array:
    """Entries of `x` at the places `argmax`: linear in `x`, and the adjoint of `max_unpool2d`.

    Parameters
    ----------
    x : array (N, H, W, C)
    argmax : array (N, OH, OW, C)

    Returns
    -------
    array (N, OH, OW, C)
    """
    y = empty(argmax.shape, x.dtype)

    def tile(x: Array, argmax: Array, y: Array) -> None:
        y[...] = 0
        for place, windows, pixels in _places(x.shape, y.shape, kernel_size, stride, padding, dilation):
            y[windows] += select(argmax[windows] == place, x[pixels])

    map_images(tile, x, argmax, y)
    return y


def avg_pool2d(x: Array, kernel_size: Pair, stride: Pair, padding: Padding) -> Array:
    """Mean of each window; the zeros of the padding count.

    Parameters
    ----------
    x : array (N, H, W, C)

    Returns
    -------
    array (N, OH, OW, C)
    """
    y = empty(_pooled_shape(x.shape, kernel_size, stride, padding), x.dtype)
    each_tile(avg_tile, parts(x.size, len(x)), np.ascontiguousarray(x), y, kernel_size, stride, padding)
    return y


@twin("pooling.avg_tile", writes=("y",))
def avg_tile(x: Array, y: Array, kernel_size: Pair, stride: Pair, padding: Padding) -> None:
    """Write the means of a few images into `y`."""
    _reduce(np.add, 0, x, y, kernel_size, stride, padding)
    y /= kernel_size[0] * kernel_size[1]


def avg_unpool2d(g: Array, x_shape: Shape, kernel_size: Pair, stride: Pair, padding: Padding) -> Array:
    """Gradient of `avg_pool2d`: spreads every entry of `g` evenly over its window.

    Parameters
    ----------
    g : array (N, OH, OW, C)
    x_shape : (N, H, W, C)

    Returns
    -------
    array (N, H, W, C)
    """
    gx = empty(x_shape, g.dtype)
    each_tile(avg_unpool_tile, parts(gx.size, len(gx)), np.ascontiguousarray(g), gx, kernel_size, stride, padding)
    return gx


@twin("pooling.avg_unpool_tile", writes=("gx",))
def avg_unpool_tile(g: Array, gx: Array, kernel_size: Pair, stride: Pair, padding: Padding) -> None:
    """Write `avg_unpool2d` of a few images into `gx`."""
    down, across = _axes(gx.shape, g.shape, kernel_size, stride, padding)
    share = g / (kernel_size[0] * kernel_size[1])
    rows = scratch("rows", (len(gx), g.shape[1], *gx.shape[2:]), gx.dtype)
    rows[...] = gx[...] = 0
    for _, windows, pixels in taps(*across):
        rows[pixels] += share[windows]
    for _, windows, pixels in taps(*down):
        gx[pixels] += rows[windows]


def _pooled_shape(x_shape: Shape, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair = (1, 1)) -> Shape:
    rows, columns = (output_size(x_shape[a + 1], kernel_size[a], stride[a], *padding[a], dilation[a]) for a in (0, 1))
    return x_shape[0], rows, columns, x_shape[3]


def _lowest(dtype: np.dtype[Any]) -> float:
    return -np.inf if dtype.kind == "f" else dtype.kind != "b" and int(np.iinfo(dtype).min)


def _reduce(
    ufunc: np.ufunc, empty: float, x: Array, y: Array, kernel_size: Pair, stride: Pair, padding: Padding,
    dilation: Pair = (1, 1),
) -> None:  # fmt: skip
    """Reduce every window of `x` into `y`; `empty` is the result for an empty window."""
    down, across = _axes(x.shape, y.shape, kernel_size, stride, padding, dilation)
    rows = scratch("rows", (len(x), y.shape[1], *x.shape[2:]), y.dtype)
    for source, out, axis in (x, rows, down), (rows, y, across):
        steps = [(out[windows], source[pixels]) for _, windows, pixels in taps(*axis)]
        if len(steps) > 1 and steps[0][0].shape == steps[1][0].shape == out.shape:
            ufunc(steps.pop(0)[1], steps.pop(0)[1], out=out)  # saves filling `out`, and reading it twice
        else:
            out[...] = empty
        for part, more in steps:
            ufunc(part, more, out=part)


def _axes(
    x_shape: Shape, y_shape: Shape, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair = (1, 1)
) -> Any:
    """Arguments of `taps` for a reduction over the rows of each window, and then over the columns of the result."""
    (_, height, width, _), (_, rows, columns, _) = x_shape, y_shape
    down = (height, width), (rows, width), (kernel_size[0], 1), (stride[0], 1), (padding[0], (0, 0)), (dilation[0], 1)
    across = (rows, width), (rows, columns), (1, kernel_size[1]), (1, stride[1]), ((0, 0), padding[1]), (1, dilation[1])
    return down, across


def _places(
    x_shape: Shape, y_shape: Shape, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair = (1, 1)
) -> Iterator[tuple[int, Index, Index]]:
    """Like `taps`, with each tap given as its place in the window, in row-major order."""
    for (i, j), windows, pixels in taps(x_shape[1:3], y_shape[1:3], kernel_size, stride, padding, dilation):
        yield i * kernel_size[1] + j, windows, pixels
