"""Convolution of images and its two gradients, on raw arrays, by the fastest of several algorithms.

A convolution is linear in x and linear in w, and each of the two maps has an adjoint:

    <conv2d(x, w), g>  =  <x, conv2d_input_gradient(g, w)>  =  <w, conv2d_weight_gradient(x, g)>

for all x, w and g. The gradient of x, also known as the transposed convolution of g, returns to every pixel what each
window took from it; at stride 1 it is again a convolution, of g with the weights rotated by 180 degrees. The three are
each other's derivatives, to any order.

Images are NHWC, weights HWIO: (KH, KW, C // groups, O). Options come normalised, as in `windows`. Inputs are only read;
they may have any strides, and there may be no images or no channels. The output has their common dtype, and the same
bits in every run (see `tiles`).
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.ops.windows import Padding, Pair, Shape, output_size

from . import columns, costs, depthwise, direct, fused, winograd
from .memory import empty
from .twins import kernel_set

Array = NDArray[Any]

FEW = 8  # channels of a first layer, fewer than the numbers of half a vector
DIRECT = 1 << 17  # weights of a group; half of a core's second-level cache keeps that many


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
    elif is_depthwise(x.shape, groups):
        depthwise.conv2d(x, w, b, y, stride, padding, dilation)
    elif suits_winograd(y, w.shape, stride, dilation, groups):
        for i, o in _groups(w.shape, groups):
            bias = None if b is None else b[o]
            _winograd().conv2d(x[..., i], w[..., o], bias, y[..., o], padding, dilation, _directly)
    else:
        _directly(x, w, b, y, padding, stride, dilation, groups)
    return y


def _directly(
    x: Array, w: Array, b: Array | None, y: Array, padding: Padding,
    stride: Pair = (1, 1), dilation: Pair = (1, 1), groups: int = 1,
) -> None:  # fmt: skip
    """Write the convolution of `x` with `w` into `y`, window by window."""
    if suits_direct(y, w.shape, dilation, groups):
        for i, o in _groups(w.shape, groups):
            direct.conv2d(x[..., i], w[..., o], None if b is None else b[o], y[..., o], stride, padding)
    else:
        columns.conv2d(x, w, b, y, (stride, padding, dilation, groups))


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
    few = groups == 1 and x_shape[3] < FEW and kernel_set() == "numba"  # the products of `columns` are wider
    if not few and stride == (1, 1) and (groups < x_shape[3] or g.shape[3] == x_shape[3]):
        down, across = dilation[0] * (w.shape[0] - 1), dilation[1] * (w.shape[1] - 1)
        (top, bottom), (left, right) = padding
        padding = ((down - top, down - bottom), (across - left, across - right))
        return conv2d(g, _rotated(w, groups), None, stride, padding, dilation, groups)
    gx = empty(x_shape, np.result_type(g, w))
    if is_depthwise(x_shape, groups):
        depthwise.input_gradient(g, w, gx, stride, padding, dilation)
    elif not few and suits_direct(gx, w.shape, dilation, groups):
        for i, o in _groups(w.shape, groups):
            direct.input_gradient(g[..., o], w[..., o], gx[..., i], stride, padding)
    else:
        columns.input_gradient(g, w, gx, (stride, padding, dilation, groups))
    return gx


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
    if is_depthwise(x.shape, groups):
        return depthwise.weight_gradient(x, g, w_shape, stride, padding, dilation)
    if not suits_winograd(g, w_shape, stride, dilation, groups):
        return _gradient_directly(x, g, w_shape, padding, stride, dilation, groups)
    shape, algorithm = (*w_shape[:3], w_shape[3] // groups), _winograd()
    parts = [
        algorithm.weight_gradient(x[..., i], g[..., o], shape, padding, dilation, _gradient_directly)
        for i, o in _groups(w_shape, groups)
    ]
    return parts[0] if groups == 1 else np.concatenate(parts, axis=3)


def _gradient_directly(
    x: Array, g: Array, w_shape: Shape, padding: Padding,
    stride: Pair = (1, 1), dilation: Pair = (1, 1), groups: int = 1,
) -> Array:  # fmt: skip
    """Gradient of `_directly` with respect to `w`."""
    if not suits_direct(g, w_shape, dilation, groups):
        return columns.weight_gradient(x, g, w_shape, (stride, padding, dilation, groups))
    shape = *w_shape[:3], w_shape[3] // groups
    parts = [direct.weight_gradient(x[..., i], g[..., o], shape, stride, padding) for i, o in _groups(w_shape, groups)]
    return parts[0] if groups == 1 else np.concatenate(parts, axis=3)


def _output_size(x_shape: Shape, w_shape: Shape, stride: Pair, padding: Padding, dilation: Pair) -> Pair:
    height, width = (output_size(x_shape[a + 1], w_shape[a], stride[a], *padding[a], dilation[a]) for a in (0, 1))
    return height, width


def _of_all_windows(g: Array, x_shape: Shape, *geometry: Any) -> Array:
    """Add zeros to `g` for the windows at the end of an image that it leaves out."""
    rows, columns = (n - have for n, have in zip(_output_size(x_shape, *geometry), g.shape[1:3], strict=True))
    return np.pad(g, ((0, 0), (0, rows), (0, columns), (0, 0))) if rows or columns else g


def suits_winograd(y: Array, w_shape: Shape, stride: Pair, dilation: Pair, groups: int) -> bool:
    """Whether Winograd's algorithm can compute the outputs `y`, and is the fastest to do so."""
    shape = *w_shape[:3], w_shape[3] // groups
    # `fused` fills a register, of up to 16 numbers, with channels.
    if stride != (1, 1) or y.dtype.char not in "fd" or min(shape[2:]) < 16:
        return False
    images, height, width = y.shape[:3]
    down, across = (math.ceil(n / d / 4) * d for n, d in zip((height, width), dilation, strict=True))
    # A dilated convolution is several, of pixels that are `dilation` apart.
    return costs.cheaper_in_tiles(images * height * width, images * down * across, shape)


def suits_direct(y: Array, w_shape: Shape, dilation: Pair, groups: int) -> bool:
    """Whether `direct` can compute `y`, outputs or gradients, and is faster than `columns`."""
    small = math.prod(w_shape[:2]) > 1 and math.prod(w_shape) <= DIRECT * groups
    return small and dilation == (1, 1) and y.dtype.char in "fd" and kernel_set() == "numba"


def _winograd() -> ModuleType:
    return fused if kernel_set() == "numba" else winograd


def _groups(w_shape: Shape, groups: int) -> list[tuple[slice, slice]]:
    """The input and the output channels of each group."""
    inputs, outputs = w_shape[2], w_shape[3] // groups
    return [(slice(i * inputs, (i + 1) * inputs), slice(i * outputs, (i + 1) * outputs)) for i in range(groups)]


def is_depthwise(x_shape: Shape, groups: int) -> bool:
    """Whether every channel has weights of its own."""
    return 1 < groups == x_shape[3]


def _rotated(w: Array, groups: int) -> Array:
    """Weights of the convolution that is the input gradient of a convolution with `w`, at stride 1."""
    kh, kw, inputs, outputs = w.shape
    rotated = w[::-1, ::-1].reshape(kh, kw, inputs, groups, outputs // groups).transpose(0, 1, 4, 3, 2)
    return rotated.reshape(kh, kw, outputs // groups, groups * inputs)
