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
from .tiles import Block, adjacent, blocks, in_bands, laid_out, tiles
from .twins import compiled_pass, kernel_set

Array = NDArray[Any]

Phase = tuple[Array, Array, Pair]  # weights, outputs, and their corner

LEAST = 1 << 15  # bytes of a block: few images are cut, too
HALF_VECTOR = 32  # bytes, with AVX-512


def suits(y: Array) -> bool:
    """Whether this file can compute `y`, outputs or a gradient."""
    return kernel_set() == "numba" and y.dtype.char in "fd"


def conv2d(x: Array, w: Array, b: Array | None, y: Array, stride: Pair, corner: Pair, depthwise: bool = False) -> None:
    """Write the convolution of `x` with `w` into `y`; if `depthwise`, each channel with weights of its own."""
    _compute(("direct", stride, corner), x, [(w, y, corner)], b, y, stride, depthwise)


def input_gradient(g: Array, w: Array, gx: Array, stride: Pair, corner: Pair, depthwise: bool = False) -> None:
    """Write the gradient of `conv2d` with respect to `x` into `gx`.

    Pixels whose places differ by multiples of the stride meet the same weights. Their gradients are one convolution of
    `g` with these weights, at stride 1.
    """
    phases: list[Phase] = []
    for phase in itertools.product(*map(range, stride)):
        taps, pixels, before = [], [], []
        for first, step, margin, size in zip(phase, stride, corner, w.shape, strict=False):
            start = (first - margin) % step
            taps.append(slice(first, None, step))
            pixels.append(slice(start, None, step))
            before.append(len(range(first, size, step)) - 1 - (start + margin - first) // step)
        met, out = w[taps[0], taps[1]][::-1, ::-1], gx[:, pixels[0], pixels[1]]
        met = met if depthwise else met.swapaxes(2, 3)
        if met.size and out.size:
            phases.append((met, out, (before[0], before[1])))
        else:
            out[...] = 0
    _compute(("direct input", stride, corner), g, phases, None, gx, (1, 1), depthwise)


def _compute(
    key: Any, x: Array, phases: list[Phase], b: Array | None, out: Array, stride: Pair, depthwise: bool
) -> None:
    """Write the convolutions of `x` with several weights into parts of `out`, in one call of compiled code."""
    if not phases:
        return
    outputs, dtype = phases[0][1].shape[3], phases[0][1].dtype
    # Half a vector of outputs takes as long as one output.
    missing = 0 if depthwise else -outputs % (HALF_VECTOR // dtype.itemsize)
    x, bias = adjacent(x, dtype), np.zeros(outputs + missing, dtype)
    bias[:outputs] = 0 if b is None else b
    weights = [np.ascontiguousarray(_wider(w, missing), dtype) for w, _, _ in phases]
    wide = [empty((*y.shape[:3], outputs + missing), dtype) if missing else y for _, y, _ in phases]
    arrays = (x, bias, *weights, *(wide if missing else [out]))

    def plan() -> Plan:
        work = [
            (block, w)
            for w, y, (_, _, corner) in zip(weights, wide, phases, strict=True)
            for cut in [tiles(len(y), y.shape[1], _row_bytes(x, y, stride), LEAST)]
            for block in blocks(x, y, cut, len(w), stride, corner)
        ]
        area, buffers = carved(dtype, [[_padded(block, w.shape, stride)] for block, w in work])
        code: Any = compiled_pass("products.address")(dtype, depthwise)
        calls = [
            (code, laid_out(block.x), w, bias, laid_out(block.y), padded, *block.corner, stride)
            for (block, w), (padded,) in zip(work, buffers, strict=True)
        ]
        products = sum(w.size * y[..., 0].size for w, y in zip(weights, wide, strict=True))
        kernel = compiled_pass("products.depthwise" if depthwise else "products.conv2d")
        return Plan(kernel, calls, arrays, {4, 5}, area, products)

    shapes = *(w.shape for w in weights), out.shape, out.strides
    kept((*key, depthwise, dtype, x.shape, x.strides, *shapes), plan).run(*arrays)
    if missing:
        for (_, y, _), full in zip(phases, wide, strict=True):
            y[...] = full[..., :outputs]


def weight_gradient(x: Array, g: Array, w_shape: Shape, stride: Pair, corner: Pair, depthwise: bool = False) -> Array:
    """Gradient of `conv2d` for `w`."""
    dtype, (kh, kw, channels, outputs) = np.result_type(x, g), w_shape
    x, g = adjacent(x, dtype), adjacent(g, dtype)
    cut = in_bands(len(g), g.shape[1], _row_bytes(x, g, stride))
    totals = np.zeros((len(cut), kh, kw * channels, outputs), dtype)

    def plan() -> Plan:
        work = blocks(x, g, cut, kh, stride, corner)
        area, buffers = carved(dtype, [[totals.shape[1:], _padded(block, w_shape, stride)] for block in work])
        code: Any = compiled_pass("products.address")(dtype, depthwise)
        calls = [
            (code, laid_out(block.x), laid_out(block.y), total, *buffer, *block.corner, stride)
            for block, total, buffer in zip(work, totals, buffers, strict=True)
        ]
        kernel = compiled_pass("products.depthwise_weight_gradient" if depthwise else "products.weight_gradient")
        return Plan(kernel, calls, (x, g, totals), {3, 4, 5}, area)

    shapes = x.shape, x.strides, g.shape, g.strides, totals.shape, w_shape
    kept(("direct gradient", depthwise, dtype, *shapes, stride, corner), plan).run(x, g, totals)
    gw: Array = totals.sum(axis=0).reshape(w_shape)
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
