"""Polynomials, given by their coefficients."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from autograd_cnn.engine.checks import count
from autograd_cnn.engine.fitting import precision
from autograd_cnn.engine.primitive import primitive
from autograd_cnn.ops.arithmetic import power
from autograd_cnn.ops.axes import normal
from autograd_cnn.ops.shapes import reshape
from autograd_cnn.vocabulary.arrays import pad

__all__ = ["polyadd", "polyder", "polyint", "polyval", "roots", "vander"]


def polyval(p: Any, x: Any) -> Any:
    """Evaluates the polynomial with the coefficients `p`, highest power first, at `x`."""
    return reduce(lambda y, coefficient: y * x + coefficient, p, np.zeros_like(x))


def polyadd(a1: Any, a2: Any) -> Any:
    """Adds polynomials, given by their coefficients, highest power first."""
    longer = len(a2) - len(a1)
    return pad(a1, (max(longer, 0), 0)) + pad(a2, (max(-longer, 0), 0))


def polyder(p: Any, m: int = 1) -> Any:
    """Differentiates a polynomial `m` times."""
    for _ in range(min(count(m, "m", 0), len(p))):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


def polyint(p: Any, m: int = 1, k: float = 0) -> Any:
    """Integrates a polynomial `m` times, with one constant `k`."""
    for _ in range(count(m, "m", 0)):
        p = pad(p / np.arange(len(p), 0, -1), (0, 1), constant_values=float(k))
    return p


@primitive(complex=True, examples=normal([3], [4]))
def roots(p: Any) -> Any:
    """Computes the roots of a polynomial, given by its coefficients, highest power first.

    The gradient is undefined where roots are equal, and then inf or NaN.
    """
    return np.roots(p)


def _roots_rule(g: Any, p: Any, out: Any) -> Any:
    """Where p(r) = 0, a step dp moves the root by ``-dp(r) / p'(r)``."""
    degrees = np.arange(len(p) - 1, -1, -1, dtype=precision(p.dtype))
    powers = out[:, None] ** degrees
    return -(powers.mT @ (g / (powers[:, 1:] @ (p * degrees)[:-1])))


roots.vjp(p=_roots_rule)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Raises each element of a vector to the powers N - 1 ... 0, in columns, or 0 ... N - 1 if `increasing`."""
    powers = np.arange(np.size(x) if N is None else N)
    return power(reshape(x, (-1, 1)), powers if increasing else powers[::-1])
