"""Batch normalisation and dropout."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from autograd_cnn.engine.primitive import primitive
from autograd_cnn.engine.registry import enrol
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.kernels import normalization as kernels
from autograd_cnn.ops.arithmetic import divide, multiply, sqrt
from autograd_cnn.ops.random import generator
from autograd_cnn.ops.reductions import mean, sum

__all__ = ["batch_norm", "dropout"]

X = TypeVar("X", bound=Any)


def _statistics(x: Any, eps: float) -> tuple[Any, Any]:
    """Returns `x` less its mean, and 1 / its standard deviation, per channel (last axis)."""
    axes = tuple(range(len(x.shape) - 1))
    centred = x - mean(x, axes)
    return centred, divide(1, sqrt(mean(centred * centred, axes) + eps))


def _common(*arrays: Any) -> list[Any]:
    """Converts arrays to their common dtype."""
    dtype = np.result_type(*arrays)
    return [a.astype(dtype, copy=False) for a in arrays]


@primitive(
    byproducts=("mean_x", "variance_x"),
    examples=lambda rng: [
        (rng.normal(size=(4, 2, 3, 2)), rng.normal(size=2), rng.normal(size=2)),
        (rng.normal(size=(5, 3)), rng.normal(size=3), rng.normal(size=3), 1e-3),
    ],
)
def batch_norm(x: Any, w: Any, b: Any, eps: float = 1e-5) -> Any:
    """Brings each channel to mean 0 and variance 1, then scales and shifts it.

    Channels are the last axis. Mean and variance are taken over all others.

    Parameters
    ----------
    x : (..., C)
    w, b : (C,)
        Scale and shift.
    eps : float
        Added to the variance under the root, so that a constant channel gives the shift, and finite gradients.

    Returns
    -------
    (..., C)

    Raises
    ------
    ValueError
        If `w` or `b` does not have shape (C,).

    References
    ----------
    S. Ioffe, C. Szegedy, "Batch Normalization", 2015.
    """
    if w.shape != x.shape[-1:] or b.shape != x.shape[-1:]:
        raise ValueError(
            f"x {x.shape} has {x.shape[-1]} channels, w is {w.shape}, b {b.shape}\nBoth want ({x.shape[-1]},)"
        )
    x, w, b = _common(x, w, b)
    mean, variance = kernels.moments(x)
    scale = 1 / np.sqrt(variance + x.dtype.type(eps))
    return kernels.normalise(x, mean, scale * w, b), mean, variance


def _batch_norm_rules(g: Any, x: Any, w: Any, eps: float, mean_x: Any, variance_x: Any) -> tuple[Any, Any, Any]:
    """gx = w * s * (g - mean(g) - n * mean(g * n)), where n = (x - mean) * s, s = 1 / sqrt(variance + eps)"""
    if isinstance(g, np.ndarray) and g.dtype == x.dtype == variance_x.dtype == w.dtype:
        return kernels.batch_norm_gradient(g, x, mean_x, variance_x, w, eps)
    # For derivatives of derivatives the rule is recorded, with mean and scale as functions of x.
    axes = tuple(range(len(x.shape) - 1))
    centred, scale = _statistics(x, eps)
    normal = centred * scale
    gw, gb = sum(g * normal, axes), sum(g, axes)
    count = max(x.size // max(x.shape[-1], 1), 1)
    return (scale * w) * (g - gb / count - normal * (gw / count)), gw, gb


batch_norm.vjp(x=_batch_norm_rules, w=_batch_norm_rules, b=_batch_norm_rules)


def dropout(x: X, p: float = 0.5, rng: np.random.Generator | None = None) -> X:
    """Sets a share `p` of the elements of `x` to 0, and scales the others by 1 / (1 - p).

    The mask is a constant of the graph, drawn once. To draw it again, restore the state of `rng`.

    Parameters
    ----------
    x : (...)
    p : float
        Probability of dropping, in [0, 1].
    rng : numpy.random.Generator, optional
        Draws the mask. Default: the generator that ``ag.nn.seed`` restarts.

    Returns
    -------
    (...)

    Raises
    ------
    ValueError
        If `p` is not a probability.

    References
    ----------
    N. Srivastava et al., "Dropout", 2014.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p is {p}, want a probability in [0, 1]")
    if p == 0:
        return multiply(x, 1)
    kept = generator(rng, "dropout").random(x.shape, np.float32) >= p
    mask = kept * np.result_type(x.dtype, np.float32).type(1 / (1 - p) if p < 1 else 0)
    return multiply(x, Tensor(mask, name="mask") if isinstance(x, Tensor) else mask)


enrol(globals())
