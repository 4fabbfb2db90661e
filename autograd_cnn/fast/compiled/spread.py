"""Compiled twin of the pass in `fast.spread`."""

from __future__ import annotations

import numpy as np

from . import kernel, run_of, summing

BANDS, FAR, LOSS = 8, np.float32(16), np.float32(8)  # as in `fast.spread`
LARGEST = np.finfo(np.float32).max ** 0.375
ONE = np.uint32(1)


@summing
def _extent(run):
    """Return twice the bits of the largest magnitude, and the sum of the squares, in an order that suits vectors."""
    bits, largest, squares = run.view(np.uint32), np.uint32(0), np.float32(0)
    for k in range(run.size):
        largest = max(largest, np.uint32(bits[k] << ONE))  # without the sign
        squares += run[k] * run[k]
    return largest, squares


@kernel
def even_tile(x, concentration, fine):
    step, size = -(-x.shape[1] // BANDS), x.shape[1] * x.shape[2] * x.shape[3]
    for image in range(len(x)):
        top, levels, filled, total = np.uint32(0), 0, 0, np.float32(0)
        for row in range(0, x.shape[1], step):
            level, part = _extent(run_of(x[image, row : row + step]))
            top = max(top, level)
            levels += level >> ONE
            filled += level > 0
            total += part
        largest = np.uint32(top >> ONE).view(np.float32)
        typical = np.uint32(levels / max(1, filled)).view(np.float32)
        near = largest <= FAR * typical and largest <= LARGEST
        fine[image] = near and largest * largest * concentration[0] <= LOSS * LOSS / size * total
