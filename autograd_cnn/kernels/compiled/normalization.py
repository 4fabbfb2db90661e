"""Compiled twins of the passes in `kernels.normalization`."""

from __future__ import annotations

import numpy as np

from . import kernel

BLOCK = 256  # rows in a partial sum; adding partial sums loses fewer digits than one long sum


@kernel
def moments_tile(x, mean, squares):
    n, channels = x.shape
    first, rest, part = x[0], np.zeros(channels, x.dtype), np.empty(channels, x.dtype)
    for start in range(0, n, BLOCK):
        part[:] = 0
        for i in range(start, min(start + BLOCK, n)):
            for k in range(channels):
                part[k] += x[i, k] - first[k]  # relative to a row rather than to 0: loses fewer digits
        rest += part
    for k in range(channels):
        rest[k] /= n
        mean[k] = first[k] + rest[k]
    squares[:] = 0
    for start in range(0, n, BLOCK):
        part[:] = 0
        for i in range(start, min(start + BLOCK, n)):
            for k in range(channels):
                d = x[i, k] - first[k] - rest[k]
                part[k] += d * d
        squares += part


@kernel
def normalise_tile(x, y, mean, scale, shift):
    n, channels = x.shape
    for i in range(n):
        for k in range(channels):
            y[i, k] = (x[i, k] - mean[k]) * scale[k] + shift[k]


@kernel
def gradient_sums_tile(g, x, sums, mean):
    n, channels = x.shape
    sums[:] = 0
    parts = np.empty_like(sums)
    plain, weighted = parts[0], parts[1]
    for start in range(0, n, BLOCK):
        parts[:] = 0
        for i in range(start, min(start + BLOCK, n)):
            for k in range(channels):
                plain[k] += g[i, k]
                weighted[k] += (x[i, k] - mean[k]) * g[i, k]
        sums += parts


@kernel
def input_gradient_tile(g, x, gx, mean, scale, slope, shift):
    n, channels = x.shape
    for i in range(n):
        for k in range(channels):
            gx[i, k] = (x[i, k] - mean[k]) * slope[k] + shift[k] + g[i, k] * scale[k]
