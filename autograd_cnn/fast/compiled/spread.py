"""Compiled twin of the pass in `fast.spread`."""

from __future__ import annotations

from typing import Any

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
    _, height, width, channels = x.shape
    step, size, adjacent = -(-height // BANDS), height * width * channels, x.strides[2] == channels * x.itemsize
    times, numbers = (1, width * channels) if adjacent else (width, channels)
    for image in range(len(x)):
        top, levels, filled, total = np.uint32(0), 0, 0, np.float32(0)
        for first in range(0, height, step):
            level: Any = np.uint32(0)
            for row in range(first, min(first + step, height)):
                for column in range(times):
                    most, part = _extent(run_of(x[image, row, column], numbers))
                    level = max(level, most)
                    total += part
            top = max(top, level)
            levels += level >> ONE
            filled += level > 0
        largest = np.uint32(top >> ONE).view(np.float32)
        typical = np.uint32(levels / max(1, filled)).view(np.float32)
        near = largest <= FAR * typical and largest <= LARGEST
        fine[image] = near and largest * largest * concentration[0] <= LOSS * LOSS / size * total
