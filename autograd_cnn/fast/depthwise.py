"""Depthwise convolution, in which every channel has weights of its own, and its two adjoints.

Written as matrix products, they would have matrices of one column. Instead, each tap of the kernel is one pass over a
tile. Where a channel has several outputs, it is repeated for each of them first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.ops.windows import Pair, Shape

from .memory import empty
from .tiles import parts, written
from .twins import each_tile, twin
from .windows import taps

Array = NDArray[Any]


def conv2d(x: Array, w: Array, b: Array | None, y: Array, stride: Pair, corner: Pair) -> None:
    """Write the convolution of `x` with `w` into `y`."""
    x, w = _repeated(x, w.shape, y.dtype), np.ascontiguousarray(w, y.dtype)
    bias = np.zeros(y.shape[3], y.dtype) if b is None else np.ascontiguousarray(b, y.dtype)
    count = parts(x.size, len(x))
    written(y, lambda y: each_tile(output_tile, count, x, w, bias, y, stride, corner, whole=(1, 2)))


def input_gradient(g: Array, w: Array, gx: Array, stride: Pair, corner: Pair) -> None:
    """Write the gradient of `conv2d` with respect to `x` into `gx`."""
    if stride == (1, 1) and g.shape[3] == gx.shape[3]:
        down, across = (n - 1 - before for n, before in zip(w.shape, corner, strict=False))
        conv2d(g, w[::-1, ::-1], None, gx, stride, (down, across))
        return
    g, w, count = np.ascontiguousarray(g, gx.dtype), np.ascontiguousarray(w, gx.dtype), parts(gx.size, len(gx))
    times = g.shape[3] // gx.shape[3]
    repeated = gx if times == 1 else empty((*gx.shape[:3], g.shape[3]), gx.dtype)
    written(repeated, lambda out: each_tile(input_gradient_tile, count, g, w, out, stride, corner, whole=(1,)))
    if times > 1:
        gx[...] = sum(repeated[..., first::times] for first in range(times))


def weight_gradient(x: Array, g: Array, w_shape: Shape, stride: Pair, corner: Pair) -> Array:
    """Gradient of `conv2d` with respect to `w`."""
    dtype = np.result_type(x, g)
    x, g = _repeated(x, w_shape, dtype), np.ascontiguousarray(g, dtype)
    count = parts(x.size, len(x))
    totals = np.empty((count * w_shape[0], *w_shape[1:]), dtype)
    each_tile(weight_gradient_tile, count, x, g, totals, stride, corner, products=True)
    gw: Array = totals.reshape(count, *w_shape).sum(axis=0)
    return gw


def _repeated(x: Array, w_shape: Shape, dtype: Any) -> Array:
    times = w_shape[3] // x.shape[3]
    return np.ascontiguousarray(x if times == 1 else np.repeat(x, times, axis=3), dtype)


@twin("depthwise.output_tile", writes=("y",))
def output_tile(x: Array, w: Array, b: Array, y: Array, stride: Pair, corner: Pair) -> None:
    """Write the convolution of a few images into `y`."""
    y[...] = b
    for tap, windows, pixels in taps(x.shape[1:3], y.shape[1:3], w.shape[:2], stride, corner):
        y[windows] += x[pixels] * w[tap][0]


@twin("depthwise.input_gradient_tile", writes=("gx",))
def input_gradient_tile(g: Array, w: Array, gx: Array, stride: Pair, corner: Pair) -> None:
    """Write the gradient of a few images into `gx`."""
    gx[...] = 0
    for tap, windows, pixels in taps(gx.shape[1:3], g.shape[1:3], w.shape[:2], stride, corner):
        gx[pixels] += g[windows] * w[tap][0]


@twin("depthwise.weight_gradient_tile", writes=("gw",))
def weight_gradient_tile(x: Array, g: Array, gw: Array, stride: Pair, corner: Pair) -> None:
    """Write the contribution of a few images to the weight gradient into `gw`."""
    gw[...] = 0
    for tap, windows, pixels in taps(x.shape[1:3], g.shape[1:3], gw.shape[:2], stride, corner):
        product = np.multiply(x[pixels], g[windows], order="C").reshape(-1, x.shape[3])
        gw[tap] = np.ones(len(product), product.dtype) @ product  # four times as fast as a sum
