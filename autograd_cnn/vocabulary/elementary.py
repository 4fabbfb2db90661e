"""NumPy's other elementary functions: (...) -> (...), broadcasting like NumPy.

Most are a line each: NumPy's ufunc, what it does, and its rules. The others are functions of primitives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial, reduce
from typing import Any

import numpy as np

from autograd_cnn.engine.arrays import as_floats, is_complex
from autograd_cnn.engine.declare import primitive
from autograd_cnn.engine.numpy_calls import peek, plain, plain_array
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.ops.arithmetic import abs, chain, choice, exp, live, power, quotient, ratio, remainder, sign_of, where
from autograd_cnn.ops.axes import in_double
from autograd_cnn.ops.indexing import scatter, take

__all__ = [
    "acos", "acosh", "angle", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "asin", "asinh",
    "atan", "atan2", "atanh", "bincount", "cbrt", "copysign", "cosh", "deg2rad", "degrees", "divmod", "exp2", "fabs",
    "float_power", "fmax", "fmin", "fmod", "frexp", "geomspace", "hypot", "interp", "ldexp", "linspace", "log2",
    "log10", "logaddexp", "logaddexp2", "logspace", "mod", "modf", "nan_to_num", "positive", "rad2deg", "radians",
    "real_if_close", "reciprocal", "select", "sinc", "sinh", "tan", "unwrap",
]  # fmt: skip


def _ufunc(ufunc: Any, doc: str, **rules: Any) -> Primitive[...]:
    """Make a primitive of NumPy's function.

    Those that NumPy has for complex numbers are holomorphic, except those that choose.
    """
    inputs = getattr(ufunc, "nin", 1)  # `sinc` is no ufunc
    function: Any = (lambda x, y: ufunc(x, y)) if inputs == 2 else (lambda x: ufunc(x))
    holomorphic = "DD->D"[2 - inputs :] in getattr(ufunc, "types", ["D->D"]) and choice not in rules.values()
    declare = primitive(elementwise=True, complex=holomorphic, name=ufunc.__name__)
    made: Primitive[...] = declare(function)
    made.__name__, made.__qualname__, made.__doc__ = made.name, made.name, doc
    made.vjp(**rules)
    return made


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
positive = _ufunc(np.positive, "Copies the numbers.", x=lambda g: g)
fabs = _ufunc(np.fabs, "Drops the sign.\n\nThe gradient at 0 and NaN is 0.", x=lambda g, x: g * sign_of(x))
reciprocal = _ufunc(np.reciprocal, "Computes ``1 / x``.", x=lambda g, out: chain(g, -out * out))
cbrt = _ufunc(np.cbrt, "Takes the cube root.", x=lambda g, out: chain(g, 1 / (3 * out * out)))
exp2 = _ufunc(np.exp2, "Raises 2 to the power `x`.", x=lambda g, out: chain(g, out * math.log(2)))
log2 = _ufunc(np.log2, "Takes the logarithm to base 2.", x=lambda g, x: chain(g, 1 / math.log(2) / x))
log10 = _ufunc(np.log10, "Takes the logarithm to base 10.", x=lambda g, x: chain(g, 1 / math.log(10) / x))
deg2rad = _ufunc(np.deg2rad, "Converts degrees to radians.", x=lambda g: g * (math.pi / 180))
rad2deg = _ufunc(np.rad2deg, "Converts radians to degrees.", x=lambda g: g * (180 / math.pi))
tan = _ufunc(np.tan, "Takes the tangent of an angle in radians.", x=lambda g, out: chain(g, 1 + out * out))
arcsin = _ufunc(np.arcsin, "Takes the angle from -pi/2 to pi/2 whose sine is `x`.",
                x=lambda g, x: chain(g, 1 / _leg(x)))
arccos = _ufunc(np.arccos, "Takes the angle from 0 to pi whose cosine is `x`.", x=lambda g, x: chain(g, -1 / _leg(x)))
arctan = _ufunc(np.arctan, "Takes the angle whose tangent is `x`.", x=lambda g, x: g / (1 + x * x))
sinh = _ufunc(np.sinh, "Takes the hyperbolic sine.", x=lambda g, x: chain(g, np.cosh(x)))
cosh = _ufunc(np.cosh, "Takes the hyperbolic cosine.", x=lambda g, x: chain(g, np.sinh(x)))
arcsinh = _ufunc(np.arcsinh, "Inverts the hyperbolic sine.",
                 x=lambda g, x: g / (np.sqrt(x * x - -1) if x.dtype.kind == "c" else np.hypot(1, x)))
arccosh = _ufunc(np.arccosh, "Inverts the hyperbolic cosine.",
                 x=lambda g, x: chain(g, 1 / (np.sqrt(x - 1) * np.sqrt(x - -1))))
arctanh = _ufunc(np.arctanh, "Inverts the hyperbolic tangent.", x=lambda g, x: chain(g, 1 / ((1 - x) * (1 + x))))
sinc = _ufunc(np.sinc, "Computes ``sin(pi * x) / (pi * x)``, which is 1 at 0.",
              x=lambda g, x, out: g * _sinc_slope(x, out))

hypot = _ufunc(np.hypot, "Computes the hypotenuse ``sqrt(x * x + y * y)``.\n\nThe gradient at (0, 0) is 0.",
               x=lambda g, x, y, out: chain(g, _lean(x, y, live(out, g))),
               y=lambda g, x, y, out: chain(g, _lean(y, x, live(out, g))))
arctan2 = _ufunc(np.arctan2, "Takes the angle of the point `x` above and `y` right of the origin, from -pi to pi.\n\n"
                 "The gradient at (0, 0) is 0.",
                 x=lambda g, x, y: chain(g, _turn(g, y, x, y)), y=lambda g, x, y: chain(g, -_turn(g, x, x, y)))
logaddexp = _ufunc(np.logaddexp, "Computes ``log(exp(x) + exp(y))`` without overflow.",
                   x=lambda g, x, y: chain(g, 1 / (1 + exp(_rise(x, y)))),
                   y=lambda g, x, y: chain(g, 1 / (1 + exp(_rise(y, x)))))
logaddexp2 = _ufunc(np.logaddexp2, "Computes ``log2(2**x + 2**y)`` without overflow.",
                    x=lambda g, x, y: chain(g, 1 / (1 + exp2(_rise(x, y)))),
                    y=lambda g, x, y: chain(g, 1 / (1 + exp2(_rise(y, x)))))
fmax = _ufunc(np.fmax, "Takes the larger of `x` and `y`, or the one that is a number.\n\n"
              "Where they are equal, each receives half of the gradient.",
              x=choice, y=lambda g, x, y, out: choice(g, y, x, out))
fmin = _ufunc(np.fmin, "Takes the smaller of `x` and `y`, or the one that is a number.\n\n"
              "Where they are equal, each receives half of the gradient.",
              x=choice, y=lambda g, x, y, out: choice(g, y, x, out))
copysign = _ufunc(np.copysign, "Gives `x` the sign of `y`.\n\n"
                  "The gradient of `x` is 0 where `x` is 0 or NaN, that of `y` is 0 everywhere.",
                  x=lambda g, x, out: g * (sign_of(x) * sign_of(out)), y=lambda g: where(False, g, 0))
fmod = _ufunc(np.fmod, "Computes the remainder of ``x / y`` with the sign of `x`.",
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
    return np.floor_divide(x, y), remainder(x, y)


def modf(x: Any) -> tuple[Any, Any]:
    """Returns the fraction, and the integral part as a plain array. The fraction of an infinity is 0."""
    finite = where(np.isinf(x), 0, x)
    return finite - np.trunc(finite), np.trunc(x)


def frexp(x: Any) -> tuple[Any, Any]:
    """Returns the mantissa, from 0.5 to 1, and the exponent of 2 as a plain array."""
    exponent = np.frexp(plain(x))[1]
    return ldexp(x, -exponent), exponent


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
    """Interpolates linearly between the points (`xp`, `fp`), with gradients for all three.

    At a point the slope is that to its right, at the last one that to its left. Outside, the gradient of `x` is 0.
    """
    if np.ndim(xp) != 1 or np.shape(xp) != np.shape(fp):
        raise ValueError(f"interp: xp is {np.shape(xp)}, fp {np.shape(fp)}. Both are vectors of one length")
    (x, xp, fp), last = as_floats(x, xp, fp), len(xp) - 1
    i = np.clip(np.searchsorted(xp, x, "right") - 1, 0, max(last - 1, 0))
    x0, y0, x1, y1 = (take(p, k) for k in (i, np.minimum(i + 1, last)) for p in (xp, fp))
    back = np.logical_and(np.not_equal(x, x0), ~np.isfinite(y0) | np.isinf(x0) | np.isinf(x))  # from the other point
    start, y = where(back, x1, x0), where(back, y1, y0)
    part, rise = ratio(where(np.isinf(x), 0, x) - start, x1 - x0), y1 - y0
    still = ~np.isnan(x) & (np.equal(x, start) | np.equal(y0, y1)) & ~(np.isfinite(part) & np.isfinite(rise))
    out = y + where(still, 0, part) * where(still, 0, rise)
    out = where(np.less(x, take(xp, 0)), take(fp, 0) if left is None else left, out)
    return where(np.greater(x, take(xp, last)), take(fp, last) if right is None else right, out)


def bincount(x: Any, weights: Any = None, minlength: int = 0) -> Any:
    """Adds up the `weights` of each integer in `x`. Without weights it counts, into a plain array."""
    sums = np.bincount(plain(x), plain(weights), minlength)
    return sums if weights is None else scatter(in_double(weights), np.asarray(plain(x)), sums.shape)


def _steps(span: Any, num: int, endpoint: bool) -> Any:
    return np.linspace(0, 1, num, endpoint, dtype=np.result_type(span.dtype, 1.0)).reshape(-1, *(1,) * np.ndim(span))


def linspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True) -> Any:
    """Returns `num` numbers from `start` to `stop`, evenly spaced along a new first axis."""
    span = np.subtract(*as_floats(stop, start))
    return start + span * _steps(span, num, endpoint)


def logspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0) -> Any:
    """Returns `num` numbers from ``base**start`` to ``base**stop``, each a constant multiple of the one before."""
    return power(base, linspace(start, stop, num, endpoint))


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True) -> Any:
    """Returns `num` numbers from `start` to `stop`, each a constant multiple of the one before."""
    ratio = np.divide(stop, start)
    return start * power(ratio, _steps(ratio, num, endpoint))


def unwrap(p: Any, discont: float | None = None, axis: int = -1, *, period: float = 2 * math.pi) -> Any:
    """Adds multiples of `period` along `axis`, so that no step exceeds half of it. The gradient is that of `p`."""
    wrapped = plain_array(p)
    return p + (np.unwrap(wrapped, discont, axis, period=period) - wrapped)


# Other names

acos, asin, atan, acosh, asinh, atanh, atan2 = arccos, arcsin, arctan, arccosh, arcsinh, arctanh, arctan2
degrees, radians, mod = rad2deg, deg2rad, remainder
