"""Cuts large arrays into tiles: blocks of images, of rows of one image, of rows of a matrix, or of numbers.

All passes over a tile run while it is in a core's cache. Tiles depend on shapes alone, and partial sums are added in
the order of the tiles, so every result has the same bits on any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .threads import Result, map_tiles

Array = NDArray[Any]
Tile = TypeVar("Tile")

CACHE = 1 << 21  # bytes that a tile may fill: about the size of a core's second-level cache
PARTS = 16  # partial sums of a weight gradient, each computed by one thread
SMALL = 1 << 14  # numbers of an array below which NumPy alone is faster than tiles


def tiles(images: int, rows: int, row_bytes: int) -> list[tuple[slice, slice]]:
    """Cut into blocks of whole images, or of rows of one image: pairs (images, rows).

    A block is a quarter of the whole, but at most the cache, and at least half of it, to be worth a thread. Blocks of
    images have nearly the same size, and their number is 1 or a multiple of four: otherwise one thread would compute
    the last block while the others wait.

    Examples
    --------
    >>> [block.stop for block, _ in tiles(images=90, rows=32, row_bytes=1000)]  # 2 880 000 bytes in all
    [22, 45, 67, 90]
    >>> tiles(images=1, rows=32, row_bytes=CACHE // 12)[1]
    (slice(0, 1, None), slice(8, 16, None))
    """
    block_bytes = min(CACHE, max(CACHE // 2, images * rows * row_bytes // 4))
    fit = max(1, block_bytes // max(1, row_bytes))
    count, row_step = images, min(fit, rows)
    if fit >= rows:
        count = -(-images // (fit // rows))
        count = min(images, -(-count // 4) * 4 if count > 1 else 1)
    return [
        (slice(images * n // count, images * (n + 1) // count), slice(r, min(r + row_step, rows)))
        for n in range(count)
        for r in range(0, rows, row_step)
    ]


def in_parts(tiles: list[Tile]) -> list[list[Tile]]:
    """Cut a list of tiles into at most `PARTS` lists, each for one thread to sum over.

    Examples
    --------
    >>> in_parts([1, 2, 3])
    [[1], [2], [3]]
    >>> [len(part) for part in in_parts(list(range(40)))][:5]
    [2, 3, 2, 3, 2]
    """
    count = min(PARTS, len(tiles))
    return [tiles[part * len(tiles) // count : (part + 1) * len(tiles) // count] for part in range(count)]


def map_images(function: Callable[..., Result], *arrays: Array, products: bool = False) -> list[Result]:
    """Call ``function(*blocks)`` on the same few images of each array at a time; return the results, in order."""
    # Blocks fill twice the cache: their passes are short, and a thread may wait for the interpreter between two.
    blocks = tiles(len(arrays[0]), 1, sum(a[:1].nbytes for a in arrays) // 2)
    return map_tiles(lambda index: function(*(a[blocks[index][0]] for a in arrays)), len(blocks), products)


def map_rows(function: Callable[..., Result], *arrays: Array, products: bool = True) -> list[Result]:
    """Call ``function(*blocks)`` on the same rows of each array at a time, as matrices in C order; return the results.

    The last axis is a row; all arrays have the same shape. `function` may write into arrays that are in C order.
    """
    length = arrays[0].shape[-1]
    matrices = [np.ascontiguousarray(a).reshape(-1, length) for a in arrays]
    # A single pass gains nothing from the cache: a tile is a quarter of the array, within bounds worth a thread.
    step = max(1, min(1 << 19, max(1 << 18, -(-arrays[0].size // 4))) // length)

    def tile(index: int) -> Result:
        return function(*(a[index * step : (index + 1) * step] for a in matrices))

    return map_tiles(tile, -(-len(matrices[0]) // step), products)
