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
from functools import lru_cache
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.ops.windows import Padding, Pair, Shape, output_size

from . import columns, costs, depthwise, direct, fused, winograd
from .memory import empty
from .twins import kernel_set
from .windows import phases

Array = NDArray[Any]
Index = tuple[slice, ...]

DIRECT = 1 << 17  # weights of a group; half of a core's second-level cache keeps that many


class _Part(NamedTuple):
    """A plain convolution: where it finds its pixels, outputs and weights, and its own stride and corner."""

    pixels: Index
    windows: Index
    weights: tuple[Any, slice]
    stride: Pair
    corner: Pair


def conv2d(x: Array, w: Array, b: Array | None, stride: Pair, padding: Padding, dilation: Pair, groups: int) -> Array:
    """Convolution of images with weights, which are not rotated: mathematically a correlation.

    Parameters
    ----------
    x : array (N, H, W, C)
    w : array (KH, KW, C // groups, O)
    b : array (O,), or None

    Returns
    -------
    array (N, OH, OW, O), OH and OW by `output_size`
    """
    height, width = _output_size(x.shape, w.shape, stride, padding, dilation)
    y = empty((len(x), height, width, w.shape[3]), np.result_type(x, w, *([] if b is None else [b])))
    if not (x.size and w.size and y.size):
        y[...] = 0 if b is None else b
        return y
    convolve = depthwise.conv2d if is_depthwise(x.shape, groups) else _convolve
    for part in _parts(x.shape, w.shape, (height, width), stride, padding, dilation, groups):
        bias = None if b is None else b[part.weights[1]]
        convolve(x[part.pixels], w[part.weights], bias, y[part.windows], part.stride, part.corner)
    return y


def _convolve(x: Array, w: Array, b: Array | None, y: Array, stride: Pair, corner: Pair) -> None:
    """Write a plain convolution into `y`, by the fastest way."""
    if suits_winograd(y, w.shape, stride):
        _winograd().conv2d(x, w, b, y, corner, _directly)
    else:
        _directly(x, w, b, y, corner, stride)


def _directly(x: Array, w: Array, b: Array | None, y: Array, corner: Pair, stride: Pair = (1, 1)) -> None:
    """Write a plain convolution into `y`, window by window."""
    if suits_direct(y, w.shape):
        direct.conv2d(x, w, b, y, stride, corner)
    else:
        columns.conv2d(x, w, b, y, stride, corner)


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
    gx = empty(x_shape, np.result_type(g, w))
    if dilation != (1, 1):
        gx[...] = 0  # no window may see the pixels of a phase
    add_up = depthwise.input_gradient if is_depthwise(x_shape, groups) else _input_gradient
    for part in _parts(x_shape, w.shape, g.shape[1:3], stride, padding, dilation, groups):
        out = gx[part.pixels]
        if out.size:
            add_up(g[part.windows], w[part.weights], out, part.stride, part.corner)
    return gx


def _input_gradient(g: Array, w: Array, gx: Array, stride: Pair, corner: Pair) -> None:
    """Write the gradient of a plain convolution into `gx`."""
    if stride == (1, 1):
        down, across = (n - 1 - before for n, before in zip(w.shape, corner, strict=False))
        _convolve(g, w[::-1, ::-1].swapaxes(2, 3), None, gx, stride, (down, across))
    elif suits_direct(gx, w.shape):
        direct.input_gradient(g, w, gx, stride, corner)
    else:
        columns.input_gradient(g, w, gx, stride, corner)


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
    gradient = depthwise.weight_gradient if is_depthwise(x.shape, groups) else _weight_gradient
    parts = _parts(x.shape, w_shape, g.shape[1:3], stride, padding, dilation, groups)
    gw = np.zeros(w_shape, g.dtype)
    for part in parts:
        shape = gw[part.weights].shape
        found = gradient(x[part.pixels], g[part.windows], shape, part.stride, part.corner)
        if len(parts) == 1:
            return found
        gw[part.weights] += found
    return gw


def _weight_gradient(x: Array, g: Array, w_shape: Shape, stride: Pair, corner: Pair) -> Array:
    """Gradient of a plain convolution for `w`."""
    if suits_winograd(g, w_shape, stride):
        gw: Array = _winograd().weight_gradient(x, g, w_shape, corner, _gradient_directly)
        return gw
    return _gradient_directly(x, g, w_shape, corner, stride)


def _gradient_directly(x: Array, g: Array, w_shape: Shape, corner: Pair, stride: Pair = (1, 1)) -> Array:
    """Gradient of `_directly` with respect to `w`."""
    algorithm = direct if suits_direct(g, w_shape) else columns
    return algorithm.weight_gradient(x, g, w_shape, stride, corner)


def _output_size(x_shape: Shape, w_shape: Shape, stride: Pair, padding: Padding, dilation: Pair) -> Pair:
    height, width = (output_size(x_shape[a + 1], w_shape[a], stride[a], *padding[a], dilation[a]) for a in (0, 1))
    return height, width


def _of_all_windows(g: Array, x_shape: Shape, *geometry: Any) -> Array:
    """Add zeros to `g` for the windows at the end of an image that it leaves out."""
    rows, columns = (n - have for n, have in zip(_output_size(x_shape, *geometry), g.shape[1:3], strict=True))
    return np.pad(g, ((0, 0), (0, rows), (0, columns), (0, 0))) if rows or columns else g


@lru_cache(1024)
def _parts(
    x_shape: Shape, w_shape: Shape, windows: Shape, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> list[_Part]:
    """List the plain convolutions of each group, and of each phase of the dilation."""
    count = 1 if is_depthwise(x_shape, groups) else groups
    inputs, outputs = x_shape[3] // count, w_shape[3] // count
    corner, found = (padding[0][0], padding[1][0]), []
    for phase in phases(windows, stride, corner, dilation):
        for n in range(count):
            i, o = slice(n * inputs, (n + 1) * inputs), slice(n * outputs, (n + 1) * outputs)
            found.append(_Part((*phase.pixels, i), (*phase.windows, o), (..., o), phase.stride, phase.corner))
    return found


def suits_winograd(y: Array, w_shape: Shape, stride: Pair) -> bool:
    """Whether Winograd's algorithm can compute the outputs `y`, and is the fastest to do so."""
    # `fused` fills a register, of up to 16 numbers, with channels.
    if stride != (1, 1) or y.dtype.char not in "fd" or min(w_shape[2:]) < 16:
        return False
    images, height, width = y.shape[:3]
    return costs.cheaper_in_tiles(images * height * width, images * -(-height // 4) * -(-width // 4), w_shape)


def suits_direct(y: Array, w_shape: Shape) -> bool:
    """Whether `direct` can compute `y`, outputs or gradients, and is faster than `columns`."""
    return math.prod(w_shape) <= DIRECT and direct.suits(y)


def _winograd() -> ModuleType:
    return fused if kernel_set() == "numba" else winograd


def is_depthwise(x_shape: Shape, groups: int) -> bool:
    """Whether every channel has weights of its own."""
    return 1 < groups == x_shape[3]
