"""Compiled twin of the pass in `kernels.spread`."""

from __future__ import annotations

import numba
import numpy as np

from . import kernel

BANDS = 8  # as in `kernels.spread`
ONE = np.uint32(1)


@numba.njit(nogil=True, error_model="numpy", fastmath={"contract", "reassoc"})
def _extent(run):
    """Return twice the bits of the largest magnitude, and the sum of the squares, in an order that suits vectors."""
    bits, largest, squares = run.view(np.uint32), np.uint32(0), np.float32(0)
    for k in range(run.size):
        largest = max(largest, np.uint32(bits[k] << ONE))  # without the sign
        squares += run[k] * run[k]
    return largest, squares


@kernel
def extent_tile(x, largest, typical, squares):
    step = -(-x.shape[1] // BANDS)
    for image in range(len(x)):
        top, levels, filled, total = np.uint32(0), 0, 0, np.float32(0)
        for row in range(0, x.shape[1], step):
            level, part = _extent(x[image, row : row + step].reshape(-1))
            top = max(top, level)
            levels += level >> ONE
            filled += level > 0
            total += part
        largest[image] = np.uint32(top >> ONE).view(np.float32)
        typical[image] = np.uint32(levels / max(1, filled)).view(np.float32)
        squares[image] = total
