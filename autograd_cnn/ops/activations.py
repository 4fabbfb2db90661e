"""Elementwise activations, and softmax over an axis: (...) -> (...)."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from autograd_cnn.engine.arrays import is_complex
from autograd_cnn.engine.declare import primitive
from autograd_cnn.ops.arithmetic import add, clip, divide, exp, expm1, minimum, multiply, negative, square, where
from autograd_cnn.ops.axes import Axis, X, as_float
from autograd_cnn.ops.reductions import sum

__all__ = [
    "elu", "gelu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_softmax", "logsigmoid", "mish",
    "normal_cdf", "prelu", "relu", "relu6", "relu_gradient", "selu", "sigmoid", "silu", "softmax", "softplus",
    "softsign",
]  # fmt: skip


@primitive(elementwise=True, rectifies=True)
def relu(x: Any) -> Any:
    """Keeps positive numbers and sets the rest to 0: ``max(x, 0)``.

    The gradient at 0 is 0. A NaN stays a NaN and passes `g` on.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> ag.relu(ag.Tensor([-1.0, 0.0, 2.0]))
    Tensor([0., 0., 2.], float64)
    """
    return np.maximum(x, 0)


@primitive(elementwise=True)
def relu_gradient(x: Any, y: Any) -> Any:
    """Keeps `x` where `y`, a result of `relu`, is positive, and sets the rest to 0."""
    # A product with a mask would turn an infinite x into NaN.
    return np.where(y <= 0, 0, x).astype(np.result_type(x, y), copy=False)


relu.vjp(x=lambda g, out: relu_gradient(g, out))
relu_gradient.vjp(x=lambda g, y: relu_gradient(g, y), y=lambda g: g * 0)


@primitive(elementwise=True)
def leaky_relu(x: Any, negative_slope: Any = 0.01) -> Any:
    """Keeps positive numbers and multiplies the rest by `negative_slope`, which may be a Tensor that is learnt.

    The gradient at 0 is `negative_slope`.
    """
    return np.where(np.greater(x, 0), x, np.multiply(x, negative_slope))


leaky_relu.vjp(
    x=lambda g, x, negative_slope: where(x > 0, g, g * negative_slope),
    negative_slope=lambda g, x: g * where(x > 0, 0, x),
)


@primitive(elementwise=True)
def elu(x: Any, alpha: Any = 1.0) -> Any:
    """Keeps positive numbers and bends the rest towards `-alpha`: ``alpha (exp(x) - 1)``.

    The gradient at 0 is `alpha` (D.-A. Clevert et al., 2015).
    """
    return np.where(np.greater(x, 0), x, alpha * np.expm1(np.minimum(x, 0)))


elu.vjp(  # the exponential of positive numbers could overflow
    x=lambda g, x, alpha: where(x > 0, g, g * (alpha * exp(where(x > 0, 0, x)))),
    alpha=lambda g, x: g * expm1(where(x > 0, 0, x)),
)


def _limits(x: Any, min_val: Any, max_val: Any) -> tuple[Any, ...]:
    if min_val is None or max_val is None:
        raise TypeError(f"min_val is {min_val}, max_val is {max_val}, want numbers")
    if np.any(np.greater(min_val, max_val)):
        raise ValueError(f"min_val is {min_val!r:.40}, greater than max_val, {max_val!r:.40}\nExchange them")
    return x, min_val, max_val


@primitive(elementwise=True, check=_limits)
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


@primitive(complex=True, elementwise=True)
def sigmoid(x: Any) -> Any:
    """Squeezes every number into the range from 0 to 1, along an S-curve: ``1 / (1 + exp(-x))``.

    This is the logistic function, exact and without warnings at ``|x| = 1000``. From 17 on, its float32 value is 1 and
    its gradient 0. A loss on logits (`bce_with_logits`) keeps the gradient.
    """
    if is_complex(x):
        return np.exp(np.minimum(x.real, 0) + 1j * x.imag * (x.real < 0)) / (1 + np.exp(np.where(x.real < 0, x, -x)))
    e = np.exp(-np.abs(x))  # at most 1, while exp(-x) could overflow
    return np.maximum(e, np.greater_equal(x, 0)) / (1 + e)


sigmoid.vjp(x=lambda g, out: g * (out * (1 - out)))


@primitive(elementwise=True)
def softplus(x: Any, beta: Any = 1.0) -> Any:
    """Rounds the corner of `relu`: ``log(1 + exp(beta x)) / beta``.

    It is exact and without warnings at ``|x| = 1000``.
    """
    z = np.multiply(x, beta)
    return (np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))) / beta


softplus.vjp(
    x=lambda g, x, beta: g * sigmoid(x * beta),
    beta=lambda g, x, beta: g * (_entropy(x * beta) / -beta / beta),  # x * sigmoid(x * beta) - out, also at infinity
)


def _entropy(z: Any) -> Any:
    """Compute the entropy of a choice whose two sides have the probabilities ``sigmoid(z)`` and ``sigmoid(-z)``."""
    z = where(z > 0, -z, z)
    p = sigmoid(z)
    return softplus(z) - where(p == 0, 0, z) * p


@primitive(elementwise=True)
def normal_cdf(x: Any) -> Any:
    """Computes the probability that a standard normal number is less than `x`: ``(1 + erf(x / sqrt 2)) / 2``."""
    return (0.5 * erfc_of(np.multiply(x, -math.sqrt(0.5)))).astype(np.result_type(x, 1.0))  # 1 + erf would lose digits


erfc_of = np.vectorize(math.erfc, otypes=[float])


def _density(x: Any) -> Any:
    return exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))


normal_cdf.vjp(x=lambda g, x: g * _density(x))


@primitive(elementwise=True)
def softsign(x: Any) -> Any:
    """Squeezes every number into the range from -1 to 1: ``x / (1 + |x|)``."""
    return x / (1 + np.abs(x))


softsign.vjp(x=lambda g, x: g / square(1 + abs(x)))


@primitive(batch="axes")
def softmax(x: Any, axis: Axis = -1) -> Any:
    """Turns scores into probabilities that sum to 1 over `axis`: ``exp(x) / sum(exp(x))``.

    It is exact and without warnings at ``|x| = 1000``. A row of -inf gives NaN.
    """
    with np.errstate(invalid="ignore"):
        e = np.exp(x - (np.max(x, axis=axis, keepdims=True) if np.size(x) else 0))
        return e / np.sum(e, axis=axis, keepdims=True)


softmax.vjp(x=lambda g, out, axis: out * (g - sum(g * out, axis, keepdims=True)))


@primitive(batch="axes")
def log_softmax(x: Any, axis: Axis = -1) -> Any:
    """Turns scores into logarithms of probabilities, over `axis`: ``log(softmax(x))``.

    It is exact and without warnings at ``|x| = 1000``.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        shifted = x - (np.max(x, axis=axis, keepdims=True) if np.size(x) else 0)
        return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


log_softmax.vjp(x=lambda g, out, axis: g - exp(out) * sum(g, axis, keepdims=True))


FLAT = 1000.0  # from here on, silu and gelu have the slope 1; at infinity, 0 * x would be NaN


@primitive(elementwise=True)
def silu(x: Any) -> Any:
    """Multiplies every number by its own sigmoid: ``x * sigmoid(x)``.

    It is also called swish. At -inf it is NaN.
    """
    return x * sigmoid.raw(x)


silu.vjp(x=lambda g, x: g * (sigmoid(x) * (1 + minimum(x, FLAT) * sigmoid(-x))))  # 1 - sigmoid(x) loses digits


def _kind(x: Any, approximate: str) -> tuple[Any, ...]:
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate is {approximate!r}\nIt takes "none" or "tanh"')
    return x, approximate


@primitive(elementwise=True, check=_kind)
def gelu(x: Any, approximate: Literal["none", "tanh"] = "none") -> Any:
    """Multiplies every number by its `normal_cdf`: ``x * normal_cdf(x)``.

    ``approximate="tanh"`` replaces the probability by ``(1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3))) / 2``, so that
    the result changes by less than 0.0005.

    At -inf it is NaN (D. Hendrycks, K. Gimpel, 2016).
    """
    if approximate == "none":
        return x * normal_cdf.raw(x)
    a = np.clip(x, -100, 100)  # beyond, the sigmoid is 0 or 1, and squares could overflow
    return x * sigmoid.raw(a * (LINEAR + CUBIC * (a * a)))  # (1 + tanh(u / 2)) / 2 is sigmoid(u)


LINEAR, CUBIC = math.sqrt(8 / math.pi), math.sqrt(8 / math.pi) * 0.044715


def _gelu_rule(g: Any, x: Any, approximate: str) -> Any:
    if approximate == "none":
        return g * (normal_cdf(x) + minimum(x, FLAT) * _density(x))
    x = clip(x, -100, 100)
    u = x * (LINEAR + CUBIC * (x * x))
    return g * (sigmoid(u) * (1 + x * (LINEAR + 3 * CUBIC * (x * x)) * sigmoid(-u)))  # 1 - sigmoid(u) loses digits


gelu.vjp(x=_gelu_rule)


def prelu(x: X, weight: Any) -> X:
    """Keeps positive numbers and multiplies the rest by `weight`: one number, or one for each channel (the last axis).

    The gradient of `x` at 0 is `weight` (K. He et al., 2015).
    """
    return leaky_relu(x, weight)


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
    return divide(relu6(add(as_float(x), 3)), 6)


@primitive(elementwise=True)
def hardswish(x: Any) -> Any:
    """Multiplies every number by its `hardsigmoid`. The gradient at -3 is 0, and at 3 it is 1."""
    return x * (np.clip(np.add(x, 3), 0, 6) / 6)


hardswish.vjp(x=lambda g, x: g * where(x >= 3, 1, where(x <= -3, 0, x / 3 + 0.5)))


@primitive(elementwise=True)
def mish(x: Any) -> Any:
    """Multiplies every number by the tanh of its `softplus` (D. Misra, 2019).

    At -inf it is NaN.
    """
    return x * np.tanh(softplus.raw(x))


def _mish_rule(g: Any, x: Any) -> Any:
    """The tanh of log(1 + w), where w is exp(x), is n / (n + 2), where n is w (w + 2)."""
    x = minimum(x, 30)  # from here on, the slope is 1
    w = exp(x)
    n = w * (w + 2)
    return g * ((n + x * (4 * w * (1 + w) / (n + 2))) / (n + 2))


mish.vjp(x=_mish_rule)


def logsigmoid(x: X) -> X:
    """Takes the logarithm of the sigmoid, exactly and without warnings: ``-softplus(-x)``."""
    return negative(softplus(negative(as_float(x))))
