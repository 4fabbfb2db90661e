"""Compiled twins of the passes in `kernels.elementwise`.

Exponentials of float32 numbers are polynomials in float64, of which the compiler makes vector instructions; a call of
the C library for each number takes ten times as long. The results are rounded once, so they are within 0.7 units in the
last place of float32, over its whole range.
"""

from __future__ import annotations

import math

import numpy as np

from . import inlined, kernel

SHIFT = 1.5 * 2**52  # added to a number, it leaves the nearest whole number in the last bits
LOG2_E, LN_2, DENSITY = 1 / math.log(2), math.log(2), 1 / math.sqrt(2 * math.pi)


@kernel
def relu_tile(x, y):
    for i in range(x.size):
        v = x[i]
        y[i] = 0 if v <= 0 else v


@kernel
def mask_tile(y, out):
    for i in range(out.size):
        out[i] = 0 if y[i] <= 0 else out[i]


@kernel
def leaky_relu_tile(g, x, slope, out):
    for i in range(x.size):
        out[i] = g[i] if x[i] > 0 else g[i] * slope


@inlined
def _exp(x):
    """``exp(x)`` for x <= 0, to 5e-9 of its value; 0 below -150."""
    shifted = x * LOG2_E + SHIFT
    r = x - (shifted - SHIFT) * LN_2
    p = 1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r / 5040))))))
    power_of_2 = np.int64((np.float64(shifted).view(np.int64) + 1023) << 52).view(np.float64)
    return np.float64(0) if x < -150 else p * power_of_2


@inlined
def _sigmoid(x):
    e = _exp(-abs(x))
    return (1 if x > 0 else e) / (1 + e)


@kernel
def sigmoid_tile(x, out):
    for i in range(x.size):
        out[i] = _sigmoid(np.float64(x[i]))


@kernel
def silu_tile(x, out):
    for i in range(x.size):
        v = np.float64(x[i])
        out[i] = v * _sigmoid(v)


@kernel
def silu_gradient_tile(g, x, out):
    for i in range(x.size):
        v = np.float64(x[i])
        s = _sigmoid(v)
        out[i] = g[i] * (s * (1 + v * (1 - s)))


@inlined
def _normal_cdf(x, bell):
    """The polynomial of `kernels.elementwise.MILLS`, times ``bell = exp(-x * x / 2)``."""
    t = 3 / (3 + abs(x))
    p = 0.27381198290642883 + t * (-0.31665223294266437 + t * (0.15067987699014934 + t * -0.0269703755084688))
    p = 0.10649860654058083 + t * (0.13942394932803248 + t * (-0.09431399756411991 + t * p))
    p = 4.980949114413713e-06 + t * (0.13284107655758687 + t * (0.13467613807469453 + t * p))
    return 1 - bell * p if x > 0 else bell * p


@kernel
def gelu_tile(x, out):
    for i in range(x.size):
        v = np.float64(x[i])
        out[i] = v * _normal_cdf(v, _exp(v * v * -0.5))


@kernel
def gelu_gradient_tile(g, x, out):
    for i in range(x.size):
        v = np.float64(x[i])
        bell = _exp(v * v * -0.5)
        out[i] = g[i] * (_normal_cdf(v, bell) + v * bell * DENSITY)
