"""Compiled twins of the passes in `fast.normalization`.

Rows are joined to runs of about `RUN` numbers, and the vectors of the channels repeated to match. A loop over the 16
channels of one row would be too short for the compiler's vector instructions.
"""

from __future__ import annotations

import numpy as np

from . import allocating, helper, run_of

RUN = 256  # numbers in the innermost loop
RUNS = 64  # runs in a partial sum, which stay in the cache; adding partial sums loses fewer digits than one long sum


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
    flat, first, part = run_of(x), _repeated(x[0]), _repeated(x[0])
    shifts, deviations = np.empty_like(mean), np.empty_like(mean)
    run, channels = len(part), len(mean)
    mean[:] = 0
    squares[:] = 0
    for start in range(0, x.size, run * RUNS):
        stop = min(start + run * RUNS, x.size)
        rows = (stop - start) // channels
        part[:] = 0
        for i in range(start, stop, run):
            piece = flat[i : min(i + run, stop)]
            for k in range(len(piece)):
                part[k] += piece[k] - first[k]  # relative to a row rather than to 0: loses fewer digits
        _add_up(part, shifts)
        for k in range(channels):
            shifts[k] /= rows
        middle = _repeated(shifts)
        part[:] = 0
        for i in range(start, stop, run):
            piece = flat[i : min(i + run, stop)]
            for k in range(len(piece)):
                d = piece[k] - first[k] - middle[k]
                part[k] += d * d
        _add_up(part, deviations)
        before = start // channels
        for k in range(channels):  # merges the moments of two parts, as in `fast.normalization`
            d = shifts[k] - mean[k]
            mean[k] += d * rows / (before + rows)
            squares[k] += deviations[k] + d * d * before * rows / (before + rows)
    for k in range(channels):
        mean[k] += x[0, k]


@allocating
def gradient_sums_tile(g, x, sums, mean):
    channels = len(mean)
    flat, flat_g = run_of(x), run_of(g)
    mean = _repeated(mean)
    plain, weighted, part = np.empty_like(mean), np.empty_like(mean), np.empty(channels, x.dtype)
    run = len(mean)
    sums[:] = 0
    for start in range(0, x.size, run * RUNS):
        stop = min(start + run * RUNS, x.size)
        plain[:] = 0
        weighted[:] = 0
        for i in range(start, stop, run):
            piece, piece_g = flat[i : min(i + run, stop)], flat_g[i : min(i + run, stop)]
            for k in range(len(piece)):
                plain[k] += piece_g[k]
                weighted[k] += (piece[k] - mean[k]) * piece_g[k]
        for row, numbers in ((sums[0], plain), (sums[1], weighted)):
            _add_up(numbers, part)
            for k in range(channels):
                row[k] += part[k]


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
