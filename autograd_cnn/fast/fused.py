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

from autograd_cnn.ops.windows import Padding, Pair, Shape

from . import spread
from .direct import laid_out
from .mailbox import Plan, address, carved, kept
from .memory import aligned, empty
from .tiles import PARTS, in_order, map_images
from .twins import compiled_pass
from .winograd import Block, Directly, blocks, parts, phases

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
    bias[: w.shape[3]] = 0 if b is None else b
    limit = np.array([spread.concentration(w)], y.dtype)
    for pixels, part, margin in phases(x, y, padding, dilation):
        images = in_order(pixels, y.dtype)
        out = part if part.flags.c_contiguous else empty(part.shape, y.dtype)
        _convolve(images, w, u, bias, out, margin, limit, lambda *args: directly(*args[:2], b, *args[2:]))
        if out is not part:
            map_images(lambda to, numbers: np.copyto(to, numbers), part, out)


def _convolve(
    x: Array, w: Array, u: Array, bias: Array, y: Array, padding: Padding, limit: Array, directly: Directly
) -> None:
    """Write the convolution of images in C order into outputs in C order."""

    def cut() -> list[Block]:
        return blocks(x, y, w.shape, padding, (1, 1), 16)

    def plan() -> Plan:
        work = cut()
        area, buffers = carved(y.dtype, [_buffers(block, u.shape, w.shape, y.dtype) for block in work])
        fine = np.empty(sum(len(block.y) for block in work), np.uint8)
        calls = [
            (*_codes(y.dtype), limit, flags, block.x, u, bias, block.y, *buffer, block.top, block.left, parts(w.shape))
            for block, flags, buffer in zip(work, _flags(work, fine), buffers, strict=True)
        ]
        found = Plan(
            compiled_pass("products.winograd_conv2d"), calls, (limit, fine, x, u, bias, y), {3, 7, 8, 9, 10, 11}, area
        )
        found.flags = len(fine)
        return found

    found = kept(("Winograd", y.dtype, x.shape, w.shape, y.shape, padding), plan)
    fine = np.empty(found.flags, np.uint8)
    if y.dtype.char != "f":  # the compiled pass over images is for float32
        for block, flags in zip(work := cut(), _flags(work, fine), strict=True):
            flags[...] = spread.even(block.x, limit[0])
    found.run(limit, fine, x, u, bias, y)
    if not fine.all():
        for block, flags in zip(work := cut(), _flags(work, fine), strict=True):
            if not flags.all():
                part = np.empty_like(block.y[flags == 0])
                directly(block.x[flags == 0], w, part, block.padding(w.shape))
                block.y[flags == 0] = part


def _flags(work: list[Block], fine: Array, times: int = 1) -> list[Array]:
    """The parts of `fine` for the images of each block."""
    return np.split(fine, np.cumsum([times * len(block.y) for block in work])[:-1])


@cache
def _codes(dtype: np.dtype[Any]) -> tuple[int, int]:
    """Addresses of `multiply`, and of the pass that looks for far pixels, or 0 if it does not suit the dtype."""
    look = np.empty((1, 1, 1, 1), dtype), np.empty(1, dtype), np.empty(1, np.uint8)
    even = address(compiled_pass("spread.even_tile"), look, {2}) if dtype.char == "f" else 0
    product: Any = compiled_pass("products.address")
    return product(dtype), even


def weight_gradient(x: Array, g: Array, w_shape: Shape, padding: Padding, dilation: Pair, directly: Directly) -> Array:
    """Gradient of `conv2d` for `w`: see `winograd.weight_gradient`."""
    gw: Array = np.empty(w_shape, np.result_type(x, g))
    panels, entries, inputs, size = shape = _weights_shape(w_shape, gw.dtype)
    panel_bytes = entries * inputs * size * gw.itemsize
    step = max(1, PANELS // panel_bytes)
    groups = -(-panels // step)
    most = min(PARTS, max(-(-TASKS // groups), TOTALS // (panels * panel_bytes)))
    plain = [
        (in_order(pixels, gw.dtype), in_order(part, gw.dtype), m) for pixels, part, m in phases(x, g, padding, dilation)
    ]
    work = [block for images, part, m in plain for block in blocks(images, part, w_shape, m, (1, 1), 16, most)]
    arrays = [a for images, part, _ in plain for a in (images, part)]
    totals = empty((len(work), *shape), gw.dtype)
    fine = np.empty((groups, 2 * sum(len(block.y) for block in work)), np.uint8)
    none = np.zeros(1, gw.dtype)

    def plan() -> Plan:
        needed = [
            [padded, (4, 4 * block.across, size), *others]
            for block in work
            for padded, *others in [_buffers(block, shape, w_shape, gw.dtype)]
        ]
        area, buffers = carved(gw.dtype, needed)
        calls = [
            (*_codes(gw.dtype), none, flags, block.x, block.y, totals[part, first : first + step], *buffers[part],
             block.top, block.left, parts(w_shape), first * size)
            for first, row in zip(range(0, panels, step), fine, strict=True)
            for part, (block, flags) in enumerate(zip(work, _flags(work, row, 2), strict=True))
        ]  # fmt: skip
        kernel = compiled_pass("products.winograd_weight_gradient")
        return Plan(kernel, calls, (none, fine, totals, *arrays), {3, 6, 7, 8, 9, 10, 11}, area)

    if gw.dtype.char != "f":
        for row in fine:
            for block, flags in zip(work, _flags(work, row, 2), strict=True):
                flags[: len(block.y)] = spread.even(block.x) & spread.even(block.y)
    key = gw.dtype, x.shape, g.shape, w_shape, totals.shape, padding, dilation
    kept(("Winograd gradient", *key), plan).run(none, fine, totals, *arrays)

    def collect() -> Plan:
        calls = [(totals, gw, parts(w_shape), panel) for panel in range(panels)]
        return Plan(compiled_pass("products.collect_weights"), calls, (totals, gw), {0, 1})

    kept(("Winograd collect", gw.dtype, totals.shape, w_shape), collect).run(totals, gw)
    for block, flags in zip(work, _flags(work, fine[0], 2), strict=True):
        far = flags[: len(block.y)] == 0
        if far.any():
            gw += directly(block.x[far], block.y[far], w_shape, block.padding(w_shape))
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


def _buffers(block: Block, u_shape: Shape, w_shape: Shape, dtype: Any) -> list[tuple[int, ...]]:
    """Shapes of a padded image, half-transformed rows, transformed tiles, and their products with a panel.

    Behind the half-transformed rows there is room for four pixels of a panel, and zeros for one.
    """
    (_, entries, inputs, size), channels = u_shape, w_shape[2]
    high, wide = (4 * n + 3 * part - 1 for n, part in zip((block.down, block.across), parts(w_shape), strict=True))
    rows = TILES // (entries * (inputs + size) * np.dtype(dtype).itemsize * block.across)
    rows = min(len(block.y) * block.down, max(rows, -(-FEW // block.across)))
    half = max(6 * wide * channels, 24 * block.across * size) + 5 * size
    # See `winograd._matrices` on the odd number of rows.
    tiles = rows * block.across | 1
    return [(high, wide, channels), (half,), (entries, tiles, inputs), (entries, tiles, size)]
