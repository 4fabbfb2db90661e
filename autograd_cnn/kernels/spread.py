"""Tells which images Winograd's algorithm may compute: those without a number far larger than the others.

The rounding errors of the algorithm follow the largest number of a tile of 6x6 pixels, and reach all 16 outputs of the
tile; a NaN spoils them all. As long as the numbers of an image are of one kind, the errors are small beside the sum of
``|x| |w|`` over a typical window. An image with a pixel that stands out is computed directly instead: there an error
stays in the windows of its pixel.

Imports NumPy and its neighbours `memory`, `tiles` and `twins`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .memory import scratch
from .tiles import map_images
from .twins import kernel_set, twin

Array = NDArray[Any]

BANDS = 8  # into which an image is cut, each a few rows of pixels
FAR = 16  # times the largest number of a typical band; the largest of activations and gradients is up to 5 times that
LOSS = 8  # times the root mean square: an error of up to 1e-5 of a typical window, if one channel has all the weight
LIMIT = 0.375  # power of the largest float: the transforms of larger numbers, and their products, could overflow


def even(x: Array, sums: Array | None = None) -> Array:
    """Whether Winograd's algorithm may compute each image: an array (N,) of bool.

    Parameters
    ----------
    x : array (N, H, W, C)
        Images, or gradients of images.
    sums : array (C, O), optional
        Of ``|w|`` over the taps. Where one channel has most of the weight, the errors of channels do not cancel.
    """
    largest, typical, squares = np.empty((3, len(x)), x.dtype)
    in_numpy = x.dtype != np.float32 or kernel_set() == "numpy"
    with np.errstate(all="ignore"):  # NaN compares as false
        map_images(extent_tile, np.ascontiguousarray(x), largest, typical, squares, products=in_numpy)
        limit = np.finfo(x.dtype).max ** LIMIT
        fine: Array = largest <= np.minimum(FAR * typical, limit)
        if sums is not None:
            total = np.maximum(sums.sum(axis=0), 1 / limit)
            concentration = (np.einsum("co,co->o", sums, sums) / total**2).max()  # 1, or 1 / C if all weigh the same
            fine &= largest**2 * concentration <= LOSS**2 / x[0].size * squares
            fine &= total.max() <= limit
    return fine


@twin("spread.extent_tile", writes=("largest", "typical", "squares"), only="f")
def extent_tile(x: Array, largest: Array, typical: Array, squares: Array) -> None:
    """Write the largest magnitude of a few images, that of a typical band of rows, and the sum of the squares.

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
    largest[...] = tops.max(axis=1).view(x.dtype)
    mean = tops.sum(axis=1, dtype=float) / np.maximum(1, np.count_nonzero(tops, axis=1))
    typical[...] = mean.astype(integer).view(x.dtype)
    np.vecdot(numbers, numbers, out=squares)
