"""Elementwise activations, and softmax over an axis: (...) -> (...)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from autograd_cnn.engine.primitive import primitive
from autograd_cnn.engine.registry import enrol
from autograd_cnn.kernels import elementwise, rows
from autograd_cnn.kernels.tiles import SMALL
from autograd_cnn.ops.arithmetic import clip, divide, exp, expm1, multiply, negative, square, subtract, tanh, where
from autograd_cnn.ops.joining import split
from autograd_cnn.ops.reductions import sum
from autograd_cnn.ops.shapes import Axis, X

__all__ = [
    "celu", "elu", "gelu", "glu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_softmax",
    "logsigmoid", "mish", "normal_cdf", "prelu", "relu", "relu6", "relu_gradient", "selu", "sigmoid", "silu", "softmax",
    "softmin", "softplus", "softshrink", "softsign", "tanhshrink", "threshold",
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


def _slopes(rng: np.random.Generator) -> list[Any]:
    return [(rng.normal(size=(2, 3)), *rest) for rest in ((), (0.2,), (rng.uniform(0.1, 2, 3),))]


@primitive(examples=_slopes)
def leaky_relu(x: Any, negative_slope: Any = 0.01) -> Any:
    """Keeps positive numbers and multiplies the rest by `negative_slope`, which may be a Tensor that is learnt.

    The gradient at 0 is `negative_slope`.
    """
    return np.where(x > 0, x, negative_slope * x)


leaky_relu.vjp(
    x=lambda g, x, negative_slope: where(x > 0, g, g * negative_slope),
    negative_slope=lambda g, x: g * where(x > 0, 0, x),
)


@primitive(examples=_slopes)
def elu(x: Any, alpha: Any = 1.0) -> Any:
    """Keeps positive numbers and bends the rest towards `-alpha`: ``alpha (exp(x) - 1)``.

    The gradient at 0 is `alpha` (D.-A. Clevert et al., 2015).
    """
    return np.where(np.greater(x, 0), x, alpha * np.expm1(np.minimum(x, 0)))


elu.vjp(  # the exponential of positive numbers could overflow
    x=lambda g, x, alpha: where(x > 0, g, g * (alpha * exp(where(x > 0, 0, x)))),
    alpha=lambda g, x: g * expm1(where(x > 0, 0, x)),
)


@primitive(examples=lambda rng: [(rng.normal(size=(2, 3)), *b) for b in ((), (-rng.random(3), rng.random((2, 1))))])
def hardtanh(x: Any, min_val: Any = -1.0, max_val: Any = 1.0) -> Any:
    """Limits every number to at least `min_val` and at most `max_val`.

    On the bounds the gradient is 0, other than that of `clip`.
    """
    return np.clip(x, min_val, max_val)


hardtanh.vjp(
    x=lambda g, x, min_val, max_val: where(np.logical_or(x <= min_val, x >= max_val), 0, g),
    min_val=lambda g, x, min_val: where(x <= min_val, g, 0),
    max_val=lambda g, x, max_val: where(x >= max_val, g, 0),
)


@primitive
def sigmoid(x: Any) -> Any:
    """Squeezes every number into the range from 0 to 1, along an S-curve: ``1 / (1 + exp(-x))``.

    This is the logistic function, exact and without warnings at ``|x| = 1000``. From 17 on, its float32 value is 1 and
    its gradient 0. A loss on logits (`bce_with_logits`) keeps the gradient.
    """
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, e) / (1 + e)


sigmoid.vjp(x=lambda g, out: g * (out * (1 - out)))


@primitive(examples=_slopes)
def softplus(x: Any, beta: Any = 1.0) -> Any:
    """Rounds the corner of `relu`: ``log(1 + exp(beta x)) / beta``.

    It is exact and without warnings at ``|x| = 1000``.
    """
    return np.logaddexp(np.multiply(x, beta), 0) / beta


softplus.vjp(
    x=lambda g, x, beta: g * sigmoid(x * beta),
    beta=lambda g, x, beta, out: g * ((x * sigmoid(x * beta) - out) / beta),
)


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
    z = np.minimum(np.abs(x), 100.0) * math.sqrt(0.5)
    t = np.maximum(2 / (2 + z), 0.1)
    tail = 0.5 * np.exp(_scaled_tail(34 if z.dtype == np.float64 else 20)(t) - z * z)
    return np.where(np.greater_equal(x, 0), 1 - tail, np.where(np.less(x, 0), tail, x)).astype(z.dtype)


normal_cdf.vjp(x=lambda g, x: g * (exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))))


@primitive
def softsign(x: Any) -> Any:
    """Squeezes every number into the range from -1 to 1: ``x / (1 + |x|)``."""
    return x / (1 + np.abs(x))


softsign.vjp(x=lambda g, x: g / square(1 + np.abs(x)))


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


def softmin(x: X, axis: Axis = -1) -> X:
    """Turns costs into probabilities that sum to 1 over `axis`: ``softmax(-x)``."""
    return softmax(negative(x), axis)


def silu(x: X) -> X:
    """Multiplies every number by its own sigmoid: ``x * sigmoid(x)``.

    It is also called swish. At -inf it is NaN.
    """
    return multiply(x, sigmoid(x))


def gelu(x: X, approximate: Literal["none", "tanh"] = "none") -> X:
    """Multiplies every number by its `normal_cdf`: ``x * normal_cdf(x)``.

    ``approximate="tanh"`` replaces the probability by ``(1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3))) / 2``, so that
    the result changes by less than 0.0005.

    At -inf it is NaN (D. Hendrycks, K. Gimpel, 2016).
    """
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate is {approximate!r}\nIt takes "none" or "tanh"')
    if approximate == "none":
        return multiply(x, normal_cdf(x))
    # (1 + tanh(u / 2)) / 2 is sigmoid(u)
    return multiply(x, sigmoid(multiply(x, math.sqrt(8 / math.pi) * (1 + 0.044715 * square(x)))))


def prelu(x: X, weight: Any) -> X:
    """Keeps positive numbers and multiplies the rest by `weight`: one number, or one for each channel (the last axis).

    The gradient of `x` at 0 is `weight` (K. He et al., 2015).
    """
    return leaky_relu(x, weight)


def celu(x: X, alpha: Any = 1.0) -> X:
    """Keeps positive numbers and bends the rest towards `-alpha`: ``alpha (exp(x / alpha) - 1)``, for alpha > 0.

    The gradient at 0 is 1 (J. T. Barron, 2017).
    """
    return multiply(elu(divide(x, alpha)), alpha)


def selu(x: X) -> X:
    """Scales `elu` so that layers of it bring activations to mean 0 and variance 1.

    The gradient at 0 is 1.758 (G. Klambauer et al., "Self-Normalizing Neural Networks", 2017).
    """
    return multiply(elu(x, 1.6732632423543772848), 1.0507009873554804934)


def relu6(x: X) -> X:
    """Limits every number to the range from 0 to 6. The gradient at 0 and at 6 is 0."""
    return hardtanh(x, 0, 6)


def hardsigmoid(x: X) -> X:
    """Rises from 0 to 1 along a straight line: ``relu6(x + 3) / 6``. The gradient at -3 and at 3 is 0."""
    return divide(relu6(np.add(x, 3)), 6)


def hardswish(x: X) -> X:
    """Multiplies every number by its `hardsigmoid`. The gradient at -3 is 0, and at 3 it is 1."""
    return multiply(x, hardsigmoid(x))


def mish(x: X) -> X:
    """Multiplies every number by the tanh of its `softplus` (D. Misra, 2019)."""
    return multiply(x, tanh(softplus(x)))


def logsigmoid(x: X) -> X:
    """Takes the logarithm of the sigmoid, exactly and without warnings: ``-softplus(-x)``."""
    return negative(softplus(negative(x)))


def tanhshrink(x: X) -> X:
    """Subtracts the hyperbolic tangent: ``x - tanh(x)``."""
    return subtract(x, tanh(x))


def softshrink(x: X, lambd: float = 0.5) -> X:
    """Moves every number towards 0 by `lambd`, but not past it. The gradient at ``|x| = lambd`` is 0."""
    if not lambd >= 0:
        raise ValueError(f"softshrink: lambd is {lambd}. It is 0 or more")
    return subtract(x, clip(x, -float(lambd), float(lambd)))


def hardshrink(x: X, lambd: float = 0.5) -> X:
    """Keeps numbers outside of ``[-lambd, lambd]`` and sets the rest to 0."""
    return where(np.logical_and(np.greater_equal(x, -lambd), np.less_equal(x, lambd)), 0, x)


def threshold(x: X, threshold: float, value: Any) -> X:
    """Keeps numbers greater than `threshold` and sets the rest to `value`."""
    return where(np.less_equal(x, threshold), value, x)


def glu(x: X, axis: int = -1) -> X:
    """Multiplies the first half along `axis` by the sigmoid of the second half (Y. N. Dauphin et al., 2016)."""
    if np.shape(x)[axis] % 2:
        raise ValueError(f"glu: axis {axis} of {np.shape(x)} cannot be halved. It needs an even length")
    first, second = split(x, 2, axis)
    return multiply(first, sigmoid(second))


enrol(globals())
