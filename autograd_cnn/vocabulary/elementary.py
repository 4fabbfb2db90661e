"""NumPy's other elementary functions, choices and interpolation; polynomials as vectors of coefficients.

Most elementary functions are a line each: NumPy's ufunc, what it does, and its rules. They broadcast like NumPy's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial, reduce
from typing import Any, Literal

import numpy as np

from autograd_cnn.engine.arrays import as_floats, is_complex
from autograd_cnn.engine.declare import primitive
from autograd_cnn.engine.numpy_calls import peek, plain
from autograd_cnn.ops import arithmetic
from autograd_cnn.ops.arithmetic import chain, choice, conjugated, live, of_numpy, power, quotient, sign_of, where
from autograd_cnn.ops.axes import in_double
from autograd_cnn.vocabulary.arrays import pad

__all__ = [
    "acos", "acosh", "angle", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "asin", "asinh",
    "atan", "atan2", "atanh", "cbrt", "convolve", "copysign", "correlate", "cosh", "deg2rad", "degrees", "divmod",
    "exp2", "fabs", "float_power", "fmax", "fmin", "fmod", "frexp", "hypot", "interp", "ldexp", "log2", "log10",
    "logaddexp", "logaddexp2", "mod", "modf", "nan_to_num", "polyval", "positive", "rad2deg", "radians",
    "real_if_close", "reciprocal", "select", "sinc", "sinh", "tan", "vander",
]  # fmt: skip


# Elementary functions


def _turn(g: Any, side: Any, x: Any, y: Any) -> Any:
    """Compute ``side / (x**2 + y**2)`` without overflow, but 0 at the origin and at infinity."""
    h = live(np.hypot(x, y), g)
    turn = where(np.isinf(h), 0, quotient(quotient(side, h), h))
    return where(np.logical_or(np.isnan(x), np.isnan(y)), np.nan, turn)


def _lean(x: Any, y: Any, out: Any) -> Any:
    """Compute ``x / out``, the slope of hypot, but 0 at the origin. Infinities count alike, and the rest as 0."""
    side = np.sign(x)
    return where(np.isinf(x), where(np.isinf(y), side * 0.5**0.5, side), where(np.isinf(y), 0, quotient(x, out)))


def _leg(x: Any) -> Any:
    """Compute ``sqrt(1 - x * x)``; for complex `x` on the side of the cut that the sign of its 0 says, as W. Kahan.

    ``x + 1`` would lose that sign, which ``x - -1`` keeps: the imaginary part of 1 is +0.
    """
    return np.sqrt(-(x - 1)) * np.sqrt(x - -1) if is_complex(x) else np.sqrt((1 - x) * (1 + x))


def _sinc_slope(x: Any, out: Any) -> Any:
    near, s = np.less(abs(x), 0.1), (math.pi * x) * (math.pi * x)
    series = 1 - s / 10 * (1 - s / 28 * (1 - s / 54 * (1 - s / 88)))  # the difference below would cancel
    series = x * series * (-math.pi * math.pi / 3)
    return where(near, series, (np.cos(math.pi * x) - out) / where(near, 1, x))


def _rise(x: Any, y: Any) -> Any:
    """Compute ``y - x``, and 0 where both are inf: they share the gradient, as in logsumexp."""
    rise = y - x
    return where(np.logical_and(x == np.inf, y == np.inf), 0, rise) if np.isnan(rise).any() else rise


# fmt: off
positive = of_numpy(np.positive, "Copies the numbers.", x=lambda g: g)
fabs = of_numpy(np.fabs, "Drops the sign.\n\nThe gradient at 0 and NaN is 0.", x=lambda g, x: g * sign_of(x))
reciprocal = of_numpy(np.reciprocal, "Computes ``1 / x``.", x=lambda g, out: chain(g, -out * out))
cbrt = of_numpy(np.cbrt, "Takes the cube root.", x=lambda g, out: chain(g, 1 / (3 * out * out)))
exp2 = of_numpy(np.exp2, "Raises 2 to the power `x`.", x=lambda g, out: chain(g, out * math.log(2)))
log2 = of_numpy(np.log2, "Takes the logarithm to base 2.", x=lambda g, x: chain(g, 1 / math.log(2) / x))
log10 = of_numpy(np.log10, "Takes the logarithm to base 10.", x=lambda g, x: chain(g, 1 / math.log(10) / x))
deg2rad = of_numpy(np.deg2rad, "Converts degrees to radians.", x=lambda g: g * (math.pi / 180))
rad2deg = of_numpy(np.rad2deg, "Converts radians to degrees.", x=lambda g: g * (180 / math.pi))
tan = of_numpy(np.tan, "Takes the tangent of an angle in radians.", x=lambda g, out: chain(g, 1 + out * out))
arcsin = of_numpy(np.arcsin, "Takes the angle from -pi/2 to pi/2 whose sine is `x`.",
                x=lambda g, x: chain(g, 1 / _leg(x)))
arccos = of_numpy(np.arccos, "Takes the angle from 0 to pi whose cosine is `x`.", x=lambda g, x: chain(g, -1 / _leg(x)))
arctan = of_numpy(np.arctan, "Takes the angle whose tangent is `x`.", x=lambda g, x: g / (1 + x * x))
sinh = of_numpy(np.sinh, "Takes the hyperbolic sine.", x=lambda g, x: chain(g, np.cosh(x)))
cosh = of_numpy(np.cosh, "Takes the hyperbolic cosine.", x=lambda g, x: chain(g, np.sinh(x)))
arcsinh = of_numpy(np.arcsinh, "Inverts the hyperbolic sine.",
                 x=lambda g, x: g / (np.sqrt(x * x - -1) if x.dtype.kind == "c" else np.hypot(1, x)))
arccosh = of_numpy(np.arccosh, "Inverts the hyperbolic cosine.",
                 x=lambda g, x: chain(g, 1 / (np.sqrt(x - 1) * np.sqrt(x - -1))))
arctanh = of_numpy(np.arctanh, "Inverts the hyperbolic tangent.", x=lambda g, x: chain(g, 1 / ((1 - x) * (1 + x))))
sinc = of_numpy(np.sinc, "Computes ``sin(pi * x) / (pi * x)``, which is 1 at 0.",
              x=lambda g, x, out: g * _sinc_slope(x, out))

hypot = of_numpy(np.hypot, "Computes the hypotenuse ``sqrt(x * x + y * y)``.\n\nThe gradient at (0, 0) is 0.",
               x=lambda g, x, y, out: chain(g, _lean(x, y, live(out, g))),
               y=lambda g, x, y, out: chain(g, _lean(y, x, live(out, g))))
arctan2 = of_numpy(np.arctan2, "Takes the angle of the point `x` above and `y` right of the origin, from -pi to pi.\n\n"
                 "The gradient at (0, 0) is 0.",
                 x=lambda g, x, y: chain(g, _turn(g, y, x, y)), y=lambda g, x, y: chain(g, -_turn(g, x, x, y)))
logaddexp = of_numpy(np.logaddexp, "Computes ``log(exp(x) + exp(y))`` without overflow.",
                   x=lambda g, x, y: chain(g, 1 / (1 + np.exp(_rise(x, y)))),
                   y=lambda g, x, y: chain(g, 1 / (1 + np.exp(_rise(y, x)))))
logaddexp2 = of_numpy(np.logaddexp2, "Computes ``log2(2**x + 2**y)`` without overflow.",
                    x=lambda g, x, y: chain(g, 1 / (1 + exp2(_rise(x, y)))),
                    y=lambda g, x, y: chain(g, 1 / (1 + exp2(_rise(y, x)))))
fmax = of_numpy(np.fmax, "Takes the larger of `x` and `y`, or the one that is a number.\n\n"
              "Where they are equal, each receives half of the gradient.",
              x=choice, y=lambda g, x, y, out: choice(g, y, x, out))
fmin = of_numpy(np.fmin, "Takes the smaller of `x` and `y`, or the one that is a number.\n\n"
              "Where they are equal, each receives half of the gradient.",
              x=choice, y=lambda g, x, y, out: choice(g, y, x, out))
copysign = of_numpy(np.copysign, "Gives `x` the sign of `y`.\n\n"
                  "The gradient of `x` is 0 where `x` is 0 or NaN, that of `y` is 0 everywhere.",
                  x=lambda g, x, out: g * (sign_of(x) * sign_of(out)), y=lambda g: where(False, g, 0))
fmod = of_numpy(np.fmod, "Computes the remainder of ``x / y`` with the sign of `x`.",
              x=lambda g: g, y=lambda g, x, y, out: chain(g, -np.rint((x - out) / y)))
# fmt: on


def angle(z: Any, deg: bool = False) -> Any:
    """Takes the angle of complex numbers, from -pi to pi, or in degrees. The gradient at 0 is 0."""
    return arctan2(np.imag(z), np.real(z)) * (180 / math.pi if deg else 1)


def real_if_close(x: Any, tol: float = 100) -> Any:
    """Takes the real part if no imaginary part exceeds `tol` times the precision, or else copies."""
    return positive(x) if is_complex(np.real_if_close(plain(x), tol)) else np.real(x)


@primitive(batch="elementwise")
def ldexp(x: Any, y: Any) -> Any:
    """Computes ``x * 2**y`` for integers `y`."""
    return np.ldexp(x, y)


ldexp.vjp(x=lambda g, y: ldexp(g, y))


def float_power(x: Any, y: Any) -> Any:
    """Raises `x` to the power `y` as floats, without converting float32 to float64."""
    dtypes = peek(x).dtype, peek(y).dtype
    return power(*map(in_double, (x, y)) if np.float16 in dtypes or "f" not in {d.kind for d in dtypes} else (x, y))


def divmod(x: Any, y: Any) -> tuple[Any, Any]:
    """Returns the floor of the quotient, as a plain array, and the remainder."""
    return np.floor_divide(x, y), arithmetic.remainder(x, y)


def modf(x: Any) -> tuple[Any, Any]:
    """Returns the fraction, and the integral part as a plain array. The fraction of an infinity is 0."""
    finite = where(np.isinf(x), 0, x)
    return finite - np.trunc(finite), np.trunc(x)


def frexp(x: Any) -> tuple[Any, Any]:
    """Returns the mantissa, from 0.5 to 1, and the exponent of 2 as a plain array."""
    exponent = np.frexp(plain(x))[1]
    return ldexp(x, -exponent), exponent


# Other names

acos, asin, atan, acosh, asinh, atanh, atan2 = arccos, arcsin, arctan, arccosh, arcsinh, arctanh, arctan2
degrees, radians, mod = rad2deg, deg2rad, arithmetic.remainder


# Choices, interpolation, spacing


def nan_to_num(x: Any, *, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """Replaces NaN and infinities, by default by 0 and the largest numbers. The gradient there is 0."""
    if is_complex(x):
        repaired = partial(nan_to_num, nan=nan, posinf=posinf, neginf=neginf)
        return repaired(np.real(x)) + 1j * repaired(np.imag(x))
    return where(np.isfinite(x), x, np.nan_to_num(plain(x), nan=nan, posinf=posinf, neginf=neginf))


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    """Takes each element from the first choice whose condition holds, else `default`."""
    cases = [*zip(condlist, choicelist, strict=True)]
    return reduce(lambda rest, case: where(case[0], case[1], rest), reversed(cases), default)


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None) -> Any:
    """Interpolates linearly between the points (`xp`, `fp`), which are finite, with gradients for all three.

    At a point the slope is that to its right, at the last one that to its left. Outside, the gradient of `x` is 0.
    """
    if np.ndim(xp) != 1 or np.shape(xp) != np.shape(fp):
        raise ValueError(f"interp: xp is {np.shape(xp)}, fp {np.shape(fp)}. Both are vectors of one length")
    (x, xp, fp), last = as_floats(x, xp, fp), len(xp) - 1
    i = np.clip(np.searchsorted(xp, x, "right") - 1, 0, max(last - 1, 0))
    x0, y0, x1, y1 = (np.take(p, k) for k in (i, np.minimum(i + 1, last)) for p in (xp, fp))
    out = y0 + arithmetic.ratio(where(np.isinf(x), 0, x) - x0, x1 - x0) * (y1 - y0)
    out = where(np.less(x, np.take(xp, 0)), np.take(fp, 0) if left is None else left, out)
    return where(np.greater(x, np.take(xp, last)), np.take(fp, last) if right is None else right, out)


# Sliding products, and polynomials as the vectors of their coefficients

Ends = Literal["full", "same", "valid"]


def _convolve_rule(g: Any, other: Any, shape: tuple[int, ...]) -> Any:
    """Convolve `g`, completed by zeros to what mode "full" would give, with the other vector backwards."""
    missing = other.size + int(np.prod(shape)) - 1 - len(g)
    return convolve(pad(g, (missing // 2, missing - missing // 2)), np.flip(np.reshape(other, (-1,))), "valid")


@primitive(complex=True, flops=lambda a_shape, v_shape: 2 * a_shape[0] * v_shape[0])
def convolve(a: Any, v: Any, mode: Ends = "full") -> Any:
    """Slides one vector, reversed, along the other, and sums the products at each place.

    `mode` is ``"full"``, ``"same"`` or ``"valid"``, as in NumPy.
    """
    return np.convolve(a, v, mode)


convolve.vjp(
    a=lambda g, a_shape, v: _convolve_rule(g, v, a_shape),
    v=lambda g, a, v_shape: _convolve_rule(g, a, v_shape),
)


def correlate(a: Any, v: Any, mode: Ends = "valid") -> Any:
    """Slides `v`, conjugated, along `a`, and sums the products at each place."""
    v = conjugated(v)
    return np.flip(convolve(v, np.flip(a), mode)) if len(a) < len(v) else convolve(a, np.flip(v), mode)


def polyval(p: Any, x: Any) -> Any:
    """Evaluates the polynomial with the coefficients `p`, highest power first, at `x`."""
    return reduce(lambda y, coefficient: y * x + coefficient, p, np.zeros_like(x))


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """Raises each element of a vector to the powers N - 1 ... 0, in columns, or 0 ... N - 1 if `increasing`."""
    powers = np.arange(np.size(x) if N is None else N)
    return power(np.reshape(x, (-1, 1)), powers if increasing else powers[::-1])
