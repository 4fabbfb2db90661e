"""Compiled twins of the passes in `kernels.elementwise`."""

from __future__ import annotations

from . import kernel


@kernel
def relu_tile(x, y):
    for i in range(x.size):
        v = x[i]
        y[i] = 0 if v <= 0 else v


@kernel
def mask_tile(y, out):
    for i in range(out.size):
        out[i] = 0 if y[i] <= 0 else out[i]
