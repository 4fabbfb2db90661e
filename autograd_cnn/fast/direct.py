"""Convolution that reads the windows where they lie, without the copies of `columns`: compiled sums of products.

With Numba, the fastest way for small kernels that Winograd's algorithm does not suit: with a stride, or with the few
channels of a first layer.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.ops.windows import Pair, Shape

from .mailbox import Plan, carved, kept
from .memory import empty
from .tiles import Block, adjacent, blocks, each_group, in_bands, laid_out, tiles
from .twins import compiled_pass, kernel_set

Array = NDArray[Any]


Part = tuple[Array, Array, Array, Pair]  # of a group or of a phase: pixels, weights, outputs, and the corner

LEAST = 1 << 15  # bytes of a block: few images are cut, too
HALF_VECTOR = 32  # bytes, with AVX-512


def suits(y: Array) -> bool:
    """Whether this file can compute `y`, outputs or a gradient."""
    return kernel_set() == "numba" and y.dtype.char in "fd"


def conv2d(x: Array, w: Array, b: Array | None, y: Array, stride: Pair, corner: Pair) -> None:
    """Write the convolution of `x` with `w` into `y`; each group of channels has weights of its own."""
    x = adjacent(x, y.dtype)
    parts = [(x[..., i], w[..., o], y[..., o], corner) for i, o in each_group(x.shape, w.shape)]
    _compute(("direct", stride, corner), x, parts, b, y, stride)


def input_gradient(g: Array, w: Array, gx: Array, stride: Pair, corner: Pair) -> None:
    """Write the gradient of `conv2d` with respect to `x` into `gx`.

    Pixels whose places differ by multiples of the stride meet the same weights. Their gradients are one convolution of
    `g` with these weights, at stride 1.
    """
    parts: list[Part] = []
    g = adjacent(g, gx.dtype)
    for phase in itertools.product(*map(range, stride)):
        taps, pixels, before = [], [], []
        for first, step, margin, size in zip(phase, stride, corner, w.shape, strict=False):
            start = (first - margin) % step
            taps.append(slice(first, None, step))
            pixels.append(slice(start, None, step))
            before.append(len(range(first, size, step)) - 1 - (start + margin - first) // step)
        met, out = w[taps[0], taps[1]][::-1, ::-1], gx[:, pixels[0], pixels[1]]
        if met.size and out.size:
            for i, o in each_group(gx.shape, w.shape):
                part = met if w.shape[2] == 1 < g.shape[3] == gx.shape[3] else met[..., o].swapaxes(2, 3)
                parts.append((g[..., o], part, out[..., i], (before[0], before[1])))
        else:
            out[...] = 0
    _compute(("direct input", stride, corner), g, parts, None, gx, (1, 1))


def _compute(key: Any, x: Array, parts: list[Part], b: Array | None, out: Array, stride: Pair) -> None:
    """Write convolutions of parts of `x` into parts of `out`, in one call of compiled code."""
    if not parts:
        return
    dtype, outputs = out.dtype, parts[0][2].shape[3]
    depthwise = parts[0][1].shape[2] == 1 < x.shape[3] == outputs == out.shape[3]
    # Half a vector of outputs takes as long as one output.
    missing = 0 if depthwise else -outputs % (HALF_VECTOR // dtype.itemsize)
    count = out.shape[3] // outputs
    bias = np.zeros((count, outputs + missing), dtype)
    bias[:, :outputs] = 0 if b is None else b.reshape(count, outputs)
    weights = [np.ascontiguousarray(_wider(w, missing), dtype) for _, w, _, _ in parts]
    wide = [empty((*y.shape[:3], outputs + missing), dtype) if missing else y for _, _, y, _ in parts]
    arrays = (x, bias, *weights, *(wide if missing else [out]))

    def plan() -> Plan:
        each = [
            [(block, w, bias[n % count]) for block in blocks(pixels, y, cut, len(w), stride, corner)]
            for n, ((pixels, _, _, corner), w, y) in enumerate(zip(parts, weights, wide, strict=True))
            for cut in [tiles(len(y), y.shape[1], count * _row_bytes(pixels, y, stride), LEAST)]
        ]
        # All groups of a block of images, before the next: they share pixels, and lines of the cache.
        work = [
            entry for n in range(0, len(each), count) for row in zip(*each[n : n + count], strict=True) for entry in row
        ]
        area, buffers = carved(dtype, [[_padded(block, w.shape, stride)] for block, w, _ in work])
        flat = [w.reshape(*w.shape[:1], -1, w.shape[3]) for _, w, _ in work]
        product = compiled_pass("products.address")(dtype, depthwise)
        calls = [
            (product, laid_out(block.x), w, b, laid_out(block.y), padded, *block.corner,
             w.shape[: 2 + depthwise], (*_steps(padded, stride), *padded.shape[2:] * depthwise, 1))
            for (block, _, b), w, (padded,) in zip(work, flat, buffers, strict=True)
        ]  # fmt: skip
        return Plan(compiled_pass("direct.conv2d"), calls, arrays, area)

    shapes = *(w.shape for w in weights), out.shape, out.strides
    kept((*key, dtype, x.shape, x.strides, *shapes), plan).run(*arrays)
    if missing:
        for (_, _, y, _), full in zip(parts, wide, strict=True):
            y[...] = full[..., :outputs]


def weight_gradient(x: Array, g: Array, w_shape: Shape, stride: Pair, corner: Pair) -> Array:
    """Gradient of `conv2d` for `w`."""
    dtype, depthwise = np.result_type(x, g), w_shape[2] == 1 < x.shape[3] == w_shape[3]
    kh, kw, channels, outputs = w_shape
    x, g = adjacent(x, dtype), adjacent(g, dtype)
    cut = in_bands(len(g), g.shape[1], _row_bytes(x, g, stride))
    own = each_group(x.shape, w_shape)
    totals = np.zeros((len(cut), len(own), kh, kw * channels, outputs // len(own)), dtype)

    def plan() -> Plan:
        each = [blocks(x[..., i], g[..., o], cut, kh, stride, corner) for i, o in own]
        work = [(block, totals[n, k]) for n, row in enumerate(zip(*each, strict=True)) for k, block in enumerate(row)]
        area, buffers = carved(dtype, [[_padded(block, w_shape, stride)] for block, _ in work])
        product = compiled_pass("products.address")(dtype, depthwise)
        calls = [
            (product, laid_out(block.x), laid_out(block.y), total, padded, *block.corner, stride[0],
             total.shape[2:] * depthwise,
             (padded.shape[2] ** depthwise, *_steps(padded, stride)[:2], *(1,) * depthwise))
            for (block, total), (padded,) in zip(work, buffers, strict=True)
        ]  # fmt: skip
        return Plan(compiled_pass("direct.weight_gradient"), calls, (x, g, totals), area)

    shapes = x.shape, x.strides, g.shape, g.strides, totals.shape, w_shape
    kept(("direct gradient", dtype, *shapes, stride, corner), plan).run(x, g, totals)
    gw: Array = np.moveaxis(totals.sum(axis=0), 0, -2).reshape(w_shape)
    return gw


def _wider(a: Array, missing: int) -> Array:
    """Append zeros to the last axis."""
    return np.pad(a, (*((0, 0),) * (a.ndim - 1), (0, missing))) if missing else a


def _row_bytes(x: Array, y: Array, stride: Pair) -> int:
    return y.shape[2] * (stride[0] * stride[1] * x.shape[3] + y.shape[3]) * y.itemsize


def _padded(block: Block, w_shape: Shape, stride: Pair) -> tuple[int, int, int]:
    """Size of the padded part of an image that the windows of a block cover."""
    (_, rows, columns, _), (kh, kw) = block.y.shape, w_shape[:2]
    return (rows - 1) * stride[0] + kh, (columns - 1) * stride[1] + kw, block.x.shape[3]


def _steps(padded: Array, stride: Pair) -> tuple[int, int, int]:
    """Numbers from a window to the one below it, to the one on its right, and from a row of a window to the next."""
    _, wide, channels = padded.shape
    return stride[0] * wide * channels, stride[1] * channels, wide * channels
