"""Updates of optimisers, in place, for a piece of a parameter together with its gradient and moments."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .memory import scratch
from .twins import twin

Array = NDArray[Any]


@twin("updates.sgd", writes=("p", "v"))
def sgd(p: Array, g: Array, v: Array, coefficients: Array) -> None:
    """Move `p` against `g`, along the momentum `v`.

    Parameters
    ----------
    p, g : array (n,)
    v : array (n,), or (0,) if there is no momentum
    coefficients : array (4,)
        In the dtype of `p`: the learning rate, the multiple of `p` that is added to `g`, the factor of `v`, and the
        multiple of `v` that is added to `g`, or 0 where `v` itself takes the place of `g`.
    """
    lr, decay, momentum, ahead = coefficients
    s, t = scratch("update", (2, len(p)), p.dtype)
    if decay:
        g = np.add(g, np.multiply(p, decay, out=s), out=s)
    if len(v):
        v *= momentum
        v += g
        g = np.add(g, np.multiply(v, ahead, out=t), out=t) if ahead else v
    p -= np.multiply(g, lr, out=t)


@twin("updates.adam", writes=("p", "m", "v"))
def adam(p: Array, g: Array, m: Array, v: Array, coefficients: Array) -> None:
    """Move `p` against `g`, scaled by the running moments `m` and `v`.

    Parameters
    ----------
    p, g, m, v : array (n,)
    coefficients : array (8,)
        In the dtype of `p`: the factor that `p` is multiplied by first, the multiple of `p` that is added to `g`,
        1 - beta1, beta2, 1 - beta2, ``1 / sqrt(1 - beta2**step)``, eps and ``lr / (1 - beta1**step)``.
    """
    shrink, decay, fresh1, beta2, fresh2, root, eps, rate = coefficients
    s, t = scratch("update", (2, len(p)), p.dtype)
    if shrink != 1:
        p *= shrink
    if decay:
        g = np.add(g, np.multiply(p, decay, out=s), out=s)
    np.subtract(g, m, out=t)
    t *= fresh1
    m += t
    np.multiply(g, g, out=t)
    t *= fresh2
    v *= beta2
    v += t
    np.sqrt(v, out=t)
    t *= root
    t += eps
    np.divide(m, t, out=t)
    t *= rate
    p -= t
