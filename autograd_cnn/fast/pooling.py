"""Pooling of images and its gradients, on raw arrays.

A window is reduced over its rows first, and the resulting row over its columns: KH + KW passes over a tile rather than
KH * KW. Max pooling also returns the place of each maximum in its window. For fixed places it is a linear map, and
`max_unpool2d` its adjoint. Average pooling is a depthwise convolution with equal weights, and `avg_unpool2d` its
adjoint. The latter two are each other's derivatives, to any order.

Images are NHWC. Options come normalised, as in `ops.windows`. Inputs are only read; they may have any strides, and
there may be no images at all. Outputs have the dtype of the input.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.ops.windows import Padding, Pair, Shape

from . import depthwise
from .elementwise import where
from .memory import empty, scratch
from .tiles import parts, put
from .twins import each_tile
from .windows import Index, corner_of, outputs, phases, taps

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
    y = empty((len(x), *outputs(x.shape, kernel_size, stride, padding, dilation), x.shape[3]), x.dtype)
    argmax = empty(y.shape, np.min_scalar_type(kernel_size[0] * kernel_size[1])) if places else None
    for pixels, windows, *window in phases(y.shape[1:3], stride, corner_of(padding), dilation):
        image, out = np.ascontiguousarray(x[pixels]), np.ascontiguousarray(y[windows])
        count = parts(image.size, len(image))
        if argmax is None:
            each_tile(max_tile, count, image, out, kernel_size, *window)
        else:
            place = np.ascontiguousarray(argmax[windows])
            each_tile(max_argmax_tile, count, image, out, place, kernel_size, *window)
            put(argmax[windows], place)
        put(y[windows], out)
    return y, argmax


def max_tile(x: Array, y: Array, kernel_size: Pair, stride: Pair, corner: Pair) -> None:
    """Write the maxima of a few images into `y`."""
    down, across = _axes(x.shape, y.shape, kernel_size, stride, corner)
    rows = scratch("rows", (len(x), y.shape[1], *x.shape[2:]), y.dtype)
    for source, out, axis in (x, rows, down), (rows, y, across):
        steps = [(out[windows], source[pixels]) for _, windows, pixels in taps(*axis)]
        if len(steps) > 1 and steps[0][0].shape == steps[1][0].shape == out.shape:
            np.maximum(steps.pop(0)[1], steps.pop(0)[1], out=out)  # saves filling `out`, and reading it twice
        else:
            out[...] = _lowest(x.dtype)
        for part, more in steps:
            np.maximum(part, more, out=part)


def max_argmax_tile(x: Array, y: Array, argmax: Array, kernel_size: Pair, stride: Pair, corner: Pair) -> None:
    """Write the maxima of a few images into `y`, and their places into `argmax`."""
    max_tile(x, y, kernel_size, stride, corner)
    # Places that equal the maximum get a score, the first one the highest. A score of 0 means that the maximum is NaN.
    # Arithmetic is 5 times as fast as a branch on every number, which is mispredicted half of the time.
    argmax[...] = 0
    places = kernel_size[0] * kernel_size[1]
    for is_maximum in np.equal, lambda a, _: np.isnan(a):
        for place, windows, pixels in _places(x.shape, y.shape, kernel_size, stride, corner):
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
    if dilation != (1, 1):
        gx[...] = 0  # no window may see the pixels of a phase
    for pixels, windows, *window in phases(g.shape[1:3], stride, corner_of(padding), dilation):
        image = np.ascontiguousarray(gx[pixels])
        arrays = np.ascontiguousarray(g[windows]), np.ascontiguousarray(argmax[windows]), image
        each_tile(max_unpool_tile, parts(image.size, len(image)), *arrays, kernel_size, *window)
        put(gx[pixels], image)
    return gx


def max_unpool_tile(g: Array, argmax: Array, gx: Array, kernel_size: Pair, stride: Pair, corner: Pair) -> None:
    """Write `max_unpool2d` of a few images into `gx`."""
    disjoint = stride[0] >= kernel_size[0] and stride[1] >= kernel_size[1]
    gx[...] = 0
    for place, windows, pixels in _places(gx.shape, g.shape, kernel_size, stride, corner):
        chosen = where(argmax[windows] == place, g[windows], 0)
        if disjoint:  # a third faster
            gx[pixels] = chosen
        else:
            gx[pixels] += chosen


def avg_pool2d(x: Array, kernel_size: Pair, stride: Pair, padding: Padding) -> Array:
    """Mean of each window; the zeros of the padding count.

    Parameters
    ----------
    x : array (N, H, W, C)

    Returns
    -------
    array (N, OH, OW, C)
    """
    y = empty((len(x), *outputs(x.shape, kernel_size, stride, padding), x.shape[3]), x.dtype)
    weights, odd = _shares(kernel_size, x)
    if y.size:
        depthwise.conv2d(x, weights, None, y, stride, corner_of(padding))
    if odd > 1:
        y /= odd
    return y


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
    weights, odd = _shares(kernel_size, g)
    if gx.size:
        depthwise.input_gradient(g / odd if odd > 1 else g, weights, gx, stride, corner_of(padding))
    return gx


def _shares(kernel_size: Pair, x: Array) -> tuple[Array, int]:
    """Return weights that divide by the largest power of 2 in the number of places, which is exact, and the rest."""
    places = kernel_size[0] * kernel_size[1]
    exact = places & -places
    return np.full((*kernel_size, 1, x.shape[3]), 1 / exact, x.dtype), places // exact


def _lowest(dtype: np.dtype[Any]) -> float:
    return -np.inf if dtype.kind == "f" else dtype.kind != "b" and int(np.iinfo(dtype).min)


def _axes(x_shape: Shape, y_shape: Shape, kernel_size: Pair, stride: Pair, corner: Pair) -> Any:
    """Arguments of `taps` for a reduction over the rows of each window, and then over the columns of the result."""
    (_, height, width, _), (_, rows, columns, _) = x_shape, y_shape
    down = (height, width), (rows, width), (kernel_size[0], 1), (stride[0], 1), (corner[0], 0)
    across = (rows, width), (rows, columns), (1, kernel_size[1]), (1, stride[1]), (0, corner[1])
    return down, across


def _places(
    x_shape: Shape, y_shape: Shape, kernel_size: Pair, stride: Pair, corner: Pair
) -> Iterator[tuple[int, Index, Index]]:
    """Like `taps`, with each tap given as its place in the window, in row-major order."""
    for (i, j), windows, pixels in taps(x_shape[1:3], y_shape[1:3], kernel_size, stride, corner):
        yield i * kernel_size[1] + j, windows, pixels
