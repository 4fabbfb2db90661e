"""Compiled elementwise functions, and softmax of rows. Their twins are formulas of the textbook.

Exponentials of float32 numbers are polynomials, of which the compiler makes vector instructions; a call of the C
library for each number takes ten times as long. Float64 would halve the numbers in a vector, so all constants are
float32: one Python number would make the rest of a formula float64.

A loop over two arrays of which one is written has no vectors if they may be the same, so each gradient has a loop for
`g` in whose place it is written, and one for others.

Softmax takes a few rows at a time, which stay in the first-level cache over all loops. The exponentials run over all
numbers of these rows at once, since the 10 numbers of one row would not fill a vector. Sums and maxima run over one row
each.
"""

from __future__ import annotations

import math

import numpy as np

from ..elementwise import MILLS
from . import allocating, fused, inlined, kernel, named, run_of, summing, wide

f32 = np.float32
ZERO, HALF, ONE, TWO = f32(0), f32(0.5), f32(1), f32(2)
SHIFT = f32(1.5 * 2**23)  # added to a number, it leaves the nearest whole number in the last bits
LOG2_E, LN_2 = f32(1 / math.log(2)), f32(math.log(2))
LEAST, MOST = f32(-88.8), f32(88.2)  # their powers are infinity and 0
E1, E2, E3, E4, E5 = f32(0.99999971), f32(0.49999148), f32(0.16667638), f32(0.04189816), f32(0.008290272)
L1, L2, L3, L4 = f32(0.66666416), f32(0.40021527), f32(0.28001805), f32(0.28011987)
HUGE, DENSITY, NEAR, FAR = f32(1e38), f32(1 / math.sqrt(2 * math.pi)), f32(2.5), f32(13.28)
M0, M1, M2, M3, M4, M5, M6, M7, M8 = map(f32, MILLS)
BLOCK = 2048  # numbers of a few rows
HIDE = np.int32(0x7FFFFFFF)


@kernel
def relu_tile(x, y):
    for i in range(x.size):
        v = x[i]
        y[i] = 0 if v <= 0 else v


@kernel
def relu_gradient_tile(g, y, out):
    if g.ctypes.data == out.ctypes.data:
        for i in range(y.size):
            out[i] = 0 if y[i] <= 0 else out[i]
    else:
        for i in range(y.size):
            out[i] = 0 if y[i] <= 0 else g[i]


@kernel
def leaky_relu_tile(x, slope, out):
    factor = slope[0]
    for i in range(x.size):
        out[i] = x[i] if x[i] > 0 else x[i] * factor


def _times(slope):
    """Return a function that writes ``g * slope(x)`` into `out`."""

    def run(g, x, out, *options):
        wide()
        if g.ctypes.data == out.ctypes.data:
            for i in range(x.size):
                out[i] *= slope(x[i], *options)
        else:
            for i in range(x.size):
                out[i] = g[i] * slope(x[i], *options)

    return named(run, f"times{slope.__name__}")


@inlined
def _leaky_slope(x, factor):
    return type(factor)(1) if x > 0 else factor


_times_leaky_slope = _times(_leaky_slope)


@kernel
def leaky_relu_gradient_tile(g, x, slope, out):
    _times_leaky_slope(g, x, out, slope[0])


@inlined
def _power(x, rest):
    """``exp(-x - rest)`` for x from `LEAST` to `MOST` and a small `rest`; infinity below -88.4, and 0 from 88.1 on.

    The polynomial's own error is 9e-8, for |r| < 0.35.
    """
    shifted = SHIFT - x * LOG2_E
    r = fused(shifted - SHIFT, LN_2, x) + rest
    p = ONE - r * (E1 - r * (E2 - r * (E3 - r * (E4 - r * E5))))
    return p * np.int32((np.float32(shifted).view(np.int32) + np.int32(127)) << np.int32(23)).view(np.float32)


@inlined
def _sigmoid(x):
    x = MOST if x > MOST else x
    return ONE / (ONE + _power(LEAST if x < LEAST else x, ZERO))


@kernel
def sigmoid_tile(x, out):
    wide()
    for i in range(x.size):
        out[i] = _sigmoid(x[i])


@kernel
def silu_tile(x, out):
    wide()
    for i in range(x.size):
        out[i] = x[i] * _sigmoid(x[i])


@inlined
def _silu_slope(x):
    x = MOST if x > MOST else x  # at infinity, 0 * x would be NaN
    e = _power(LEAST if x < LEAST else x, ZERO)
    s = ONE / (ONE + e)
    return s * (ONE + x * (s * (HUGE if e > HUGE else e)))  # 1 - s would lose digits


_times_silu_slope = _times(_silu_slope)


@kernel
def silu_gradient_tile(g, x, out):
    _times_silu_slope(g, x, out)


@kernel
def softplus_tile(x, beta, out):
    wide()
    steepness = beta[0]  # numbers arrive as arrays of one number
    for i in range(x.size):
        z = x[i] * steepness
        e = _power(MOST if abs(z) > MOST else abs(z), ZERO)
        t = e / (TWO + e)  # log(1 + e) is 2 artanh(t), and t is at most 1/3
        s = t * t
        logarithm = t * (TWO + s * (L1 + s * (L2 + s * (L3 + s * L4))))
        out[i] = ((z if z > ZERO else ZERO) + logarithm) / steepness


@inlined
def _softplus_slope(x, beta):
    return _sigmoid(x * beta)


_times_softplus_slope = _times(_softplus_slope)


@kernel
def softplus_gradient_tile(g, x, beta, out):
    _times_softplus_slope(g, x, out, beta[0])


@inlined
def _bell(x):
    """``exp(-x * x / 2)`` and ``normal_cdf(x)``: this times the polynomial of `fast.elementwise.MILLS`, or 1 - this."""
    a = FAR if abs(x) > FAR else abs(x)
    square = a * a
    bell = _power(HALF * square, HALF * fused(a, a, -square))  # with what the square has lost
    t = NEAR / (NEAR + a)
    p = M3 + t * (M4 + t * (M5 + t * (M6 + t * (M7 + t * M8))))
    tail = bell * (M0 + t * (M1 + t * (M2 + t * p)))
    return bell, ONE - tail if x > ZERO else tail


@kernel
def gelu_tile(x, out):
    wide()
    for i in range(x.size):
        out[i] = x[i] * _bell(x[i])[1]


@inlined
def _gelu_slope(x):
    bell, cdf = _bell(x)
    return cdf + (FAR if x > FAR else x) * (bell * DENSITY)


_times_gelu_slope = _times(_gelu_slope)


@kernel
def gelu_gradient_tile(g, x, out):
    _times_gelu_slope(g, x, out)


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
def _powers(x, y, first, powers):
    """Write the maxima of some rows, from `first` on, minus x into y, and the powers of these negated into `powers`.

    A NaN makes the whole row NaN, in the sum at the latest.
    """
    (rows, length), bits = powers.shape, x.view(np.int32)
    for k in range(first, first + rows):
        most = _maximum(bits, k)
        for i in range(length):
            y[k, i] = most - x[k, i]
    run, out = run_of(y)[first * length :], run_of(powers)
    for i in range(out.size):
        out[i] = _power(MOST if run[i] > MOST else run[i], ZERO)


@allocating
def softmax_tile(x, y):
    wide()
    rows, length = x.shape
    powers = np.empty((max(1, BLOCK // length), length), np.float32)
    for first in range(0, rows, len(powers)):
        some = powers[: rows - first]
        _powers(x, y, first, some)
        for k in range(len(some)):
            share = ONE / _sum(some, k)
            for i in range(length):
                y[first + k, i] = some[k, i] * share


@allocating
def log_softmax_tile(x, y):
    wide()
    rows, length = x.shape
    powers = np.empty((max(1, BLOCK // length), length), np.float32)
    for first in range(0, rows, len(powers)):
        some = powers[: rows - first]
        _powers(x, y, first, some)
        for k in range(len(some)):
            logarithm = np.log(_sum(some, k))
            for i in range(length):
                y[first + k, i] = -y[first + k, i] - logarithm


@kernel
def softmax_gradient_tile(g, y, gx):
    for k in range(len(g)):
        common = _dot(g, y, k)
        for i in range(g.shape[1]):
            gx[k, i] = (g[k, i] - common) * y[k, i]


@inlined
def _deviations(x, k, out):
    """Write a row minus its mean into `out`, and return the mean of the squares."""
    length = f32(x.shape[1])
    mean = _sum(x, k) / length
    for i in range(x.shape[1]):
        out[k, i] = x[k, i] - mean
    return _dot(out, out, k) / length


@kernel
def standardize_tile(x, eps, y, sizes):
    for k in range(len(x)):
        sizes[k] = _deviations(x, k, y) + eps[0]
        scale = ONE / np.sqrt(sizes[k])
        for i in range(x.shape[1]):
            y[k, i] *= scale


@kernel
def standardize_gradient_tile(g, x, y, eps, gx, sizes):
    length = f32(x.shape[1])
    for k in range(len(x)):
        sizes[k] = _deviations(x, k, gx) + eps[0]
        scale, mean, common = ONE / np.sqrt(sizes[k]), _sum(g, k) / length, _dot(g, y, k) / length
        for i in range(x.shape[1]):
            gx[k, i] = (g[k, i] - mean - y[k, i] * common) * scale
