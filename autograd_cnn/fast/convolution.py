"""Convolution of images and its two gradients, on raw arrays, by the fastest of several algorithms.

A convolution is linear in x and linear in w, and each of the two maps has an adjoint:

    <conv2d(x, w), g>  =  <x, conv2d_input_gradient(g, w)>  =  <w, conv2d_weight_gradient(x, g)>

for all x, w and g. The gradient of x, also known as the transposed convolution of g, returns to every pixel what each
window took from it; at stride 1 it is again a convolution, of g with the weights rotated by 180 degrees. The three are
each other's derivatives, to any order.

A convolution in groups, or a dilated one, is several plain ones: of some channels, or of pixels that are as far apart
as the taps. So the algorithms know of neither.

Images are NHWC, weights HWIO: (KH, KW, C // groups, O). Options come normalised, as in `ops.windows`. Inputs are only
read; they may have any strides, and there may be no images or no channels. The output has their common dtype, and the
same bits in every run (see `tiles`).
"""

from __future__ import annotations

import math
from functools import partial, reduce
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.ops.windows import Padding, Pair, Shape

from . import columns, depthwise, direct, matrices, winograd
from .memory import empty
from .tiles import each_group
from .windows import corner_of, outputs, phases

Array = NDArray[Any]

DIRECT = 1 << 17  # weights of a group; half of a core's second-level cache keeps that many
WIDE = 32  # inputs of a group from which groups are computed one by one, if Winograd's algorithm suits them


def conv2d(x: Array, w: Array, b: Array | None, stride: Pair, padding: Padding, dilation: Pair, groups: int) -> Array:
    """Convolution of images with weights, which are not rotated: mathematically a correlation.

    Parameters
    ----------
    x : array (N, H, W, C)
    w : array (KH, KW, C // groups, O)
    b : array (O,), or None

    Returns
    -------
    array (N, OH, OW, O), OH and OW by `outputs`
    """
    if x.size and w.size and _is_product(w.shape, stride, padding, groups):
        return matrices.matmul(x.reshape(-1, x.shape[3]), w[0, 0], b).reshape(*x.shape[:3], -1)
    height, width = outputs(x.shape, w.shape, stride, padding, dilation)
    y = empty((len(x), height, width, w.shape[3]), np.result_type(x, w, *([] if b is None else [b])))
    if not (x.size and w.size and y.size):
        y[...] = 0 if b is None else b
        return y
    for part in phases((height, width), stride, corner_of(padding), dilation):
        convolve(x[part.pixels], w, b, y[part.windows], part.stride, part.corner)
    return y


def _way(x_shape: Shape, y: Array, w_shape: Shape, stride: Pair, may_tile: bool = True) -> ModuleType | None:
    """Return the fastest algorithm for a convolution, or a gradient, without dilation; None to go group by group.

    ``may_tile=False`` leaves out Winograd's, which cuts images into tiles of 4x4 pixels.
    """
    groups, own = x_shape[3] // w_shape[2], (*w_shape[:3], w_shape[3] * w_shape[2] // x_shape[3])
    if 1 < groups == x_shape[3]:
        return depthwise
    in_tiles = may_tile and suits_winograd(y, own, stride)
    if suits_direct(y, own) and not (in_tiles and (groups == 1 or w_shape[2] >= WIDE)):
        return direct
    return None if groups > 1 else winograd if in_tiles else columns


def convolve(x: Array, w: Array, b: Array | None, y: Array, stride: Pair, corner: Pair, may_tile: bool = True) -> None:
    """Write a convolution without dilation into `y`."""
    way = _way(x.shape, y, w.shape, stride, may_tile)
    if way is None:
        for i, o in each_group(x.shape, w.shape):
            convolve(x[..., i], w[..., o], None if b is None else b[o], y[..., o], stride, corner)
    elif way is winograd:
        winograd.conv2d(x, w, b, y, corner, partial(convolve, may_tile=False))
    else:
        way.conv2d(x, w, b, y, stride, corner)


def conv2d_input_gradient(
    g: Array, w: Array, x_shape: Shape, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Array:
    """Gradient of `conv2d` with respect to `x`, also known as the transposed convolution of `g` with `w`.

    Parameters
    ----------
    g : array (N, OH, OW, O)
        Windows at the end may be left out.
    w : array (KH, KW, C // groups, O)
    x_shape : (N, H, W, C)

    Returns
    -------
    array (N, H, W, C), exactly 0 in pixels that no window covers
    """
    if not (g.size and w.size):
        return np.zeros(x_shape, np.result_type(g, w))
    g = _of_all_windows(g, x_shape, w.shape, stride, padding, dilation)
    if _is_product(w.shape, stride, padding, groups):
        return matrices.matmul(g.reshape(-1, g.shape[3]), w[0, 0].T).reshape(x_shape)
    gx = empty(x_shape, np.result_type(g, w))
    if dilation != (1, 1):
        gx[...] = 0  # no window may see the pixels of a phase
    for part in phases(g.shape[1:3], stride, corner_of(padding), dilation):
        if gx[part.pixels].size:
            _input_gradient(g[part.windows], w, gx[part.pixels], part.stride, part.corner)
    return gx


def _input_gradient(g: Array, w: Array, gx: Array, stride: Pair, corner: Pair) -> None:
    """Write the gradient of a convolution without dilation into `gx`."""
    way = _way(gx.shape, gx, w.shape, stride)
    if stride == (1, 1) and way is not depthwise:
        down, across = (n - 1 - before for n, before in zip(w.shape, corner, strict=False))
        turned = w[::-1, ::-1].reshape(*w.shape[:3], gx.shape[3] // w.shape[2], -1).swapaxes(2, 4)
        convolve(g, turned.reshape(*turned.shape[:3], -1), None, gx, stride, (down, across))
    elif way is None:
        for i, o in each_group(gx.shape, w.shape):
            _input_gradient(g[..., o], w[..., o], gx[..., i], stride, corner)
    else:
        way.input_gradient(g, w, gx, stride, corner)


def conv2d_weight_gradient(
    x: Array, g: Array, w_shape: Shape, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Array:
    """Gradient of `conv2d` with respect to `w`.

    Parameters
    ----------
    x : array (N, H, W, C)
    g : array (N, OH, OW, O)
    w_shape : (KH, KW, C // groups, O)

    Returns
    -------
    array (KH, KW, C // groups, O)
    """
    g = g.astype(np.result_type(x, g), copy=False)
    if not (x.size and g.size):
        return np.zeros(w_shape, g.dtype)
    g = _of_all_windows(g, x.shape, w_shape, stride, padding, dilation)
    gradients = [
        weight_gradient(x[part.pixels], g[part.windows], w_shape, part.stride, part.corner)
        for part in phases(g.shape[1:3], stride, corner_of(padding), dilation)
    ]
    return reduce(np.add, gradients)


def weight_gradient(x: Array, g: Array, w_shape: Shape, stride: Pair, corner: Pair, may_tile: bool = True) -> Any:
    """Gradient of `convolve` for `w`."""
    way = _way(x.shape, g, w_shape, stride, may_tile)
    if way is None:
        each, own = each_group(x.shape, w_shape), (*w_shape[:3], w_shape[3] * w_shape[2] // x.shape[3])
        return np.concatenate([weight_gradient(x[..., i], g[..., o], own, stride, corner) for i, o in each], 3)
    if way is winograd:
        return winograd.weight_gradient(x, g, w_shape, corner, partial(weight_gradient, may_tile=False))
    return way.weight_gradient(x, g, w_shape, stride, corner)


def _of_all_windows(g: Array, x_shape: Shape, *geometry: Any) -> Array:
    """Add zeros to `g` for the windows at the end of an image that it leaves out."""
    rows, columns = (n - have for n, have in zip(outputs(x_shape, *geometry), g.shape[1:3], strict=True))
    return np.pad(g, ((0, 0), (0, rows), (0, columns), (0, 0))) if rows or columns else g


def _is_product(w_shape: Shape, stride: Pair, padding: Padding, groups: int) -> bool:
    """Whether a convolution, or its input gradient, is a product of all pixels in a row and the weights."""
    return (*w_shape[:2], *stride, groups) == (1, 1, 1, 1, 1) and not any(map(any, padding))


def suits_winograd(y: Array, w_shape: Shape, stride: Pair) -> bool:
    """Whether Winograd's algorithm can compute the outputs `y`, and is the fastest to do so."""
    # It fills a register, of up to 16 numbers, with channels.
    can = stride == (1, 1) and direct.suits(y) and min(w_shape[2:]) >= 16
    return can and winograd.is_faster(y, w_shape)


def suits_direct(y: Array, w_shape: Shape) -> bool:
    """Whether `direct` can compute `y`, outputs or gradients, and is faster than `columns`."""
    return math.prod(w_shape) <= DIRECT and direct.suits(y)
