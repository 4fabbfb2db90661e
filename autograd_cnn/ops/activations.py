"""Elementwise activations, and softmax over an axis: (...) -> (...)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from autograd_cnn.engine.primitive import primitive
from autograd_cnn.kernels import elementwise, rows
from autograd_cnn.kernels.tiles import SMALL
from autograd_cnn.ops.arithmetic import exp, where
from autograd_cnn.ops.reductions import sum
from autograd_cnn.ops.shapes import Axis

__all__ = [
    "gelu", "leaky_relu", "log_softmax", "normal_cdf", "relu", "relu_gradient", "sigmoid", "silu", "softmax",
    "softplus",
]  # fmt: skip


@primitive(rectifies=True)
def relu(x: Any) -> Any:
    """Keeps positive numbers and sets the rest to 0: ``max(x, 0)``.

    The gradient at 0 is 0. A NaN stays a NaN and passes `g` on.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> ag.relu(ag.Tensor([-1.0, 0.0, 2.0]))
    Tensor([0., 0., 2.], float64)
    """
    return elementwise.relu(x)


@primitive(examples=lambda rng: [(rng.normal(size=(2, 3)), rng.normal(size=(2, 3)))])
def relu_gradient(x: Any, y: Any) -> Any:
    """Keeps `x` where `y`, a result of `relu`, is positive, and sets the rest to 0."""
    return elementwise.relu_gradient(x, y)


# While the walk is recorded, `out` must be an operand, since a plain mask would be a constant.
relu.vjp(x=lambda g, out: where(out <= 0, 0, g) if isinstance(g, np.ndarray) else relu_gradient(g, out))
# For a transposed g, the kernel's result would differ from the rule's in layout, and sums over it in the last bits.
relu.over(
    x=lambda g, out: (
        elementwise.relu_gradient(g, out, into=g if g.flags.writeable else None)
        if g.flags.c_contiguous
        else where(out <= 0, 0, g)
    )
)
relu_gradient.vjp(x=lambda g, y: relu_gradient(g, y), y=lambda g: g * 0)


@primitive(examples=lambda rng: [(rng.normal(size=(2, 3)),), (rng.normal(size=(2, 3)), 0.2)])
def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """Keeps positive numbers and multiplies the rest by `negative_slope`.

    The gradient at 0 is `negative_slope`.
    """
    return np.where(x > 0, x, negative_slope * x)


leaky_relu.vjp(x=lambda g, x, negative_slope: where(x > 0, g, g * negative_slope))


@primitive
def sigmoid(x: Any) -> Any:
    """Squeezes every number into the range from 0 to 1, along an S-curve: ``1 / (1 + exp(-x))``.

    This is the logistic function, exact and without warnings at ``|x| = 1000``. From 17 on, its float32 value is 1 and
    its gradient 0. A loss on logits (`bce_with_logits`) keeps the gradient.
    """
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


sigmoid.vjp(x=lambda g, out: g * (out * (1 - out)))


@primitive
def softplus(x: Any) -> Any:
    """Rounds the corner of `relu`: ``log(1 + exp(x))``.

    It is exact and without warnings at ``|x| = 1000``.
    """
    return np.logaddexp(x, 0)


softplus.vjp(x=lambda g, x: g * sigmoid(x))


@primitive
def silu(x: Any) -> Any:
    """Multiplies every number by its own sigmoid: ``x * sigmoid(x)``.

    It is also called swish. At -inf it is NaN.
    """
    return x * sigmoid(x)


def _silu_slope(x: Any) -> Any:
    s = sigmoid(x)
    return s * (1 + x * (1 - s))


silu.vjp(x=lambda g, x: g * _silu_slope(x))


@lru_cache
def _scaled_tail(degree: int) -> Any:
    """Interpolates ``log(erfc(z)) + z**2``, z >= 0, by a Chebyshev series in ``t = 2 / (2 + z)`` from 0.1 to 1.

    This function of t is smooth, so the interpolation converges geometrically (Trefethen, Approximation Theory and
    Approximation Practice, chapter 8). The values to interpolate come from `math.erfc`.
    """

    def tail(t: Any) -> Any:
        z = 2 / t - 2
        return np.array([math.log(math.erfc(v)) + v * v for v in z])

    return np.polynomial.chebyshev.Chebyshev.interpolate(tail, degree, domain=[0.1, 1])


@primitive
def normal_cdf(x: Any) -> Any:
    """Computes the probability that a standard normal number is less than `x`: ``(1 + erf(x / sqrt 2)) / 2``."""
    x = np.asarray(x)
    z = np.minimum(np.abs(x), 100.0) * math.sqrt(0.5)
    t = np.maximum(2 / (2 + z), 0.1)
    tail = 0.5 * np.exp(_scaled_tail(34 if x.dtype == np.float64 else 20)(t) - z * z)
    return np.where(x >= 0, 1 - tail, np.where(x < 0, tail, x)).astype(x.dtype)


def _normal_density(x: Any) -> Any:
    return exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))


normal_cdf.vjp(x=lambda g, x: g * _normal_density(x))


@primitive
def gelu(x: Any) -> Any:
    """Multiplies every number by its `normal_cdf`: ``x * normal_cdf(x)``.

    At -inf it is NaN (D. Hendrycks, K. Gimpel, 2016).
    """
    return x * normal_cdf(x)


gelu.vjp(x=lambda g, x: g * (normal_cdf(x) + x * _normal_density(x)))


def _in_rows(shape: tuple[int, ...], dtype: Any, axis: Axis) -> bool:
    """Returns whether `axis` is the last of several axes, and the kernels support the shape and the dtype."""
    return axis in (-1, len(shape) - 1) and len(shape) > 1 and math.prod(shape) > 0 and dtype.char in "fd"


def _rows(rng: np.random.Generator) -> list[Any]:
    return [(rng.normal(size=(2, 3)),), (rng.normal(size=(2, 3)), 0)]


@primitive(examples=_rows)
def softmax(x: Any, axis: Axis = -1) -> Any:
    """Turns scores into probabilities that sum to 1 over `axis`: ``exp(x) / sum(exp(x))``.

    It is exact and without warnings at ``|x| = 1000``. A row of -inf gives NaN.
    """
    with np.errstate(invalid="ignore"):
        if _in_rows(x.shape, x.dtype, axis):
            return rows.softmax(x)
        e = np.exp(x - (np.max(x, axis=axis, keepdims=True) if np.size(x) else 0))
        return e / np.sum(e, axis=axis, keepdims=True)


def _softmax_rule(g: Any, out: Any, axis: Axis) -> Any:
    if isinstance(g, np.ndarray) and g.size >= SMALL and _in_rows(g.shape, g.dtype, axis):
        return rows.softmax_gradient(g, out)
    return out * (g - sum(g * out, axis, keepdims=True))


softmax.vjp(x=_softmax_rule)


@primitive(examples=_rows)
def log_softmax(x: Any, axis: Axis = -1) -> Any:
    """Turns scores into logarithms of probabilities, over `axis`: ``log(softmax(x))``.

    It is exact and without warnings at ``|x| = 1000``.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        if _in_rows(x.shape, x.dtype, axis):
            return rows.log_softmax(x)
        shifted = x - (np.max(x, axis=axis, keepdims=True) if np.size(x) else 0)
        return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


log_softmax.vjp(x=lambda g, out, axis: g - exp(out) * sum(g, axis, keepdims=True))
