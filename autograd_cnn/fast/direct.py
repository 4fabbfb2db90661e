"""Convolution that reads the windows where they lie, without the copies of `columns`: compiled sums of products.

With Numba, the fastest way for small kernels that Winograd's algorithm does not suit: with a stride, or with the few
channels of a first layer.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.ops.windows import Padding, Pair, Shape

from .memory import scratch
from .threads import map_tiles
from .tiles import in_parts, tiles
from .twins import compiled_pass

Array = NDArray[Any]

HALF_VECTOR = 32  # bytes, with AVX-512


def conv2d(x: Array, w: Array, b: Array | None, y: Array, stride: Pair, padding: Padding) -> None:
    """Write the convolution of `x` with `w` into `y`."""
    w = read_only(w, y.dtype)
    bias = read_only(np.zeros(w.shape[3]) if b is None else b, y.dtype)
    _compute([(w, block) for block in _blocks(x, y, w.shape, stride, padding)], bias, stride)


def input_gradient(g: Array, w: Array, gx: Array, stride: Pair, padding: Padding) -> None:
    """Write the gradient of `conv2d` with respect to `x` into `gx`.

    Pixels whose places differ by multiples of the stride meet the same weights. Their gradients are one convolution of
    `g` with these weights, at stride 1.
    """
    work = []
    for phase in itertools.product(*map(range, stride)):
        taps, pixels, before = [], [], []
        for first, step, (margin, _), size in zip(phase, stride, padding, w.shape, strict=False):
            start = (first - margin) % step
            taps.append(slice(first, None, step))
            pixels.append(slice(start, None, step))
            before.append((len(range(first, size, step)) - 1 - (start + margin - first) // step, 0))
        met = read_only(w[taps[0], taps[1]][::-1, ::-1].swapaxes(2, 3), gx.dtype)
        out = gx[:, pixels[0], pixels[1]]
        if met.size and out.size:
            work += [(met, block) for block in _blocks(g, out, met.shape, (1, 1), (before[0], before[1]))]
        else:
            out[...] = 0
    _compute(work, read_only(np.zeros(gx.shape[3]), gx.dtype), (1, 1))


def _compute(work: list[tuple[Array, _Block]], b: Array, stride: Pair) -> None:
    """Convolve each block with its weights, and add the bias."""
    missing = -len(b) % (HALF_VECTOR // b.itemsize)
    work, b = [(_wider(w, missing), block) for w, block in work], _wider(b, missing)

    def compute(index: int) -> None:
        w, block = work[index]
        y = scratch("wider", (*block.y.shape[:3], len(b)), b.dtype) if missing else block.y
        call("conv2d", b.dtype, block.x(), w, b, *laid_out(y), block.padded(), *block.corner, stride)
        if missing:
            block.y[...] = y[..., :-missing]

    map_tiles(compute, len(work), products=False)


def weight_gradient(x: Array, g: Array, w_shape: Shape, stride: Pair, padding: Padding) -> Array:
    """Gradient of `conv2d` for `w`."""
    dtype, (kh, kw, channels, outputs) = np.result_type(x, g), w_shape
    parts = in_parts(_blocks(x, read_only(g, dtype), w_shape, stride, padding))

    def compute(index: int) -> Array:
        total, part = np.zeros((2, kh, kw * channels, outputs), dtype)
        for block in parts[index]:
            call("weight_gradient", dtype, block.x(), block.y, total, part, block.padded(), *block.corner, stride)
        return total

    return np.add.reduce(map_tiles(compute, len(parts), products=False)).reshape(w_shape)


def _wider(a: Array, missing: int) -> Array:
    """Append zeros to the last axis: half a vector of outputs takes as long as one output."""
    return read_only(np.pad(a, (*((0, 0),) * (a.ndim - 1), (0, missing))), a.dtype) if missing else a


class _Block(NamedTuple):
    """The work of one call: some outputs, or their gradient, and the pixels that they depend on."""

    pixels: Array
    y: Array
    corner: tuple[int, int]  # rows and columns of zeros before `pixels`; negative columns are cut off
    size: tuple[int, int, int]  # of the padded part of an image that the windows cover

    def x(self) -> Array:
        return read_only(self.pixels, self.y.dtype)

    def padded(self) -> Array:
        padded = scratch("padded", self.size, self.y.dtype)
        padded[...] = 0
        return padded


def _blocks(x: Array, y: Array, w_shape: Shape, stride: Pair, padding: Padding) -> list[_Block]:
    (kh, kw, channels, outputs), (down, across), ((top, _), (left, _)) = w_shape, stride, padding
    blocks = []
    for images, rows in tiles(len(y), y.shape[1], y.shape[2] * (down * across * channels + outputs) * y.itemsize):
        first, high = rows.start * down - top, (rows.stop - rows.start - 1) * down + kh
        pixels = x[images, max(0, first) : max(0, first + high)]
        corner = max(0, -first), left
        blocks.append(_Block(pixels, y[images, rows], corner, (high, (y.shape[2] - 1) * across + kw, channels)))
    return blocks


def read_only(a: Array, dtype: Any) -> Array:
    """Return the array in C order, of `dtype` and read-only: Numba compiles again for each other kind of array."""
    a = np.ascontiguousarray(a, dtype).view()
    a.setflags(write=False)
    return a


def call(name: str, dtype: np.dtype[Any], *args: Any) -> None:
    """Call a function of `compiled.products` that needs the address of `multiply`."""
    compiled_pass(f"products.{name}")(compiled_pass("products.address")(dtype), *args)


def laid_out(a: Array) -> tuple[Array, Shape, Shape]:
    """Return the first number of an image, the shape and the strides: of the same types for every layout of memory."""
    return read_only(a[0, 0, 0, :1], a.dtype), a.shape, tuple(stride // a.itemsize for stride in a.strides)
