"""Compiled twins of the passes in `fast.normalization`.

Rows are joined to runs of about `RUN` numbers, and the vectors of the channels repeated to match. A loop over the 16
channels of one row would be too short for the compiler's vector instructions.
"""

from __future__ import annotations

import numpy as np

from . import allocating, helper, run_of

RUN = 256  # numbers in the innermost loop


@allocating
def _repeated(vector):
    channels = len(vector)
    run = np.empty(channels * max(1, RUN // channels), vector.dtype)
    for start in range(0, len(run), channels):
        for k in range(channels):
            run[start + k] = vector[k]
    return run


@helper
def _add_up(run, sums):
    """Add up the numbers of each channel in a run."""
    sums[:] = 0
    for start in range(0, len(run), len(sums)):
        for k in range(len(sums)):
            sums[k] += run[start + k]


@allocating
def moments_tile(x, mean, squares):
    flat, first = run_of(x), _repeated(x[0])
    run, rows, channels = len(first), len(x), len(mean)
    sums, products, part = np.zeros(run), np.zeros(run), np.empty((2, channels))
    for i in range(0, x.size, run):
        piece = flat[i : i + run]
        for k in range(len(piece)):
            d = np.float64(piece[k] - first[k])
            sums[k] += d
            products[k] += d * d
    _add_up(sums, part[0])
    _add_up(products, part[1])
    for k in range(channels):
        # Relative to one of the rows, the squares are at most as many times the variance as there are rows.
        mean[k] = x[0, k] + part[0, k] / rows
        squares[k] = part[1, k] - part[0, k] * part[0, k] / rows


@allocating
def gradient_sums_tile(g, x, sums, mean):
    flat, flat_g, mean = run_of(x), run_of(g), _repeated(mean)
    run = len(mean)
    plain, weighted = np.zeros(run), np.zeros(run)
    for i in range(0, x.size, run):
        piece, piece_g = flat[i : i + run], flat_g[i : i + run]
        for k in range(len(piece)):
            plain[k] += piece_g[k]
            weighted[k] += (piece[k] - mean[k]) * piece_g[k]
    _add_up(plain, sums[0])
    _add_up(weighted, sums[1])


@allocating
def affine_tile(g, x, y, mean, scale, slope, shift):
    flat, flat_g, out = run_of(x), run_of(g), run_of(y)
    mean, scale, slope, shift = _repeated(mean), _repeated(scale), _repeated(slope), _repeated(shift)
    for i in range(0, x.size, len(mean)):
        stop = i + len(mean)
        piece, piece_g, out_piece = flat[i:stop], flat_g[i:stop], out[i:stop]
        if g.size == 0:
            for k in range(len(piece)):
                out_piece[k] = (piece[k] - mean[k]) * slope[k] + shift[k]
            continue
        if piece_g.ctypes.data != out_piece.ctypes.data:  # in place, a loop over both would not be vectorised
            for k in range(len(piece)):
                out_piece[k] = piece_g[k]
        for k in range(len(piece)):
            out_piece[k] = (piece[k] - mean[k]) * slope[k] + shift[k] + out_piece[k] * scale[k]
