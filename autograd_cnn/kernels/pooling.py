"""Pooling of images and its gradients: raw arrays in, raw arrays out.

A window is reduced by a maximum or a sum, which may as well be taken along its columns first, then along what
is left of its rows: KH + KW passes over a tile rather than KH * KW. Max pooling says too which place of each
window it took. With that known it is a linear map, which picks entries of x (`max_gather2d`), and its adjoint
puts them back (`max_unpool2d`). Average pooling is linear from the start, and `avg_unpool2d` is its adjoint.
So each of a pair is the derivative of the other, to any order.

Images are NHWC. Options come normalised: `kernel_size` and `stride` are (vertical, horizontal), `padding` is
((top, bottom), (left, right)). Inputs are only read; they may have any strides, and no images at all. Outputs
have their dtype: float16, float32 or float64.

Imports NumPy and its neighbours `convolution` (windows and tiles), `elementwise`, `memory` and `twins`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .convolution import Padding, Pair, Place, Shape, map_images, output_size, taps
from .elementwise import select
from .memory import empty, scratch
from .twins import twin

Array = NDArray[Any]


def max_pool2d(
    x: Array, kernel_size: Pair, stride: Pair, padding: Padding, places: bool = True
) -> tuple[Array, Array | None]:
    """Largest number of each window, and its place.

    A tie goes to the first place in row-major order; NaN counts as larger than every number; padding is never
    taken, not even where all else is -inf.

    Parameters
    ----------
    x : array (N, H, W, C)
    places : bool
        Whether they are wanted: without them it takes half as long.

    Returns
    -------
    y : array (N, OH, OW, C)
    argmax : array (N, OH, OW, C) of uint8, or of uint16 if a window has more than 255 places; or None
        ``row * KW + column`` in the window.

    Examples
    --------
    >>> x = np.array([[1.0, 5.0], [5.0, 2.0]]).reshape(1, 2, 2, 1)
    >>> y, argmax = max_pool2d(x, kernel_size=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0)))
    >>> y.item(), argmax.item()
    (5.0, 1)
    """
    y = empty(_pooled_shape(x.shape, kernel_size, stride, padding), x.dtype)
    if not places:
        tile = partial(_max_values, kernel_size=kernel_size, stride=stride, padding=padding)
        map_images(tile, np.ascontiguousarray(x), y)
        return y, None
    argmax = empty(y.shape, np.uint8 if kernel_size[0] * kernel_size[1] <= 255 else np.uint16)
    tile = partial(_max_tile, kernel_size=kernel_size, stride=stride, padding=padding)
    map_images(tile, np.ascontiguousarray(x), y, argmax)
    return y, argmax


@twin("y")
def _max_values(x: Array, y: Array, kernel_size: Pair, stride: Pair, padding: Padding) -> None:
    _reduce(np.maximum, -np.inf, x, y, kernel_size, stride, padding)


@twin("y", "argmax")
def _max_tile(x: Array, y: Array, argmax: Array, kernel_size: Pair, stride: Pair, padding: Padding) -> None:
    _reduce(np.maximum, -np.inf, x, y, kernel_size, stride, padding)
    # A place that equals the maximum scores the more the earlier it stands; no score: the maximum is NaN.
    # By arithmetic, because a branch on every number is mispredicted half of the time: 5 times slower.
    argmax[...] = 0
    places = kernel_size[0] * kernel_size[1]
    for takes in np.equal, lambda a, _: np.isnan(a):
        for place, seen, met in _places(x.shape, y.shape, kernel_size, stride, padding):
            score = takes(x[met], y[seen]).view(np.uint8) * argmax.dtype.type(places - place)
            np.maximum(argmax[seen], score, out=argmax[seen])
        if argmax.all():
            break
    np.subtract(places, argmax, out=argmax)


def max_unpool2d(g: Array, argmax: Array, x_shape: Shape, kernel_size: Pair, stride: Pair, padding: Padding) -> Array:
    """Gradient of `max_pool2d`: every entry of `g` added to the place that its window took.

    Parameters
    ----------
    g, argmax : array (N, OH, OW, C)
    x_shape : (N, H, W, C)

    Returns
    -------
    array (N, H, W, C)
    """
    gx = empty(x_shape, g.dtype)
    tile = partial(_unpool_tile, kernel_size=kernel_size, stride=stride, padding=padding)
    map_images(tile, np.ascontiguousarray(g), np.ascontiguousarray(argmax), gx)
    return gx


@twin("gx")
def _unpool_tile(g: Array, argmax: Array, gx: Array, kernel_size: Pair, stride: Pair, padding: Padding) -> None:
    apart = stride[0] >= kernel_size[0] and stride[1] >= kernel_size[1]
    gx[...] = 0
    for place, seen, met in _places(gx.shape, g.shape, kernel_size, stride, padding):
        given = select(argmax[seen] == place, g[seen])
        if apart:  # a third faster
            gx[met] = given
        else:
            gx[met] += given


def max_gather2d(x: Array, argmax: Array, kernel_size: Pair, stride: Pair, padding: Padding) -> Array:
    """Entries of `x` in the places that `argmax` names: linear in `x`, and the adjoint of `max_unpool2d`.

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
        for place, seen, met in _places(x.shape, y.shape, kernel_size, stride, padding):
            y[seen] += select(argmax[seen] == place, x[met])

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
    tile = partial(_mean_tile, kernel_size=kernel_size, stride=stride, padding=padding)
    map_images(tile, np.ascontiguousarray(x), y)
    return y


@twin("y")
def _mean_tile(x: Array, y: Array, kernel_size: Pair, stride: Pair, padding: Padding) -> None:
    _reduce(np.add, 0, x, y, kernel_size, stride, padding)
    y /= kernel_size[0] * kernel_size[1]


def avg_unpool2d(g: Array, x_shape: Shape, kernel_size: Pair, stride: Pair, padding: Padding) -> Array:
    """Gradient of `avg_pool2d`: every entry of `g` spread evenly over its window.

    Parameters
    ----------
    g : array (N, OH, OW, C)
    x_shape : (N, H, W, C)

    Returns
    -------
    array (N, H, W, C)
    """
    gx = empty(x_shape, g.dtype)
    tile = partial(_spread_tile, kernel_size=kernel_size, stride=stride, padding=padding)
    map_images(tile, np.ascontiguousarray(g), gx)
    return gx


@twin("gx")
def _spread_tile(g: Array, gx: Array, kernel_size: Pair, stride: Pair, padding: Padding) -> None:
    down, across = _axes(gx.shape, g.shape, kernel_size, stride, padding)
    share = g / (kernel_size[0] * kernel_size[1])
    rows = scratch("rows", (len(gx), g.shape[1], *gx.shape[2:]), gx.dtype)
    rows[...] = gx[...] = 0
    for _, seen, met in taps(*across):
        rows[met] += share[seen]
    for _, seen, met in taps(*down):
        gx[met] += rows[seen]


def _pooled_shape(x_shape: Shape, kernel_size: Pair, stride: Pair, padding: Padding) -> Shape:
    rows, columns = (output_size(x_shape[a + 1], kernel_size[a], stride[a], *padding[a]) for a in (0, 1))
    return x_shape[0], rows, columns, x_shape[3]


def _reduce(
    ufunc: np.ufunc, empty: float, x: Array, y: Array, kernel_size: Pair, stride: Pair, padding: Padding
) -> None:
    """Every window of x reduced into y."""
    down, across = _axes(x.shape, y.shape, kernel_size, stride, padding)
    rows = scratch("rows", (len(x), y.shape[1], *x.shape[2:]), y.dtype)
    for source, out, axis in (x, rows, down), (rows, y, across):
        steps = [(out[seen], source[met]) for _, seen, met in taps(*axis)]
        if len(steps) > 1 and steps[0][0].shape == steps[1][0].shape == out.shape:
            ufunc(steps.pop(0)[1], steps.pop(0)[1], out=out)  # rather than fill, and read it again for each
        else:
            out[...] = empty
        for part, more in steps:
            ufunc(part, more, out=part)


def _axes(x_shape: Shape, y_shape: Shape, kernel_size: Pair, stride: Pair, padding: Padding) -> Any:
    """Arguments of `taps` for windows of x one column wide, and for windows of their results one row high."""
    (_, height, width, _), (_, rows, columns, _) = x_shape, y_shape
    down = (height, width), (rows, width), (kernel_size[0], 1), (stride[0], 1), (padding[0], (0, 0))
    across = (rows, width), (rows, columns), (1, kernel_size[1]), (1, stride[1]), ((0, 0), padding[1])
    return down, across


def _places(
    x_shape: Shape, y_shape: Shape, kernel_size: Pair, stride: Pair, padding: Padding
) -> Iterator[tuple[int, Place, Place]]:
    """As `taps`, with the tap's number in row-major order."""
    for (i, j), seen, met in taps(x_shape[1:3], y_shape[1:3], kernel_size, stride, padding):
        yield i * kernel_size[1] + j, seen, met
