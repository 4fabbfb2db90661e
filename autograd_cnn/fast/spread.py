"""Tells which images Winograd's algorithm may compute: those without a number far larger than the others.

The rounding errors of the algorithm follow the largest number of a tile of 6x6 pixels, and reach all 16 outputs of the
tile; a NaN spoils them all. As long as the numbers of an image are of one kind, the errors are small beside the sum of
``|x| |w|`` over a typical window. An image with a pixel that stands out is computed directly instead: there an error
stays in the windows of its pixel.

The images of a block are looked at when it is about to be transformed, so that they are read from memory once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .memory import scratch
from .twins import twin

Array = NDArray[Any]

BANDS = 8  # into which an image is cut, each a few rows of pixels
FAR = 16  # times the largest number of a typical band; the largest of activations and gradients is up to 5 times that
LOSS = 8  # times the root mean square: an error of up to 1e-5 of a typical window, if one channel has all the weight
LIMIT = 0.375  # power of the largest float: the transforms of larger numbers, and their products, could overflow


def even(x: Array, concentration: float = 0.0) -> Array:
    """Whether Winograd's algorithm may compute each image, or band of an image: an array (N,) of bool.

    Parameters
    ----------
    x : array (N, H, W, C)
        Images, or gradients of images.
    concentration : float
        That of the weights; without it, the rule for one heavy channel is left out.
    """
    if not x.size:
        return np.ones(len(x), bool)
    fine = np.empty(len(x), np.uint8)
    even_tile(x, np.array([concentration], x.dtype), fine)
    return fine.view(bool)


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


@twin("spread.even_tile", writes=("fine",), only="f")
def even_tile(x: Array, concentration: Array, fine: Array) -> None:
    """Write whether each image is even: from its largest magnitude, that of a typical band, and the sum of squares.

    The typical band has the geometric mean of all bands that are not 0. The bits of a float, read as an integer, grow
    as its logarithm, so their mean stands for it.
    """
    integer, step = np.dtype(f"i{x.itemsize}"), -(-x.shape[1] // BANDS)
    numbers = x.reshape(len(x), -1)
    bands = scratch("bands", (len(x), -(-x.shape[1] // step), step * x[0, 0].size), integer)
    bits = bands.reshape(len(x), -1)
    np.bitwise_and(numbers.view(integer), np.iinfo(integer).max, out=bits[:, : numbers.shape[1]])
    bits[:, numbers.shape[1] :] = 0  # the last band may have fewer rows
    tops = bands.max(axis=2)
    largest = tops.max(axis=1).view(x.dtype)
    mean = tops.sum(axis=1, dtype=float) / np.maximum(1, np.count_nonzero(tops, axis=1))
    typical = mean.astype(integer).view(x.dtype)
    with np.errstate(all="ignore"):  # NaN compares as false
        squares = np.vecdot(numbers, numbers)
        fine[...] = largest <= np.minimum(FAR * typical, np.finfo(x.dtype).max ** LIMIT)
        fine &= largest**2 * concentration <= LOSS**2 / x[0].size * squares
