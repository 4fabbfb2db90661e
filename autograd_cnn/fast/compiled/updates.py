"""Compiled twins of the updates in `optim.algorithms`."""

from __future__ import annotations

import numpy as np

from . import kernel


@kernel
def sgd_update(p, g, v, coefficients):
    lr, decay, momentum, ahead = coefficients[0], coefficients[1], coefficients[2], coefficients[3]
    if v.size == 0:
        for i in range(p.size):
            p[i] -= (g[i] + p[i] * decay if decay != 0 else g[i]) * lr
        return
    for i in range(p.size):
        slope = g[i] + p[i] * decay if decay != 0 else g[i]
        velocity = v[i] * momentum + slope
        v[i] = velocity
        p[i] -= (slope + velocity * ahead if ahead != 0 else velocity) * lr


@kernel
def adam_update(p, g, m, v, coefficients):
    shrink, decay, fresh1, beta2 = coefficients[0], coefficients[1], coefficients[2], coefficients[3]
    fresh2, root, eps, rate = coefficients[4], coefficients[5], coefficients[6], coefficients[7]
    for i in range(p.size):
        old = p[i] * shrink
        slope = g[i] + old * decay if decay != 0 else g[i]
        # Kept in variables: the compiler does not vectorise a loop that reads from an array what it wrote there.
        first = m[i] + (slope - m[i]) * fresh1
        second = v[i] * beta2 + slope * slope * fresh2
        m[i] = first
        v[i] = second
        p[i] = old - first / (np.sqrt(second) * root + eps) * rate
