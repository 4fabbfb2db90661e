"""Winograd's convolution in compiled calls, which transform, multiply and collect a few tiles at a time, in the cache.

`winograd` explains the algorithm and computes the same with NumPy. There every step runs over all tiles of a block.
Here the tiles of a few rows go through all three steps before the next ones start. The outputs are cut into panels, so
that a product reads the transformed weights of a panel in one run.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.ops.windows import Padding, Pair, Shape

from .direct import call, laid_out, read_only
from .memory import aligned, empty, scratch
from .threads import map_tiles
from .tiles import PARTS
from .twins import compiled_pass
from .winograd import Block, Directly, blocks, each_block, parts

Array = NDArray[Any]

PANEL = 128  # bytes of one pixel's outputs that are computed together: two vectors of 512 bits
TILES = 1 << 19  # bytes of transformed tiles and their products: half of a core's second-level cache
PANELS = 9 << 18  # bytes of weight gradients that a thread adds to at a time: about twice that cache
TASKS = 4  # independent parts of a weight gradient, at least
FEW = 64  # tiles that are multiplied together, at least
TOTALS = 1 << 24  # bytes of all partial sums of a weight gradient


def conv2d(x: Array, w: Array, b: Array | None, y: Array, padding: Padding, dilation: Pair, directly: Directly) -> None:
    """Write the convolution of `x` with `w`, at stride 1, into `y`: see `winograd.conv2d`."""
    w = np.require(w, y.dtype, "A")
    u = _transformed(w)
    bias = np.zeros(len(u) * u.shape[3], y.dtype)
    if b is not None:
        bias[: len(b)] = b
    bias = read_only(bias, y.dtype)

    def compute(block: Block, out: Array) -> None:
        arrays = _buffers(block, u.shape, w.shape, y.dtype)
        images = read_only(block.x, y.dtype)
        call("winograd_conv2d", y.dtype, images, u, bias, out, *arrays, block.top, block.left, parts(w.shape))

    each_block(compute, blocks(x, y, w.shape, padding, dilation, 16), w, b, directly, products=False)


def weight_gradient(x: Array, g: Array, w_shape: Shape, padding: Padding, dilation: Pair, directly: Directly) -> Array:
    """Gradient of `conv2d` for `w`: see `winograd.weight_gradient`."""
    gw: Array = np.empty(w_shape, np.result_type(x, g))
    work = blocks(x, g, w_shape, padding, dilation, 16)
    panels, entries, inputs, size = shape = _weights_shape(w_shape, gw.dtype)
    panel_bytes = entries * inputs * size * gw.itemsize
    step = max(1, PANELS // panel_bytes)
    groups = -(-panels // step)
    count = min(len(work), PARTS, max(-(-TASKS // groups), TOTALS // (panels * panel_bytes)))
    totals = empty((count, *shape), gw.dtype)

    def compute(index: int) -> list[Array]:
        part, first = index % count, index // count * step
        u = totals[part, first : first + step]
        u[...] = 0
        apart: list[Array] = []
        for each in work[part * len(work) // count : (part + 1) * len(work) // count]:
            # Other panels meet the same images.
            block = each.in_order(gw.dtype).without_far(w_shape, directly if index < count else None, apart)
            padded, half, v, m = _buffers(block, shape, w_shape, gw.dtype)
            rows = scratch("rows", (4, 4 * block.across, size), gw.dtype)
            rows[...] = 0
            images, gradients = read_only(block.x, gw.dtype), read_only(block.y, gw.dtype)
            arrays = images, gradients, u, padded, rows, half, v, m
            call("winograd_weight_gradient", gw.dtype, *arrays, block.top, block.left, parts(w_shape), first * size)
        return apart

    apart = map_tiles(compute, count * groups, products=False)[:count]
    collect = compiled_pass("products.collect_weights")
    map_tiles(lambda panel: collect(totals, gw, parts(w_shape), panel), panels, products=False)
    return sum(itertools.chain(*apart), gw)


def _transformed(w: Array) -> Array:
    """Compute G w Gᵀ of every 3x3 part of the weights: (panels, 36, parts * C, outputs of a panel)."""
    u = aligned(_weights_shape(w.shape, w.dtype), w.dtype)
    transform, weights = compiled_pass("products.transform_weights"), laid_out(w)
    map_tiles(lambda panel: transform(*weights, u, parts(w.shape), panel), len(u), products=False)
    return read_only(u, w.dtype)


def _weights_shape(w_shape: Shape, dtype: Any) -> tuple[int, int, int, int]:
    """Shape of the transformed weights; the only panel is half as wide if that is enough for all outputs."""
    outputs, size = w_shape[3], PANEL // np.dtype(dtype).itemsize
    size = size if outputs > size // 2 else size // 2
    return -(-outputs // size), 36, math.prod(parts(w_shape)) * w_shape[2], size


def _buffers(block: Block, u_shape: Shape, w_shape: Shape, dtype: Any) -> tuple[Array, Array, Array, Array]:
    """Scratch memory: a padded image, half-transformed rows, transformed tiles, and their products with a panel.

    Behind the half-transformed rows there is room for four pixels of a panel, and zeros for one.
    """
    (_, entries, inputs, size), channels = u_shape, w_shape[2]
    high, wide = (4 * n + 3 * part - 1 for n, part in zip((block.down, block.across), parts(w_shape), strict=True))
    rows = TILES // (entries * (inputs + size) * np.dtype(dtype).itemsize * block.across)
    rows = min(len(block.y) * block.down, max(rows, -(-FEW // block.across)))
    padded = scratch("padded", (high, wide, channels), dtype)
    padded[...] = 0
    half = scratch("half", (max(6 * wide * channels, 24 * block.across * size) + 5 * size,), dtype)
    half[-size:] = 0  # where the products start
    # See `winograd._matrices` on the odd number of rows.
    v, m = (scratch(name, (entries, rows * block.across | 1, n), dtype) for name, n in (("v", inputs), ("m", size)))
    return padded, half, v, m
