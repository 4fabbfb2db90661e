"""Depthwise convolution, in which every channel has weights of its own, and its two adjoints.

Written as matrix products, they would have matrices of one column. Instead, each tap of the kernel is one pass over a
tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.ops.windows import Padding, Pair, Shape

from .tiles import map_images
from .twins import twin
from .windows import Index, taps

Array = NDArray[Any]


def conv2d(x: Array, w: Array, b: Array | None, y: Array, stride: Pair, padding: Padding, dilation: Pair) -> None:
    """Write the convolution of `x` with `w` into `y`."""
    x, w = np.ascontiguousarray(x, y.dtype), np.ascontiguousarray(w, y.dtype)
    bias = np.zeros(y.shape[3], y.dtype) if b is None else np.ascontiguousarray(b, y.dtype)
    map_images(lambda x, y: output_tile(x, w, bias, y, stride, padding, dilation), x, y)


def input_gradient(g: Array, w: Array, gx: Array, stride: Pair, padding: Padding, dilation: Pair) -> None:
    """Write the gradient of `conv2d` with respect to `x` into `gx`."""
    g, w = np.ascontiguousarray(g, gx.dtype), np.ascontiguousarray(w, gx.dtype)
    map_images(lambda g, gx: input_gradient_tile(g, w, gx, stride, padding, dilation), g, gx)


def weight_gradient(x: Array, g: Array, w_shape: Shape, stride: Pair, padding: Padding, dilation: Pair) -> Array:
    """Gradient of `conv2d` with respect to `w`."""
    gw = np.zeros(w_shape, np.result_type(x, g))
    x, g = np.ascontiguousarray(x, gw.dtype), np.ascontiguousarray(g, gw.dtype)

    def compute(x: Array, g: Array) -> Array:
        total = np.empty_like(gw)
        weight_gradient_tile(x, g, total, stride, padding, dilation)
        return total

    for total in map_images(compute, x, g, products=True):
        gw += total
    return gw


@twin("depthwise.output_tile", writes=("y",))
def output_tile(x: Array, w: Array, b: Array, y: Array, stride: Pair, padding: Padding, dilation: Pair) -> None:
    """Write the convolution of a few images into `y`."""
    y[...] = b
    for tap, windows, pixels in _taps(x.shape, y.shape, w.shape, stride, padding, dilation):
        y[windows] += x[pixels] * w[tap]


@twin("depthwise.input_gradient_tile", writes=("gx",))
def input_gradient_tile(g: Array, w: Array, gx: Array, stride: Pair, padding: Padding, dilation: Pair) -> None:
    """Write the gradient of a few images into `gx`."""
    gx[...] = 0
    for tap, windows, pixels in _taps(gx.shape, g.shape, w.shape, stride, padding, dilation):
        gx[pixels] += g[windows] * w[tap]


@twin("depthwise.weight_gradient_tile", writes=("gw",))
def weight_gradient_tile(x: Array, g: Array, gw: Array, stride: Pair, padding: Padding, dilation: Pair) -> None:
    """Write the contribution of a few images to the weight gradient into `gw`."""
    gw[...] = 0
    for tap, windows, pixels in _taps(x.shape, g.shape, gw.shape, stride, padding, dilation):
        product = np.multiply(x[pixels], g[windows], order="C").reshape(-1, x.shape[3])
        gw[tap] = np.ones(len(product), product.dtype) @ product  # four times as fast as a sum


def _taps(
    x_shape: Shape, y_shape: Shape, w_shape: Shape, stride: Pair, padding: Padding, dilation: Pair
) -> Iterator[tuple[tuple[Any, ...], tuple[slice, ...], Index]]:
    """Like `taps`, once for the first output of each channel, once for the second, ...; indices select it too."""
    outputs = w_shape[3] // x_shape[3]
    for tap, windows, pixels in taps(x_shape[1:3], y_shape[1:3], w_shape[:2], stride, padding, dilation):
        for channel in (slice(k, None, outputs) for k in range(outputs)):
            yield (*tap, 0, channel), (*windows, channel), pixels
