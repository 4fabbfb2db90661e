"""Depthwise convolution, in which every channel has weights of its own, and its two adjoints.

Written as matrix products, they would have matrices of one column. Instead, each tap of the kernel is one pass over a
tile. Where a channel has several outputs, it is repeated for each of them first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.ops.windows import Pair, Shape

from . import direct
from .memory import empty
from .threads import each_part
from .tiles import parts
from .windows import taps

Array = NDArray[Any]


def conv2d(x: Array, w: Array, b: Array | None, y: Array, stride: Pair, corner: Pair) -> None:
    """Write the convolution of `x` with `w` into `y`."""
    x = _repeated(x, w.shape, y.dtype)
    if direct.suits(y):
        direct.conv2d(x, w, b, y, stride, corner)
    else:
        w, bias = np.asarray(w, y.dtype), np.zeros(1, y.dtype) if b is None else np.asarray(b, y.dtype)
        each_part(_outputs, parts(x.size, len(x)), x, w, bias, y, stride, corner, whole=(1, 2))


def input_gradient(g: Array, w: Array, gx: Array, stride: Pair, corner: Pair) -> None:
    """Write the gradient of `conv2d` with respect to `x` into `gx`."""
    g, w, times = np.ascontiguousarray(g, gx.dtype), np.asarray(w, gx.dtype), g.shape[3] // gx.shape[3]
    repeated = gx if times == 1 else empty((*gx.shape[:3], g.shape[3]), gx.dtype)
    if direct.suits(gx):
        direct.input_gradient(g, w, repeated, stride, corner)
    else:
        each_part(_input_gradient, parts(gx.size, len(gx)), g, w, repeated, stride, corner, whole=(1,))
    if times > 1:
        gx[...] = sum(repeated[..., first::times] for first in range(times))


def weight_gradient(x: Array, g: Array, w_shape: Shape, stride: Pair, corner: Pair) -> Array:
    """Gradient of `conv2d` with respect to `w`."""
    dtype = np.result_type(x, g)
    x, g = _repeated(x, w_shape, dtype), np.ascontiguousarray(g, dtype)
    if direct.suits(g):
        return direct.weight_gradient(x, g, w_shape, stride, corner)
    found = each_part(_weight_gradient, parts(x.size, len(x)), x, g, w_shape, stride, corner, products=True, whole=(2,))
    gw: Array = np.sum(found, axis=0)
    return gw


def _repeated(x: Array, w_shape: Shape, dtype: Any) -> Array:
    times = w_shape[3] // x.shape[3]
    return np.ascontiguousarray(x if times == 1 else np.repeat(x, times, axis=3), dtype)


def _outputs(x: Array, w: Array, b: Array, y: Array, stride: Pair, corner: Pair) -> None:
    """Write the convolution of a few images into `y`."""
    y[...] = b
    for tap, windows, pixels in taps(x.shape[1:3], y.shape[1:3], w.shape[:2], stride, corner):
        y[windows] += x[pixels] * w[tap][0]


def _input_gradient(g: Array, w: Array, gx: Array, stride: Pair, corner: Pair) -> None:
    """Write the gradient of a few images into `gx`."""
    gx[...] = 0
    for tap, windows, pixels in taps(gx.shape[1:3], g.shape[1:3], w.shape[:2], stride, corner):
        gx[pixels] += g[windows] * w[tap][0]


def _weight_gradient(x: Array, g: Array, w_shape: Shape, stride: Pair, corner: Pair) -> Array:
    """Return the contribution of a few images to the weight gradient."""
    gw = np.zeros(w_shape, g.dtype)
    for tap, windows, pixels in taps(x.shape[1:3], g.shape[1:3], w_shape[:2], stride, corner):
        product = np.multiply(x[pixels], g[windows], order="C").reshape(-1, x.shape[3])
        gw[tap] = np.ones(len(product), product.dtype) @ product  # four times as fast as a sum
    return gw
