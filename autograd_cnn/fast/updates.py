"""Updates of optimisers, in place, for a piece of a parameter together with its gradient and moments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.engine.registry import accelerators

from .choose import instead
from .memory import scratch
from .normalization import moments
from .threads import map_tiles
from .twins import kernel_set, twin

Array = NDArray[Any]
Work = tuple[float, float, int, tuple[Array, ...]]

PIECE = 1 << 17  # elements of a parameter in one update
SHARE = 1 << 20  # least elements per thread: starting one costs as much as updating 100 000


def accelerate_functions() -> None:
    """Register the faster functions for those that are no operations."""
    accelerators["optim.optimiser.update_all"] = instead(in_pieces)
    accelerators["optim.algorithms.sgd_update"] = instead(sgd)
    accelerators["optim.algorithms.adam_update"] = instead(adam)
    accelerators["optim.algorithms.rmsprop_update"] = instead(rmsprop)
    accelerators["nn.layers.moments"] = instead(moments)
    accelerators["engine.registry.kernels"] = instead(kernel_set)


def in_pieces(update: Callable[..., None], work: list[Work]) -> None:
    """Update parameters in pieces that fit the cache together with their gradients and slots, on all threads.

    So main memory is read and written once, and each thread needs scratch space for two pieces only.
    """
    pieces = [
        (*numbers, tuple(array[start : start + PIECE] for array in arrays))
        for *numbers, arrays in work
        for start in range(0, arrays[0].size, PIECE)
    ]
    count = max(1, sum(array.size for *_, arrays in work for array in arrays) // SHARE)

    def tile(index: int) -> None:
        for piece in pieces[index::count]:
            update(*piece)

    map_tiles(tile, count, products=False)


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


def rmsprop(
    p: Array, g: Array, v: Array, slots: Sequence[Array], lr: float, decay: float, alpha: float, eps: float,
    momentum: float, centered: bool,
) -> None:  # fmt: skip
    """Move `p` as the textbook does, without new arrays."""
    s, t = scratch("update", (2, p.size), p.dtype)
    if decay:
        g = np.add(g, np.multiply(p, decay, out=s), out=s)
    v *= alpha
    v += np.multiply(np.multiply(g, g, out=t), 1 - alpha, out=t)
    if centered:
        mean = slots[0]
        mean += np.multiply(np.subtract(g, mean, out=t), 1 - alpha, out=t)
        np.subtract(v, np.multiply(mean, mean, out=t), out=t)
        np.maximum(t, 0, out=t)  # rounding may leave less than 0
    np.sqrt(t if centered else v, out=t)
    t += eps
    np.divide(g, t, out=t)
    if momentum:
        held = slots[-1]
        held *= momentum
        held += t
        np.copyto(t, held)
    t *= lr
    p -= t
