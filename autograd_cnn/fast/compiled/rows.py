"""Compiled twins of the passes in `fast.rows`.

A few rows at a time stay in the first-level cache over all loops. The exponentials run over all their numbers at once,
since the 10 numbers of one row would not fill a vector; sums and maxima run over one row each.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from . import inlined, kernel

f32 = np.float32
BLOCK = 2048  # numbers of a few rows
ONE, HIDE = f32(1), np.int32(0x7FFFFFFF)
SHIFT = f32(1.5 * 2**23)  # added to a number, it leaves the nearest whole number in the last bits
LOG2_E, LN_2, LN_2_REST = f32(1 / math.log(2)), f32(0.693359375), f32(math.log(2) - 0.693359375)  # n * LN_2 is exact
LEAST, RAISED, LOWER = f32(-110), np.int32(127 + 64), f32(2**-64)  # exp(LEAST) is 0
E2, E3, E4, E5, E6 = f32(0.49999988), f32(0.16666453), f32(0.04166918), f32(0.0083761134), f32(0.0013799315)
summing = numba.njit(error_model="numpy", fastmath={"reassoc", "contract"})  # several partial sums, in one vector


@inlined
def _exp(x):
    """``exp(x)`` for x <= 0, as in `compiled.elementwise`."""
    x = LEAST if x < LEAST else x
    shifted = x * LOG2_E + SHIFT
    n = shifted - SHIFT
    r = x - n * LN_2 - n * LN_2_REST
    p = ONE + (r + r * r * (E2 + r * (E3 + r * (E4 + r * (E5 + r * E6)))))
    power_of_2 = np.int32((np.float32(shifted).view(np.int32) + RAISED) << np.int32(23)).view(np.float32)
    return p * power_of_2 * LOWER


@inlined
def _ordered(bits):
    """Map the bits of floats to integers of the same order, and back; a maximum of integers needs no rule for NaN."""
    return np.int32(bits ^ ((bits >> np.int32(31)) & HIDE))


@inlined
def _maximum(bits, k):
    most = np.int32(-0x80000000)
    for i in range(bits.shape[1]):
        most = max(most, _ordered(bits[k, i]))
    return np.int32(_ordered(most)).view(np.float32)


@summing
def _sum(x, k):
    total = x.dtype.type(0)
    for i in range(x.shape[1]):
        total += x[k, i]
    return total


@summing
def _dot(a, b, k):
    total = a.dtype.type(0)
    for i in range(a.shape[1]):
        total += a[k, i] * b[k, i]
    return total


@inlined
def _shift(x, y, first, last):
    """Write x minus the maximum of each row into y; a NaN makes the whole row NaN, in the sum at the latest."""
    bits = x.view(np.int32)
    for k in range(first, last):
        most = _maximum(bits, k)
        for i in range(x.shape[1]):
            y[k, i] = x[k, i] - most


@kernel
def softmax_tile(x, y):
    rows, length = x.shape
    step = max(1, BLOCK // length)
    flat = y.reshape(y.size)
    for first in range(0, rows, step):
        last = min(first + step, rows)
        _shift(x, y, first, last)
        block = flat[first * length : last * length]
        for i in range(block.size):
            block[i] = _exp(block[i])
        for k in range(first, last):
            share = ONE / _sum(y, k)
            for i in range(length):
                y[k, i] *= share


@kernel
def log_softmax_tile(x, y):
    rows, length = x.shape
    step = max(1, BLOCK // length)
    flat, powers = y.reshape(y.size), np.empty((step, length), np.float32)
    flat_powers = powers.reshape(powers.size)
    for first in range(0, rows, step):
        last = min(first + step, rows)
        _shift(x, y, first, last)
        block = flat[first * length : last * length]
        for i in range(block.size):
            flat_powers[i] = _exp(block[i])
        for k in range(first, last):
            logarithm = np.log(_sum(powers, k - first))
            for i in range(length):
                y[k, i] -= logarithm


@kernel
def softmax_gradient_tile(g, y, gx):
    for k in range(len(g)):
        common = _dot(g, y, k)
        for i in range(g.shape[1]):
            gx[k, i] = (g[k, i] - common) * y[k, i]


@kernel
def log_softmax_gradient_tile(g, y, gx):
    rows, length = g.shape
    step = max(1, BLOCK // length)
    flat, out = y.reshape(y.size), gx.reshape(gx.size)
    for first in range(0, rows, step):
        last = min(first + step, rows)
        start, stop = first * length, last * length
        block, powers = flat[start:stop], out[start:stop]
        for i in range(block.size):
            powers[i] = _exp(block[i])
        for k in range(first, last):
            total = _sum(g, k)
            for i in range(length):
                gx[k, i] = g[k, i] - gx[k, i] * total
