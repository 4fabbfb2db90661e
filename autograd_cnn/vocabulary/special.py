"""SciPy's special functions: ``ag.special.gammaln`` is ``scipy.special.gammaln``, which takes Tensors, too.

Each is a line: its name and parameters in SciPy, what it does, and its rules. SciPy computes the values, except where a
formula stands. A parameter without a rule, such as the order of a Bessel function, has no gradient, as in PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from inspect import Parameter, Signature, signature
from typing import Any

import numpy as np

from autograd_cnn.engine.declare import primitive
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.environment import needs
from autograd_cnn.ops.activations import erfc_of, logsigmoid, sigmoid
from autograd_cnn.ops.arithmetic import chain, exp, in_dtype_of, log, log1p, where
from autograd_cnn.ops.reductions import logsumexp


def _of(call: str, doc: str, formula: Callable[..., Any] | None = None, **slopes: Callable[..., Any]) -> Primitive[...]:
    """Make a primitive of SciPy's function, whose `call` is ``"beta a b"``, or of a formula, from its derivatives."""
    name, *parameters = call.split()

    def function(*x: Any) -> Any:
        floats = [a.dtype for a in x if hasattr(a, "dtype") and a.dtype.kind in "fc"]
        with needs("scipy", f"ag.special.{name}"), np.errstate(all="ignore"):
            if formula is None:
                from scipy import special
            out = (formula or getattr(special, name))(*x)
        return np.asarray(out, np.result_type(*floats or [float]))

    function.__name__, function.__qualname__, function.__doc__ = name, name, doc
    make = primitive(elementwise=True, name=f"special.{name}")
    made: Primitive[...] = make(_with(parameters, function))
    made.vjp(**{parameter: _rule(slope) for parameter, slope in slopes.items()})
    return made


def _with(parameters: list[str], function: Callable[..., Any]) -> Callable[..., Any]:
    """Name the parameters of a function."""
    vars(function)["__signature__"] = Signature([Parameter(p, Parameter.POSITIONAL_OR_KEYWORD) for p in parameters])
    return function


def _rule(slope: Callable[..., Any]) -> Callable[..., Any]:
    return _with(["g", *signature(slope).parameters], lambda g, *values: chain(g, in_dtype_of(g, slope(*values))))


def _bessel(letter: str, kind: str, sign: int) -> list[Primitive[...]]:
    """Make the Bessel functions of order 0, 1 and `v` of a kind."""

    def slope(v: Any, z: Any) -> Any:
        return (general(v - 1, z) + sign * general(v + 1, z)) / 2

    doc = f"Computes the {kind} Bessel function of order {{}}."
    general = _of(f"{letter}v v z", doc.format("`v`"), z=slope)
    zeroth = _of(f"{letter}0 x", doc.format(0), x=lambda x: slope(0, x))
    first = _of(f"{letter}1 x", doc.format(1), x=lambda x: slope(1, x))
    return [zeroth, first, general]


def _log_of(y: Any, x: Any) -> Any:
    """Compute ``log(y)``, but 0 where ``x * log(y)`` is 0 because `x` is 0, whatever the logarithm."""
    whatever = np.logical_or(np.less_equal(y, 0), np.equal(y, np.inf))
    return log(where(np.logical_and(np.equal(x, 0), whatever), 1, y))


def _over(x: Any, y: Any) -> Any:
    """Compute ``x / y``, and 0 for ``x = 0``."""
    return chain(x, 1 / y)


def _slope_of_erfcx(x: Any, out: Any) -> Any:
    """Compute ``2 x out - 2 / sqrt(pi)``; from 10 on by the asymptotic series, since the difference would cancel."""
    far = np.greater(x, 10)
    q = (1 / where(far, x, 1)) ** 2 / 2
    series = reduce(lambda rest, k: 1 - k * q * rest, range(25, 1, -2), 1)
    return where(far, -2 / PI * q * series, 2 * where(far, 0, x) * out - 2 / PI)


def gamma_density(x: Any, a: Any) -> Any:
    """Compute the logarithm of the density of gamma numbers."""
    return xlogy(a - 1, x) - x - gammaln(a)


def beta_density(x: Any, a: Any, b: Any) -> Any:
    """Compute the logarithm of the density of beta numbers."""
    return xlogy(a - 1, x) + xlog1py(b - 1, -x) - betaln(a, b)


def t_density(x: Any, df: Any) -> Any:
    """Compute the logarithm of the density of Student's t distribution."""
    return -betaln(df / 2, 0.5) - log(df) / 2 - (df + 1) / 2 * log1p(x * x / df)


# fmt: off
PI = math.pi**0.5  # its root
erf = _of("erf x", "Computes the error function.", np.vectorize(math.erf, otypes="d"), x=lambda x: 2 / PI * exp(-x * x))
erfc = _of("erfc x", "Computes ``1 - erf(x)`` without loss of digits.", erfc_of, x=lambda x: -2 / PI * exp(-x * x))
erfcx = _of("erfcx x", "Computes ``exp(x**2) erfc(x)`` without overflow.", x=_slope_of_erfcx)
erfinv = _of("erfinv y", "Inverts `erf`.", y=lambda out: PI / 2 * exp(out * out))
erfcinv = _of("erfcinv y", "Inverts `erfc`.", y=lambda out: -PI / 2 * exp(out * out))
ndtr = _of("ndtr x", "Computes the share of the normal distribution below `x`.", lambda x: erfc_of(x * -(0.5**0.5)) / 2,
           x=lambda x: exp(x * x / -2) / (2**0.5 * PI))
ndtri = _of("ndtri y", "Inverts `ndtr`.", y=lambda out: 2**0.5 * PI * exp(out * out / 2))
log_ndtr = _of("log_ndtr x", "Computes the logarithm of `ndtr`.", x=lambda x: 2**0.5 / PI / erfcx(x * -(0.5**0.5)))
logit = _of("logit x", "Inverts `expit`.", lambda x: np.log(x / np.subtract(1, x)), x=lambda x: 1 / (x * (1 - x)))
expit: Primitive[...] = _of("expit x", "Computes ``1 / (1 + exp(-x))``.", sigmoid.raw, x=lambda x, out: out * expit(-x))
log_expit = _of("log_expit x", "Computes the logarithm of `expit`.", logsigmoid, x=lambda x: expit(-x))
gammaln = _of("gammaln x", "Computes the logarithm of ``|gamma(x)|``.", x=lambda x: psi(x))
gamma = _of("gamma z", "Computes ``(z - 1)!``, also between whole numbers.", z=lambda z, out: out * psi(z))
psi: Primitive[...] = _of("psi z", "Computes the derivative of `gammaln`.", z=lambda z: polygamma(1, z))
polygamma: Primitive[...] = _of("polygamma n x", "Computes the derivative of order `n` of `psi`.",
                                x=lambda n, x: polygamma(n + 1, x))
beta = _of("beta a b", "Computes ``gamma(a) gamma(b) / gamma(a + b)``.",
           a=lambda a, b, out: out * (psi(a) - psi(a + b)), b=lambda a, b, out: out * (psi(b) - psi(a + b)))
betaln = _of("betaln a b", "Computes the logarithm of ``|beta(a, b)|``.",
             a=lambda a, b: psi(a) - psi(a + b), b=lambda a, b: psi(b) - psi(a + b))
gammainc = _of("gammainc a x", "Computes the share of the gamma distribution of shape `a` below `x`.",
               x=lambda a, x: exp(gamma_density(x, a)))
gammaincc = _of("gammaincc a x", "Computes ``1 - gammainc(a, x)``.", x=lambda a, x: -exp(gamma_density(x, a)))
betainc = _of("betainc a b x", "Computes the share of the beta distribution of shapes `a` and `b` below `x`.",
              x=lambda a, b, x: exp(beta_density(x, a, b)))
stdtr = _of("stdtr df t", "Computes the share of Student's t distribution below `t`.",
            t=lambda df, t: exp(t_density(t, df)))
xlogy = _of("xlogy x y", "Computes ``x log(y)``, which is 0 for ``x = 0``.", lambda x, y: np.multiply(x, _log_of(y, x)),
            x=lambda x, y: _log_of(y, x), y=_over)
xlog1py = _of("xlog1py x y", "Computes ``x log(1 + y)``, which is 0 for ``x = 0``.", y=lambda x, y: _over(x, 1 + y),
              x=lambda x, y: log1p(where(np.logical_and(x == 0, y <= -1), 0, y)))
entr = _of("entr x", "Computes ``-x log(x)``, which is 0 for ``x = 0``.", x=lambda x: -1 - log(x))
rel_entr = _of("rel_entr x y", "Computes ``x log(x/y)``.", x=lambda x, y: 1 + log(x / y), y=lambda x, y: -_over(x, y))
kl_div = _of("kl_div x y", "Adds ``y - x`` to `rel_entr`.", x=lambda x, y: log(x / y), y=lambda x, y: 1 - _over(x, y))

j0, j1, jv = _bessel("j", "first kind of", -1)
y0, y1, yv = _bessel("y", "second kind of", -1)
i0, i1, iv = _bessel("i", "modified", 1)
digamma, jn, yn = psi, jv, yv
__all__ = ["digamma", "jn", "logsumexp", "yn"]
__all__ += [name for name, f in vars().items() if isinstance(f, Primitive) and f.name == f"special.{name}"]
# fmt: on
