"""Compiled elementwise functions, and softmax of rows. Their twins are formulas of the textbook.

Exponentials of float32 numbers are polynomials, of which the compiler makes vector instructions; a call of the C
library for each number takes ten times as long. Float64 would halve the numbers in a vector, so all constants are
float32: one Python number would make the rest of a formula float64.

Softmax takes a few rows at a time, which stay in the first-level cache over all loops. The exponentials run over all
numbers of these rows at once, since the 10 numbers of one row would not fill a vector. Sums and maxima run over one row
each.
"""

from __future__ import annotations

import math

import numpy as np

from ..elementwise import MILLS
from . import allocating, inlined, kernel, run_of, summing

f32 = np.float32
ZERO, HALF, ONE, TWO = f32(0), f32(0.5), f32(1), f32(2)
SHIFT = f32(1.5 * 2**23)  # added to a number, it leaves the nearest whole number in the last bits
LOG2_E, LN_2, LN_2_REST = f32(1 / math.log(2)), f32(0.693359375), f32(math.log(2) - 0.693359375)  # n * LN_2 is exact
LEAST, RAISED, LOWER = f32(-110), np.int32(127 + 64), f32(2**-64)  # exp(LEAST) is 0
E2, E3, E4, E5, E6 = f32(0.49999988), f32(0.16666453), f32(0.04166918), f32(0.0083761134), f32(0.0013799315)
L1, L2, L3, L4 = f32(0.66666416), f32(0.40021527), f32(0.28001805), f32(0.28011987)
DENSITY, THREE, FAR, LEADING = f32(1 / math.sqrt(2 * math.pi)), f32(3), f32(40), np.int32(-4096)
FLAT = f32(1000)  # at infinity, 0 * x would be NaN
M0, M1, M2, M3, M4, M5, M6, M7, M8, M9 = map(f32, MILLS)
CHUNK = 1 << 12  # numbers that the first-level cache keeps
BLOCK = 2048  # numbers of a few rows
HIDE = np.int32(0x7FFFFFFF)


@inlined
def _take(g, x, out, start):
    """Copy a chunk of `g` into `out`; return this chunk of `x` and `out`.

    In place, `out` is `g`. A long formula in a loop over both would not be vectorised then, and take ten times as long.
    """
    part, taken = out[start : start + CHUNK], g[start : start + CHUNK]
    if part.ctypes.data != taken.ctypes.data:
        for i in range(part.size):
            part[i] = taken[i]
    return x[start : start + CHUNK], part


@kernel
def relu_tile(x, y):
    for i in range(x.size):
        v = x[i]
        y[i] = 0 if v <= 0 else v


@kernel
def relu_gradient_tile(g, y, out):
    for start in range(0, y.size, CHUNK):
        numbers, part = _take(g, y, out, start)
        for i in range(part.size):
            part[i] = 0 if numbers[i] <= 0 else part[i]


@kernel
def leaky_relu_tile(x, slope, out):
    factor = slope[0]  # numbers arrive as arrays of one number
    for i in range(x.size):
        out[i] = x[i] if x[i] > 0 else x[i] * factor


@kernel
def leaky_relu_gradient_tile(g, x, slope, out):
    factor = slope[0]
    for start in range(0, x.size, CHUNK):
        numbers, part = _take(g, x, out, start)
        for i in range(part.size):
            part[i] = part[i] if numbers[i] > 0 else part[i] * factor


@inlined
def _exp(x, rest):
    """``exp(x + rest)`` for x <= 0 and a small `rest`; 0 from -104 down.

    The polynomial's own error is 6e-9, for |r| < 0.38.
    """
    x = LEAST if x < LEAST else x
    shifted = x * LOG2_E + SHIFT
    n = shifted - SHIFT
    r = x - n * LN_2 - n * LN_2_REST + rest
    p = ONE + (r + r * r * (E2 + r * (E3 + r * (E4 + r * (E5 + r * E6)))))
    power_of_2 = np.int32((np.float32(shifted).view(np.int32) + RAISED) << np.int32(23)).view(np.float32)
    return p * power_of_2 * LOWER  # 2**n itself may be denormal, which has no such bits


@kernel
def sigmoid_tile(x, out):
    for i in range(x.size):
        e = _exp(-abs(x[i]), ZERO)
        out[i] = (ONE if x[i] > ZERO else e) / (ONE + e)


@kernel
def silu_tile(x, out):
    for i in range(x.size):
        v = x[i]
        e = _exp(-abs(v), ZERO)
        out[i] = (v if v > ZERO else v * e) / (ONE + e)


@kernel
def silu_gradient_tile(g, x, out):
    for start in range(0, x.size, CHUNK):
        numbers, part = _take(g, x, out, start)
        for i in range(part.size):
            v = numbers[i]
            e = _exp(-abs(v), ZERO)
            large = ONE / (ONE + e)
            small = e * large  # 1 - large would lose digits
            s, rest = (large, small) if v > ZERO else (small, large)
            part[i] *= s + s * rest * (FLAT if v > FLAT else v)


@kernel
def softplus_tile(x, beta, out):
    steepness = beta[0]
    scale = ONE / steepness
    for i in range(x.size):
        z = x[i] * steepness
        e = _exp(-abs(z), ZERO)
        t = e / (TWO + e)  # log(1 + e) is 2 artanh(t), and t is at most 1/3
        s = t * t
        logarithm = t * (TWO + s * (L1 + s * (L2 + s * (L3 + s * L4))))
        out[i] = ((z if z > ZERO else ZERO) + logarithm) * scale


@kernel
def softplus_gradient_tile(g, x, beta, out):
    steepness = beta[0]
    for start in range(0, x.size, CHUNK):
        numbers, part = _take(g, x, out, start)
        for i in range(part.size):
            z = numbers[i] * steepness
            e = _exp(-abs(z), ZERO)
            part[i] *= (ONE if z > ZERO else e) / (ONE + e)


@inlined
def _bell(x):
    """``exp(-x * x / 2)``: the square of the leading 12 bits is exact, so no digits are lost."""
    a = abs(x)
    a = FAR if a > FAR else a  # (a - high) would be NaN for an infinity
    high = np.int32(np.float32(a).view(np.int32) & LEADING).view(np.float32)
    return _exp(high * high * -HALF, (a - high) * (a + high) * -HALF)


@inlined
def _normal_cdf(x, bell):
    """The polynomial of `fast.elementwise.MILLS`, times `bell`."""
    t = THREE / (THREE + abs(x))
    p = M6 + t * (M7 + t * (M8 + t * M9))
    p = M3 + t * (M4 + t * (M5 + t * p))
    p = M0 + t * (M1 + t * (M2 + t * p))
    return ONE - bell * p if x > ZERO else bell * p


@kernel
def gelu_tile(x, out):
    for i in range(x.size):
        v = x[i]
        out[i] = v * _normal_cdf(v, _bell(v))


@kernel
def gelu_gradient_tile(g, x, out):
    for start in range(0, x.size, CHUNK):
        numbers, part = _take(g, x, out, start)
        for i in range(part.size):
            v = numbers[i]
            bell = _bell(v)
            part[i] *= _normal_cdf(v, bell) + (FLAT if v > FLAT else v) * bell * DENSITY


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
    flat = run_of(y)
    for first in range(0, rows, step):
        last = min(first + step, rows)
        _shift(x, y, first, last)
        block = flat[first * length : last * length]
        for i in range(block.size):
            block[i] = _exp(block[i], ZERO)
        for k in range(first, last):
            share = ONE / _sum(y, k)
            for i in range(length):
                y[k, i] *= share


@allocating
def log_softmax_tile(x, y):
    rows, length = x.shape
    step = max(1, BLOCK // length)
    flat, powers = run_of(y), np.empty((step, length), np.float32)
    flat_powers = run_of(powers)
    for first in range(0, rows, step):
        last = min(first + step, rows)
        _shift(x, y, first, last)
        block = flat[first * length : last * length]
        for i in range(block.size):
            flat_powers[i] = _exp(block[i], ZERO)
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
