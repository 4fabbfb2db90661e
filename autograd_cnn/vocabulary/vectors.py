"""Products of vectors, alone or in stacks: cross products, vectors with matrices, convolutions; and polynomials.

A polynomial is the vector of its coefficients, highest power first.
"""

from __future__ import annotations

from functools import reduce
from typing import Any, Literal, get_args

import numpy as np

from autograd_cnn.engine.checks import count
from autograd_cnn.engine.fitting import precision
from autograd_cnn.engine.primitive import primitive
from autograd_cnn.ops.arithmetic import conjugated, multiply, power
from autograd_cnn.ops.axes import fixed, normal
from autograd_cnn.ops.products import matmul
from autograd_cnn.ops.reductions import sum
from autograd_cnn.ops.shapes import axes_last, expand_dims, flip, moveaxis, reshape, squeeze
from autograd_cnn.vocabulary.arrays import pad, roll

__all__ = [
    "convolve", "correlate", "cross", "matvec", "polyadd", "polyder", "polyint", "polyval", "roots", "vander", "vecdot",
    "vecmat",
]  # fmt: skip


Mode = Literal["full", "same", "valid"]


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    """Multiplies vectors of 3 components to vectors at right angles to both: the cross product.

    For vectors of 2 components, add a third of 0.
    """
    axisa, axisb, axisc = (axisa, axisb, axisc) if axis is None else (axis,) * 3
    a, b = axes_last(a, axisa), axes_last(b, axisb)
    if (np.shape(a)[-1], np.shape(b)[-1]) != (3, 3):
        raise ValueError(f"cross: want vectors of 3 components, got {np.shape(a)} and {np.shape(b)}")
    return moveaxis(roll(a, -1, -1) * roll(b, 1, -1) - roll(a, 1, -1) * roll(b, -1, -1), -1, axisc)


def vecdot(x1: Any, x2: Any, axis: int = -1) -> Any:
    """Sums products over one axis of both: the dot products of stacks of vectors. `x1` is conjugated."""
    return sum(multiply(conjugated(axes_last(x1, axis)), axes_last(x2, axis)), -1)


def matvec(x1: Any, x2: Any) -> Any:
    """Multiplies stacks of matrices by stacks of vectors."""
    return squeeze(matmul(x1, expand_dims(x2, -1)), -1)


def vecmat(x1: Any, x2: Any) -> Any:
    """Multiplies stacks of vectors, which are conjugated, by stacks of matrices."""
    return squeeze(matmul(conjugated(expand_dims(x1, -2)), x2), -2)


def _convolve_rule(g: Any, other: Any, extent: int) -> Any:
    """Convolve `g`, completed by zeros to what mode "full" would give, with the other vector backwards."""
    missing = len(other) + extent - 1 - len(g)
    return convolve(pad(g, (missing // 2, missing - missing // 2)), flip(other), "valid")


@primitive(
    complex=True,
    examples=lambda rng: [(rng.normal(size=n), rng.normal(size=3), mode) for mode in get_args(Mode) for n in (2, 5)],
    flops=lambda a_shape, v_shape: 2 * a_shape[0] * v_shape[0],
)
def convolve(a: Any, v: Any, mode: Mode = "full") -> Any:
    """Slides one vector, reversed, along the other, and sums the products at each place.

    `mode` is ``"full"``, ``"same"`` or ``"valid"``, as in NumPy.
    """
    return np.convolve(a, v, mode)


convolve.vjp(
    a=lambda g, a_shape, v: _convolve_rule(g, v, a_shape[0]),
    v=lambda g, a, v_shape: _convolve_rule(g, a, v_shape[0]),
)


def correlate(a: Any, v: Any, mode: Mode = "valid") -> Any:
    """Slides `v`, conjugated, along `a`, and sums the products at each place."""
    v = conjugated(v)
    return flip(convolve(v, flip(a), mode)) if len(a) < len(v) else convolve(a, flip(v), mode)


# Polynomials


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
    if count(m, "m", 0) > 10_000:
        raise ValueError(f"m is {m}, which gives a polynomial of {m} coefficients more")
    for _ in range(m):
        p = pad(p / np.arange(len(p), 0, -1), (0, 1), constant_values=float(fixed(k, "k")))
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
