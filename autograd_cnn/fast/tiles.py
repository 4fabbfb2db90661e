"""Cuts large arrays into tiles: blocks of images, of rows of one image, of rows of a matrix, or of numbers.

All passes over a tile run while it is in a core's cache. Tiles depend on shapes alone, and partial sums are added in
the order of the tiles, so every result has the same bits on any number of threads.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from autograd_cnn.ops.windows import Pair, Shape

from .memory import empty
from .threads import each_part
from .twins import kernel_set

Array = NDArray[Any]
Tile = TypeVar("Tile")

CACHE = 1 << 21  # bytes that a tile may fill: about the size of a core's second-level cache
PARTS = 16  # partial sums of a weight gradient, each computed by one thread
MANY = 32  # tiles of a pass
SMALL = 1 << 14  # numbers of an array below which NumPy alone is faster than tiles


def tiles(images: int, rows: int, row_bytes: int, least: int | None = None) -> list[tuple[slice, slice]]:
    """Cut into blocks of whole images, or of rows of one image: pairs (images, rows).

    A block is a quarter of the whole, but at most the cache, and at least half of it, to be worth a thread of Python,
    or `least` bytes. Blocks have nearly the same size, and their number is 1 or a multiple of four: otherwise one
    thread would compute the last block while the others wait.

    Examples
    --------
    >>> [block.stop for block, _ in tiles(images=90, rows=32, row_bytes=1000)]  # 2 880 000 bytes in all
    [22, 45, 67, 90]
    >>> tiles(images=1, rows=32, row_bytes=CACHE // 12)[1]
    (slice(0, 1, None), slice(8, 16, None))
    """
    block_bytes = min(CACHE, max(least or CACHE // 2, images * rows * row_bytes // 4))
    fit = max(1, block_bytes // max(1, row_bytes))
    return [*itertools.product(pieces(images, max(1, fit // rows)), pieces(rows, fit))]


def pieces(whole: int, fit: int, most: int | None = None) -> list[slice]:
    """Cut into pieces of nearly the same size: one, or a multiple of four, of at most `fit` if `most` of them will do.

    Examples
    --------
    >>> pieces(8, fit=5)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 6, None), slice(6, 8, None)]
    >>> pieces(5, fit=5)
    [slice(0, 5, None)]
    """
    count = -(-whole // fit)
    return evenly(whole, min(whole, most or whole, -(-count // 4) * 4 if count > 1 else 1))


def evenly(whole: int, count: int) -> list[slice]:
    """Cut into so many pieces of nearly the same size."""
    return [slice(whole * n // count, whole * (n + 1) // count) for n in range(count)]


def in_parts(tiles: list[Tile]) -> list[list[Tile]]:
    """Cut a list of tiles into at most `PARTS` lists, each for one thread to sum over.

    Examples
    --------
    >>> in_parts([1, 2, 3])
    [[1], [2], [3]]
    >>> [len(part) for part in in_parts(list(range(40)))][:5]
    [2, 3, 2, 3, 2]
    """
    return [tiles[part] for part in evenly(len(tiles), min(PARTS, len(tiles)))]


def in_bands(images: int, rows: int, row_bytes: int, most: int = PARTS) -> list[tuple[slice, slice]]:
    """Cut into at most `most` parts, each for one thread to sum over: blocks of images, or bands of rows of each.

    Examples
    --------
    >>> [block.stop for block, _ in in_bands(images=40, rows=32, row_bytes=100_000)][:4]
    [2, 5, 7, 10]
    >>> in_bands(images=1, rows=32, row_bytes=10_000)
    [(slice(0, 1, None), slice(0, 32, None))]
    """
    count = min(most, len(tiles(images, rows, row_bytes)))
    bands = max(1, min(rows, count // max(1, images)))
    return [*itertools.product(evenly(images, min(images, count)), evenly(rows, bands))]


class Block(NamedTuple):
    """Some outputs of a convolution, or their gradient, and the pixels that they depend on."""

    x: Array
    y: Array
    corner: Pair  # rows and columns of zeros before `x`; of negative ones so many are cut off


def blocks(x: Array, y: Array, cut: list[tuple[slice, slice]], high: int, stride: Pair, corner: Pair) -> list[Block]:
    """Cut a convolution into blocks: for each pair (images, rows) of outputs. Its kernels have `high` rows."""
    found = []
    for images, rows in cut:
        pixels, out = x[images], y[images, rows]
        first = rows.start * stride[0] - corner[0]
        stop = first + (out.shape[1] - 1) * stride[0] + high
        if len(out) == 1:  # some rows of several images would not be in one piece
            pixels, first = pixels[:, max(0, first) : max(0, stop)], min(0, first)
        found.append(Block(pixels, out, (-first, corner[1])))
    return found


def each_group(x_shape: Shape, w_shape: Shape) -> list[tuple[slice, slice]]:
    """List the input and the output channels of each group of a convolution; of a depthwise one, all at once."""
    count = 1 if w_shape[2] == 1 else x_shape[3] // w_shape[2]
    inputs, outputs = x_shape[3] // count, w_shape[3] // count
    return [(slice(n * inputs, (n + 1) * inputs), slice(n * outputs, (n + 1) * outputs)) for n in range(count)]


def adjacent(a: Array, dtype: Any) -> Array:
    """Return images of this dtype, with the channels of a pixel side by side: `a`, or a copy that all threads make."""
    if a.dtype == dtype and a.flags.aligned and (a.strides[3] == a.itemsize or a.shape[3] == 1):
        return a
    copy = empty(a.shape, dtype)
    each_part(np.copyto, parts(a.size, len(a)), copy, a)
    return copy


def laid_out(a: Array) -> tuple[Array, Shape, Shape]:
    """Return the first number of images, the shape and the strides: of the same types for every layout of memory."""
    return as_strided(a, (1,), (a.itemsize,)), a.shape, tuple(stride // a.itemsize for stride in a.strides)


def put(out: Array, numbers: Array) -> None:
    """Write numbers into an array, if they are not computed in its place."""
    if not np.may_share_memory(out, numbers):
        out[...] = numbers


def parts(numbers: int, most: int) -> int:
    """Into how many tiles, of `most`, a pass over so many numbers is cut.

    NumPy's threads wait for the interpreter between two passes, so their tiles are large; half a tile or less is not
    worth a thread.

    Examples
    --------
    >>> parts(1 << 30, most=100), parts(1 << 30, most=3), parts(1, most=100)
    (32, 3, 1)
    """
    least = SMALL if kernel_set() == "numba" else 1 << 18
    return max(1, min(MANY, most, numbers // least))
