"""Winograd's convolution in compiled calls, which transform, multiply and collect a few tiles at a time, in the cache.

`winograd` explains the algorithm and computes the same with NumPy. There every step runs over all tiles of a block.
Here the tiles of a few rows go through all three steps before the next ones start. The outputs are cut into panels, so
that a product reads the transformed weights of a panel in one run.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.ops.windows import Pair, Shape

from . import spread
from .mailbox import Plan, address, carved, kept
from .memory import aligned, empty
from .tiles import PARTS, Block, adjacent, laid_out
from .twins import compiled_pass
from .winograd import Directly, cut, parts, size_in_tiles

Array = NDArray[Any]

PANEL = 128  # bytes of one pixel's outputs that are computed together: two vectors of 512 bits
TILES = 1 << 19  # bytes of transformed tiles and their products: half of a core's second-level cache
PANELS = 9 << 18  # bytes of weight gradients that a thread adds to at a time: about twice that cache
TASKS = 4  # independent parts of a weight gradient, at least
FEW = 64  # tiles that are multiplied together, at least
TOTALS = 1 << 24  # bytes of all partial sums of a weight gradient


def conv2d(x: Array, w: Array, b: Array | None, y: Array, corner: Pair, directly: Directly) -> None:
    """Write the convolution of `x` with `w`, at stride 1, into `y`: see `winograd.conv2d`."""
    x, w = adjacent(x, y.dtype), np.require(w, y.dtype, "A")
    u = _transformed(w)
    bias = np.zeros(len(u) * u.shape[3], y.dtype)
    bias[: w.shape[3]] = 0 if b is None else b
    limit = np.array([spread.concentration(w)], y.dtype)

    def blocks() -> list[Block]:
        return cut(x, y, w.shape, corner, 16)

    def plan() -> Plan:
        work = blocks()
        area, buffers = carved(y.dtype, [_buffers(block, u.shape, w.shape) for block in work])
        fine = np.empty(sum(len(block.y) for block in work), np.uint8)
        calls = [
            (*_codes(y.dtype), limit, flags, laid_out(block.x), u, bias, laid_out(block.y), *buffer, *block.corner,
             parts(w.shape))
            for block, flags, buffer in zip(work, _flags(work, fine), buffers, strict=True)
        ]  # fmt: skip
        written = {3, 7, 8, 9, 10, 11}
        found = Plan(compiled_pass("products.winograd_conv2d"), calls, (limit, fine, x, u, bias, y), written, area)
        found.flags = len(fine)
        return found

    found = kept(("Winograd", y.dtype, x.shape, x.strides, w.shape, y.shape, y.strides, corner), plan)
    fine = np.empty(found.flags, np.uint8)
    if y.dtype.char != "f":  # the compiled pass over images is for float32
        for block, flags in zip(work := blocks(), _flags(work, fine), strict=True):
            flags[...] = spread.even(block.x, limit[0])
    found.run(limit, fine, x, u, bias, y)
    if not fine.all():
        for block, flags in zip(work := blocks(), _flags(work, fine), strict=True):
            if not flags.all():
                part = np.empty_like(block.y[flags == 0])
                directly(block.x[flags == 0], w, b, part, block.corner)
                block.y[flags == 0] = part


def _flags(work: list[Block], fine: Array, times: int = 1) -> list[Array]:
    """The parts of `fine` for the images of each block."""
    return np.split(fine, np.cumsum([times * len(block.y) for block in work])[:-1])


@cache
def _codes(dtype: np.dtype[Any]) -> tuple[int, int]:
    """Addresses of `multiply`, and of the pass that looks for far pixels, or 0 if it does not suit the dtype."""
    look = np.empty((1, 1, 2, 1), dtype)[:, :, ::2], np.empty(1, dtype), np.empty(1, np.uint8)
    even = address(compiled_pass("spread.even_tile"), look, {2}) if dtype.char == "f" else 0
    product: Any = compiled_pass("products.address")
    return product(dtype), even


def weight_gradient(x: Array, g: Array, w_shape: Shape, corner: Pair, directly: Directly) -> Array:
    """Gradient of `conv2d` for `w`: see `winograd.weight_gradient`."""
    gw: Array = np.empty(w_shape, np.result_type(x, g))
    x, g = adjacent(x, gw.dtype), adjacent(g, gw.dtype)
    panels, entries, inputs, size = shape = _weights_shape(w_shape, gw.dtype)
    panel_bytes = entries * inputs * size * gw.itemsize
    step = max(1, PANELS // panel_bytes)
    groups = -(-panels // step)
    most = min(PARTS, max(-(-TASKS // groups), TOTALS // (panels * panel_bytes)))
    work = cut(x, g, w_shape, corner, 16, most)
    totals = empty((len(work), *shape), gw.dtype)
    fine = np.empty((groups, 2 * sum(len(block.y) for block in work)), np.uint8)
    none = np.zeros(1, gw.dtype)

    def plan() -> Plan:
        needed = [_buffers(block, shape, w_shape) for block in work]
        for block, buffer in zip(work, needed, strict=True):
            buffer.insert(1, (4, 4 * size_in_tiles(block.y)[1], size))
        area, buffers = carved(gw.dtype, needed)
        calls = [
            (*_codes(gw.dtype), none, flags, laid_out(block.x), laid_out(block.y), totals[part, first : first + step],
             *buffers[part], *block.corner, parts(w_shape), first * size)
            for first, row in zip(range(0, panels, step), fine, strict=True)
            for part, (block, flags) in enumerate(zip(work, _flags(work, row, 2), strict=True))
        ]  # fmt: skip
        kernel = compiled_pass("products.winograd_weight_gradient")
        return Plan(kernel, calls, (none, fine, totals, x, g), {3, 6, 7, 8, 9, 10, 11}, area)

    if gw.dtype.char != "f":
        for row in fine:
            for block, flags in zip(work, _flags(work, row, 2), strict=True):
                flags[: len(block.y)] = spread.even(block.x) & spread.even(block.y)
    key = gw.dtype, x.shape, x.strides, g.shape, g.strides, w_shape, totals.shape, corner
    kept(("Winograd gradient", *key), plan).run(none, fine, totals, x, g)

    def collect() -> Plan:
        calls = [(totals, gw, parts(w_shape), panel) for panel in range(panels)]
        return Plan(compiled_pass("products.collect_weights"), calls, (totals, gw), {0, 1})

    kept(("Winograd collect", gw.dtype, totals.shape, w_shape), collect).run(totals, gw)
    for block, flags in zip(work, _flags(work, fine[0], 2), strict=True):
        far = flags[: len(block.y)] == 0
        if far.any():
            gw += directly(block.x[far], block.y[far], w_shape, block.corner)
    return gw


def _transformed(w: Array) -> Array:
    """Compute G w Gᵀ of every 3x3 part of the weights: (panels, 36, parts * C, outputs of a panel)."""
    u = aligned(_weights_shape(w.shape, w.dtype), w.dtype)

    def plan() -> Plan:
        calls = [(*laid_out(w), u, parts(w.shape), panel) for panel in range(len(u))]
        return Plan(compiled_pass("products.transform_weights"), calls, (w, u), {3})

    kept(("Winograd weights", w.dtype, w.shape, w.strides), plan).run(w, u)
    return u


def _weights_shape(w_shape: Shape, dtype: Any) -> tuple[int, int, int, int]:
    """Shape of the transformed weights; the only panel is half as wide if that is enough for all outputs."""
    outputs, size = w_shape[3], PANEL // np.dtype(dtype).itemsize
    size = size if outputs > size // 2 else size // 2
    return -(-outputs // size), 36, math.prod(parts(w_shape)) * w_shape[2], size


def _buffers(block: Block, u_shape: Shape, w_shape: Shape) -> list[tuple[int, ...]]:
    """Shapes of a padded image, half-transformed rows, transformed tiles, and their products with a panel.

    Behind the half-transformed rows there is room for four pixels of a panel, and zeros for one.
    """
    (_, entries, inputs, size), channels, (down, across) = u_shape, w_shape[2], size_in_tiles(block.y)
    high, wide = (4 * n + 3 * part - 1 for n, part in zip((down, across), parts(w_shape), strict=True))
    rows = TILES // (entries * (inputs + size) * block.y.itemsize * across)
    rows = min(len(block.y) * down, max(rows, -(-FEW // across)))
    half = max(6 * wide * channels, 24 * across * size) + 5 * size
    tiles = rows * across | 1  # see `winograd._matrices` on the odd number of rows
    return [(high, wide, channels), (half,), (entries, tiles, inputs), (entries, tiles, size)]
