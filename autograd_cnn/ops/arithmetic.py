"""Elementwise arithmetic and functions: (...) -> (...), broadcasting like NumPy.

Rules leave broadcasting to the walk. Every rule is linear in `g`: an incoming zero gives exactly zero, even where the
slope is infinite. `chain` alone ensures this.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from autograd_cnn.engine.arrays import FLOATS, NUMBERS, in_precision, is_complex
from autograd_cnn.engine.declare import primitive
from autograd_cnn.engine.mode import no_grad
from autograd_cnn.engine.numpy_calls import plain, recorded
from autograd_cnn.engine.primitive import Primitive

__all__ = [
    "abs", "absolute", "add", "astype", "clip", "conj", "conjugate", "cos", "divide", "exp", "expm1", "finite_product",
    "imag", "log", "log1p", "maximum", "minimum", "multiply", "negative", "pow", "power", "quotient", "real",
    "remainder", "root", "sgn", "sin", "sqrt", "square", "subtract", "tanh", "true_divide", "where",
]  # fmt: skip

Array = TypeVar("Array")  # a Tensor or an array


def chain(g: Any, slope: Any) -> Any:
    """Return ``g * slope``, but 0 where `g` is 0 and the slope is not finite.

    Masking on ``g == 0`` alone would be wrong: the rule would no longer be differentiable in `g`, and a jvp made of
    two vjps starts from ``g = 0``. If `g` is no constant, the second derivative is undefined there, and NaN.
    """
    if np.isfinite(slope).all():
        return g * slope
    return finite_product(g, slope) if recorded(g) is not None else g * where(_undefined(g, slope), 0, slope)


def _undefined(x: Any, slope: Any) -> Any:
    return np.logical_and(np.equal(x, 0), ~np.isfinite(slope))


@primitive(complex=True, elementwise=True)
def finite_product(x: Any, slope: Any) -> Any:
    """Multiplies, with 0 where `x` is 0 and `slope` is not finite.

    The gradient of `slope` is NaN there.
    """
    return (np.where(_undefined(x, slope), x, slope) * x).astype(np.result_type(x, slope, 0.0), copy=False)


finite_product.vjp(
    x=lambda g, x, slope: np.where(_undefined(x, slope), 0, g * slope),
    slope=lambda g, x, slope: np.where(_undefined(x, slope), np.nan, g * x),
)


@primitive(complex=True, elementwise=True)
def quotient(x: Any, y: Any) -> Any:
    """Divides, with 0 where `y` is 0.

    It is the slope of a length. The gradient is NaN there.
    """
    return (x / (y + np.equal(y, 0)) * np.not_equal(y, 0)).astype(np.result_type(x, y, 0.0), copy=False)


quotient.vjp(
    x=lambda g, y: np.where(np.equal(y, 0), np.nan, g / y),
    y=lambda g, y, out: np.where(np.equal(y, 0), np.nan, -g * out / y),
)


def live(y: Any, g: Any) -> Any:
    """Return `y`, but 1 where `g` is 0 and a constant: nothing depends on a `quotient` there, of any order."""
    return np.where(np.equal(g, 0), 1, y) if recorded(y) is not None and recorded(g) is None else y


@primitive(elementwise=True)
def root(x: Any, n: Any) -> Any:
    """Takes the root of degree `n`: ``x ** (1 / n)``.

    The gradient at 0 is 0.
    """
    return np.power(x, 1 / n)


# Not `**`, which has other bits for a number, as in a derived program, than for an array of one
root.vjp(x=lambda g, n, out: g * quotient(1 / n, np.power(live(out, g), n - 1)))


@primitive(complex=True, elementwise=True, symbol="+")
def add(x: Any, y: Any) -> Any:
    """Adds, element by element: ``x + y``.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> x = ag.Tensor([1.0, 2.0], requires_grad=True)
    >>> ag.add(x, 1).sum().backward()
    >>> x.grad
    array([1., 1.])
    """
    return np.add(x, y)


add.vjp(x=lambda g: g, y=lambda g: g)


@primitive(complex=True, elementwise=True, symbol="-")
def subtract(x: Any, y: Any) -> Any:
    """Subtracts, element by element: ``x - y``."""
    return np.subtract(x, y)


subtract.vjp(x=lambda g: g, y=lambda g: -g)


@primitive(complex=True, elementwise=True, symbol="*")
def multiply(x: Any, y: Any) -> Any:
    """Multiplies, element by element: ``x * y``."""
    return np.multiply(x, y)


multiply.vjp(x=lambda g, y: g * y, y=lambda g, x: g * x)


@primitive(complex=True, elementwise=True, symbol="/")
def divide(x: Any, y: Any) -> Any:
    """Divides, element by element: ``x / y``.

    Division by 0 follows IEEE 754. Its gradient is 0 for ``g = 0``.
    """
    return np.divide(x, y)


divide.vjp(
    x=lambda g, y: chain(g, divide(g.dtype.type(1), y)),  # 1 in g's dtype: 1 / (a plain y) would be float64
    y=lambda g, y, out: chain(g, -divide(out, y)),  # not x / (y * y), since y * y could underflow
)


@primitive(elementwise=True, symbol="%")
def remainder(x: Any, y: Any) -> Any:
    """Computes ``x % y``, the remainder with the sign of `y`."""
    return np.remainder(x, y)


remainder.vjp(x=lambda g: g, y=lambda g, x, y: chain(g, -np.floor_divide(x, y)))


@primitive(complex=True, elementwise=True, symbol="-")
def negative(x: Any) -> Any:
    """Changes the sign: ``-x``."""
    return np.negative(x)


negative.vjp(x=lambda g: -g)


def exponent_slope(x: Any, y: Any) -> Any:
    """Compute d x**y / d x without a logarithm: 0 where y = 0, for every x."""
    return y * power(x, y - 1) if np.all(y) else where(np.equal(y, 0), 0, y * power(x, y - 1))


def base_slope(x: Any, y: Any, out: Any) -> Any:
    """Compute d x**y / d y: 0 at x = 0 for y >= 0, NaN for x < 0."""
    flat = np.logical_and(np.equal(x, 0), np.greater_equal(y.real if is_complex(y) else y, 0))
    return where(flat, 0, out * log(where(flat, out.dtype.type(1), x)))  # 1 in out's dtype: log(1) would be float64


@primitive(complex=True, elementwise=True, symbol="**")
def power(x: Any, y: Any) -> Any:
    """Raises `x` to the power `y`: ``x ** y``.

    If `y` is a constant, the gradient does not need ``log(x)``. d/dy is NaN for x < 0.
    """
    return np.power(x, y)


power.vjp(x=lambda g, x, y: chain(g, exponent_slope(x, y)), y=lambda g, x, y, out: chain(g, base_slope(x, y, out)))


@primitive(complex=True, elementwise=True)
def exp(x: Any) -> Any:
    """Raises e = 2.718... to the power `x`."""
    return np.exp(x)


exp.vjp(x=lambda g, out: chain(g, out))


@primitive(complex=True, elementwise=True)
def log(x: Any) -> Any:
    """Takes the natural logarithm: the power to which e must be raised to give `x`.

    At 0 the logarithm is -inf, and the gradient is inf, or 0 for ``g = 0``. At a complex 0 it is NaN, as it has there
    no direction.
    """
    return np.log(x)


log.vjp(x=lambda g, x: chain(g, divide(1, x)))


@primitive(complex=True, elementwise=True)
def sqrt(x: Any) -> Any:
    """Takes the square root.

    The gradient at 0 is inf, or 0 for ``g = 0``. At a complex 0 it is NaN, since there it has no direction.

    ``sqrt(sum(x * x))`` has no derivative at 0, and its gradient there is NaN: add 1e-12 under the root.
    """
    return np.sqrt(x)


sqrt.vjp(x=lambda g, out: chain(g, divide(0.5, out)))


@primitive(complex=True, elementwise=True)
def square(x: Any) -> Any:
    """Multiplies every number by itself: ``x * x``."""
    return np.square(x)


square.vjp(x=lambda g, x: chain(g, 2 * x))


def conjugated(x: Any) -> Any:
    """Return complex numbers conjugated, and real ones as they are."""
    return np.conj(x) if is_complex(x) else x


def sign_of(x: Any) -> Any:
    """Return the sign of `x`, and 0 at 0 and NaN."""
    return where(np.isnan(x), 0, np.sign(x))


@primitive(elementwise=True, complex=True)
def abs(x: Any) -> Any:
    """Drops the sign: ``|x|``, the length of a complex number.

    The gradient at 0 and NaN is 0.
    """
    return np.abs(x)


abs.vjp(x=lambda g, x: g * (np.conj(quotient(x, live(abs(x), g))) if is_complex(x) else sign_of(x)))


@primitive(moves=True, batch="elementwise")
def real(x: Any) -> Any:
    """Takes the real part of complex numbers."""
    return np.real(x)


@primitive(moves=True, batch="elementwise")
def imag(x: Any) -> Any:
    """Takes the imaginary part of complex numbers."""
    return np.imag(x)


real.vjp(x=lambda g: g)  # the walk makes it complex
imag.vjp(x=lambda g: g * -1j)


def sgn(x: Any) -> Any:
    """Divides complex numbers by their lengths; takes the sign of real ones, into a plain array. It is 0 at 0."""
    return ratio(x, abs(x)) if is_complex(x) else np.sign(x)


@primitive(complex=True, elementwise=True)
def tanh(x: Any) -> Any:
    """Squeezes every number into the range from -1 to 1, along an S-curve: the hyperbolic tangent.

    Exact at ``|x| = 1000``. float32 is rounded from float64: near -1 and 1 the gradient depends on the last digit.
    """
    return np.tanh(x, dtype=float).astype(np.float32) if np.result_type(x) == np.float32 else np.tanh(x)


tanh.vjp(x=lambda g, out: g * ((1 - out) * (1 + out)))  # 1 - out * out would lose digits where out is near 1


def choice(g: Any, x: Any, y: Any, out: Any) -> Any:
    """Pass `g` to `x` where `out` is `x` or NaN, and half of it where `y` is equal: the rule of maximum and fmax."""
    return where(np.equal(x, y), 0.5 * g, where(np.logical_or(x == out, np.isnan(out)), g, 0))  # 0 for an infinite g


@primitive(elementwise=True, rectifies=True)
def maximum(x: Any, y: Any) -> Any:
    """Takes the larger of `x` and `y`, element by element.

    The result is NaN where either is NaN. Where they are equal, each receives half of the gradient.
    """
    return np.maximum(x, y)


maximum.vjp(x=choice, y=lambda g, x, y, out: choice(g, y, x, out))


def of_numpy(ufunc: Any, doc: str, **rules: Any) -> Primitive[...]:
    """Make a primitive of NumPy's function; it belongs to the file of its last rule.

    Those that NumPy has for complex numbers are holomorphic, except those that choose.
    """
    inputs = getattr(ufunc, "nin", 1)  # `sinc` is no ufunc
    function: Any = (lambda x, y: ufunc(x, y)) if inputs == 2 else (lambda x: ufunc(x))
    function.__module__ = [*rules.values()][-1].__module__
    holomorphic = "DD->D"[2 - inputs :] in getattr(ufunc, "types", ["D->D"]) and choice not in rules.values()
    declare = primitive(elementwise=True, complex=holomorphic, name=ufunc.__name__)
    made: Primitive[...] = declare(function)
    made.__name__, made.__qualname__, made.__doc__ = made.name, made.name, doc
    made.vjp(**rules)
    return made


# fmt: off
expm1 = of_numpy(np.expm1, "Computes ``exp(x) - 1`` without loss of digits near 0.",
                 x=lambda g, x: chain(g, exp(x)))  # out + 1 would lose digits near -1
log1p = of_numpy(np.log1p, "Computes ``log(1 + x)`` without loss of digits near 0.",
                 x=lambda g, x: chain(g, divide(1, 1 + x)))
sin: Primitive[...] = of_numpy(np.sin, "Takes the sine of an angle in radians.", x=lambda g, x: g * cos(x))
conjugate: Primitive[...] = of_numpy(np.conjugate, "Changes the sign of the imaginary part.", x=lambda g: conjugate(g))
cos: Primitive[...] = of_numpy(np.cos, "Takes the cosine of an angle in radians.", x=lambda g, x: -g * sin(x))
minimum = of_numpy(np.minimum, "Takes the smaller of `x` and `y`, element by element.\n\n"
                   "The result is NaN where either is NaN. Where they are equal, each receives half of the gradient.",
                   x=choice, y=lambda g, x, y, out: choice(g, y, x, out))
# fmt: on


@primitive(complex=True, elementwise=True)
def where(condition: Any, x: Any, y: Any) -> Any:
    """Takes `x` where `condition` holds, else `y`.

    The branch that is not taken receives exactly 0, even if it is NaN or inf.
    """
    return np.where(condition, x, y)


where.vjp(x=lambda g, condition: where(condition, g, 0), y=lambda g, condition: where(condition, 0, g))


def ratio(x: Any, y: Any) -> Any:
    """Compute ``x / y``, but 0 where y = 0."""
    return where(y == 0, 0, x / where(y == 0, 1, y))


@primitive(elementwise=True)
def clip(x: Any, min: Any = None, max: Any = None) -> Any:
    """Limits every number to at least `min` and at most `max`. Where `min` exceeds `max`, the result is `max`.

    Inside and on the bounds `x` receives the gradient, outside the bound does. A NaN in any of them passes none on.
    """
    if not isinstance(x, np.ndarray):  # NumPy would make a number float64
        x = np.asarray(x, np.result_type(*(v for v in (x, min, max) if v is not None)))
    return np.clip(x, min, max)


def _within(x: Any, min: Any, max: Any) -> Any:
    """Return where `x` is from `min` to `max`, which may be None, and never where it is NaN."""
    return np.logical_and(x >= (-np.inf if min is None else min), x <= (np.inf if max is None else max))


clip.vjp(
    x=lambda g, x, min, max: where(_within(x, min, max), g, 0),
    min=lambda g, x, min, max: where(np.logical_and(x < min, _within(min, None, max)), g, 0),
    max=lambda g, x, min, max: where((x if min is None else maximum(x, min)) > max, g, 0),
)


@primitive(name="astype", complex="only as the dtype says", batch="elementwise", integers=True)
def converted(x: Any, dtype: Any) -> Any:
    """Converts the numbers to another dtype of floats or complex numbers."""
    return x.astype(dtype)


converted.vjp(x=lambda g: g)  # the walk converts it to the dtype of `x`


def astype(x: Array, dtype: Any) -> Array:
    """Converts the numbers to another dtype.

    The gradient is converted back. Integers and bools have no gradient, so the result has no history.
    """
    if np.dtype(dtype).kind not in NUMBERS:
        raise TypeError(f"dtype is {np.dtype(dtype)}, want one of numbers")
    if is_complex(x) and np.dtype(dtype).kind != "c":
        raise TypeError(f"x is {np.asarray(plain(x)).dtype}, dtype {np.dtype(dtype)}\nIts real part: x.real")
    if np.dtype(dtype).kind in FLOATS:
        return converted(x, dtype)
    with no_grad():
        return converted(x, dtype)


def in_dtype_of(g: Any, x: Any) -> Any:
    """Convert `x` to the precision of `g`, in rules of operations that take `dtype`."""
    dtype = in_precision(x.dtype, g.dtype)
    return x if x.dtype == dtype else astype(x, dtype)


def masked(x: Any, mask: Any, fill: float = 0) -> Any:
    """Put `fill` where `mask` does not hold."""
    return x if mask is True else where(mask, x, fill)


absolute, conj, pow, true_divide = abs, conjugate, power, divide
