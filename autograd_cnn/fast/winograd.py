"""Convolution with 3x3 windows, one pixel apart, in 36 multiplications a channel for 16 pixels rather than 144.

The minimal algorithm F(4x4, 3x3) of Winograd (Lavin and Gray, "Fast algorithms for convolutional neural networks",
2016) cuts an output into tiles of 4x4 pixels, each of which depends on 6x6 pixels of the image. For such a piece d of
the image, the weights w, and constant matrices A, B and G,

    y = Aᵀ [(G w Gᵀ) ⊙ (Bᵀ d B)] A

where ⊙, summed over channels, is one matrix product for each of the 36 entries. Each factor is a linear map, so both
gradients follow by transposing: that of w is Gᵀ [(Bᵀ d B) ⊙ (A g Aᵀ)] G, and that of x is again a convolution.

The algorithm multiplies polynomials through their values at five points and at infinity, and the points decide the
rounding errors (Barabasz and others, "Error analysis and improving the accuracy of Winograd convolution for deep neural
networks", 2020). In float32, with noise after relu, the largest error is 1.7e-6 of the largest output for 64 channels
and 3.4e-6 for 256; that of a plain sum by `columns` is 0.5e-6. The usual points 0, 1, -1, 2, -2 give 7e-6 and 15e-6.
Points in pairs p, -p halve the work of the transforms, and those of a pair and its reciprocals have the least errors.

Larger weights are cut into parts of 3x3; each part reads the image 3 pixels further on. In the products the parts are
additional channels, so the sum over channels includes them. 5x5 weights take 144 multiplications for 16 pixels rather
than 400.

Every step takes a few tiles at a time in one compiled call, which transforms, multiplies and collects them in the
cache, before the next ones start. The outputs are cut into panels, so that a product reads the transformed weights of a
panel in one run. Without Numba, a convolution as a product of matrices takes less time: NumPy transforms in passes over
memory.

The rounding errors follow the largest number of a tile of 6x6 pixels, and reach all 16 outputs of the tile; a NaN
spoils them all. As long as the numbers of an image are of one kind, the errors are small beside the sum of ``|x| |w|``
over a typical window. An image with a pixel that stands out is computed directly instead: there an error stays in the
windows of its pixel. `compiled.winograd` looks for them when it is about to transform a block of images, so that they
are read from memory once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.ops.windows import Pair, Shape

from .mailbox import Plan, carved, kept
from .matrices import product
from .memory import aligned, empty
from .tiles import PARTS, Block, adjacent, blocks, in_bands, laid_out, tiles
from .twins import compiled_pass

Array = NDArray[Any]
Directly = Callable[..., Any]

PANEL = 128  # bytes of one pixel's outputs that are computed together: two vectors of 512 bits
TILES = 1 << 19  # bytes of transformed tiles and their products: half of a core's second-level cache
PANELS = 9 << 18  # bytes of weight gradients that a thread adds to at a time: about twice that cache
TASKS = 4  # independent parts of a weight gradient, at least
FEW = 64  # tiles that are multiplied together, at least
TOTALS = 1 << 24  # bytes of all partial sums of a weight gradient
LIMIT = 0.375  # power of the largest float: the transforms of larger numbers, and their products, could overflow
NUMBERS = 16  # of a channel that a tile reads or writes
# Multiplications that take as long as the transform of one number, of images or outputs and of weights, and as the
# calls that prepare the tiles. ``python tests/benchmarks/costs.py`` measures the first two.
TRANSFORM, TRANSFORM_OF_WEIGHTS, CALLS = 10, 20, 2_000_000

_POINTS = np.array([0, 2 / 3, -2 / 3, 3 / 2, -3 / 2])  # and infinity, which is the last row of each matrix
_OTHERS = [np.delete(_POINTS, i) for i in range(5)]
A = np.vstack([np.vander(_POINTS, 4, increasing=True), [0, 0, 0, 1]])
BT = np.vstack([*(np.append(np.poly(others)[::-1], 0) for others in _OTHERS), np.poly(_POINTS)[::-1]])
_SCALES = [np.prod(point - others) for point, others in zip(_POINTS, _OTHERS, strict=True)]
G = np.vstack([np.vander(_POINTS, 3, increasing=True) / np.array(_SCALES)[:, None], [0, 0, 1]])


def parts(w_shape: Shape) -> Pair:
    """Number of 3x3 parts that cover weights (KH, KW, ...): (down, across)."""
    return -(-w_shape[0] // 3), -(-w_shape[1] // 3)


def is_faster(y: Array, w_shape: Shape) -> bool:
    """Whether the outputs of one group of channels, or their gradient, take less time in tiles than directly.

    It depends on shapes alone, not on load, threads or the machine.
    """
    tiles, (kh, kw, inputs, outputs) = len(y) * math.prod(size_in_tiles(y)), w_shape
    several = math.prod(parts(w_shape))
    products, transformed = several * inputs * outputs, several * inputs + outputs
    in_tiles = 36 * (tiles * (products + TRANSFORM * transformed) + TRANSFORM_OF_WEIGHTS * products) + CALLS
    return in_tiles <= math.prod(y.shape[:3]) * kh * kw * inputs * outputs


def conv2d(x: Array, w: Array, b: Array | None, y: Array, corner: Pair, directly: Directly) -> None:
    """Write the convolution of `x` with `w`, at stride 1, into `y`.

    ``directly(x, w, b, y, stride, corner)`` computes images that hold a far pixel, and a block if most do.
    """
    x, w = adjacent(x, y.dtype), np.require(w, y.dtype, "A")
    u, limit = _transformed(w), limits(y.dtype, concentration(w))
    bias = np.zeros(len(u) * u.shape[3], y.dtype)
    bias[: w.shape[3]] = 0 if b is None else b

    def plan() -> Plan:
        work = cut(x, y, w.shape, corner)
        area, buffers = carved(y.dtype, [_buffers(block, u.shape, w.shape) for block in work])
        fine = np.empty(sum(len(block.y) for block in work), np.uint8)
        multiply = compiled_pass("products.address")(y.dtype)
        calls = [
            (multiply, limit, flags, laid_out(block.x), u, bias, laid_out(block.y), *buffer, *block.corner,
             parts(w.shape))
            for block, flags, buffer in zip(work, _flags(work, fine), buffers, strict=True)
        ]  # fmt: skip
        return Plan(compiled_pass("winograd.conv2d"), calls, (limit, fine, x, u, bias, y), area)

    found = kept(("Winograd", y.dtype, x.shape, x.strides, w.shape, y.shape, y.strides, corner), plan)
    fine = np.empty(max(len(y), len(found.words)), np.uint8)  # a block is of whole images, or of some rows of one
    found.run(limit, fine, x, u, bias, y)
    if not fine.all():
        for block, flags in zip(work := cut(x, y, w.shape, corner), _flags(work, fine), strict=True):
            if not flags.all():
                part = np.empty_like(block.y[flags == 0])
                directly(block.x[flags == 0], w, b, part, (1, 1), block.corner)
                block.y[flags == 0] = part


def _flags(work: list[Block], fine: Array, times: int = 1) -> list[Array]:
    """The parts of `fine` for the images of each block."""
    return np.split(fine, np.cumsum([times * len(block.y) for block in work])[:-1])


def limits(dtype: np.dtype[Any], concentration: float) -> Array:
    """Return the bits of a concentration of weights, and of the largest number of an image that is even."""
    return np.array([concentration, np.finfo(dtype).max ** LIMIT], dtype).view(f"u{dtype.itemsize}")


def weight_gradient(x: Array, g: Array, w_shape: Shape, corner: Pair, directly: Directly) -> Array:
    """Gradient of `conv2d` for `w`; ``directly(x, g, w_shape, stride, corner)`` is that of images with a far pixel."""
    dtype, (kh, kw, channels, outputs), (down, across) = np.result_type(x, g), w_shape, parts(w_shape)
    x, g = adjacent(x, dtype), adjacent(g, dtype)
    panels, entries, inputs, size = shape = _weights_shape(w_shape, dtype)
    panel_bytes = entries * inputs * size * dtype.itemsize
    step = max(1, PANELS // panel_bytes)
    groups = -(-panels // step)
    work = cut(x, g, w_shape, corner, min(PARTS, max(-(-TASKS // groups), TOTALS // (panels * panel_bytes))))
    totals = empty((panels, len(work), *shape[1:]), dtype)
    fine = np.empty((groups, 2 * sum(len(block.y) for block in work)), np.uint8)
    limit = limits(dtype, 0)  # without the rule for one heavy channel

    def plan() -> Plan:
        needed = [_buffers(block, shape, w_shape) for block in work]
        for block, buffer in zip(work, needed, strict=True):
            buffer.insert(1, (4, 4 * size_in_tiles(block.y)[1], size))
        area, buffers = carved(dtype, needed)
        multiply = compiled_pass("products.address")(dtype)
        calls = [
            (multiply, limit, flags, laid_out(block.x), laid_out(block.y), totals[first : first + step, part],
             *buffers[part], *block.corner, parts(w_shape), first * size)
            for first, row in zip(range(0, panels, step), fine, strict=True)
            for part, (block, flags) in enumerate(zip(work, _flags(work, row, 2), strict=True))
        ]  # fmt: skip
        return Plan(compiled_pass("winograd.weight_gradient"), calls, (limit, fine, totals, x, g), area)

    key = dtype, x.shape, x.strides, g.shape, g.strides, w_shape, totals.shape, corner
    kept(("Winograd gradient", *key), plan).run(limit, fine, totals, x, g)

    # One product adds up the parts, too.
    sums = totals.reshape(panels, len(work) * entries, -1)
    each = product(np.tile(_squared(dtype).T, len(work)), sums, stack=(panels,))
    each = each.reshape(panels, 3, 3, down, across, -1, size).transpose(3, 1, 4, 2, 5, 0, 6)
    gw: Array = np.ascontiguousarray(each.reshape(3 * down, 3 * across, channels, -1)[:kh, :kw, :, :outputs])
    for block, flags in zip(work, _flags(work, fine[0], 2), strict=True):
        far = flags[: len(block.y)] == 0
        if far.any():
            gw += directly(block.x[far], block.y[far], w_shape, (1, 1), block.corner)
    return gw


def _transformed(w: Array) -> Array:
    """Compute G w Gᵀ of every 3x3 part of the weights: (panels, 36, parts * C, outputs of a panel)."""
    (kh, kw, channels, outputs), (down, across) = w.shape, parts(w.shape)
    panels, entries, _, size = shape = _weights_shape(w.shape, w.dtype)
    padded = w
    if w.shape != (whole := (3 * down, 3 * across, channels, panels * size)):
        padded = np.zeros(whole, w.dtype)
        padded[:kh, :kw, :, :outputs] = w
    each = padded.reshape(down, 3, across, 3, channels, panels, size).transpose(5, 1, 3, 0, 2, 4, 6)
    u = aligned(shape, w.dtype)
    product(_squared(w.dtype), each.reshape(panels, 9, -1), stack=(panels,), out=u.reshape(panels, entries, -1))
    return u


@cache
def _squared(dtype: Any) -> Array:
    """``np.kron(G, G)``, which takes a 3x3 part of the weights to its 36 entries."""
    return np.kron(G, G).astype(dtype)


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
    tiles = rows * across | 1  # an odd number keeps the 36 matrices from competing for the same lines of the cache
    return [(high, wide, channels), (half,), (entries, tiles, inputs), (entries, tiles, size)]


def size_in_tiles(y: Array) -> Pair:
    """Number of 4x4 tiles of an image of outputs: (down, across)."""
    return -(-y.shape[1] // 4), -(-y.shape[2] // 4)


def cut(x: Array, y: Array, w_shape: Shape, corner: Pair, most: int | None = None) -> list[Block]:
    """Cut into blocks that fit the cache, or into at most `most`."""
    down, across = size_in_tiles(y)
    row_bytes = across * NUMBERS * (x.shape[3] * math.prod(parts(w_shape)) + y.shape[3]) * y.itemsize
    in_tiles = (tiles if most is None else partial(in_bands, most=most))(len(y), down, row_bytes)
    in_rows = [(images, slice(4 * rows.start, 4 * rows.stop)) for images, rows in in_tiles]
    return blocks(x, y, in_rows, w_shape[0], (1, 1), corner)


def concentration(w: Array) -> float:
    """Tell how unevenly the weights of an output are spread over C channels: from 1 / C to 1, if one has them all.

    Where one channel has most of the weight, the errors of channels do not cancel. Infinite, NaN or huge weights give
    inf: then no image is even.
    """
    sums, limit = np.abs(w).sum(axis=(0, 1)), np.finfo(w.dtype).max ** LIMIT
    total = np.maximum(sums.sum(axis=0), 1 / limit)
    if not total.max() <= limit:
        return np.inf
    return float((np.einsum("co,co->o", sums, sums) / total**2).max())
