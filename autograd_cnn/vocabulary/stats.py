"""Densities and distribution functions by SciPy's names and parameters: ``ag.stats.norm.logpdf(x, loc=0, scale=1)``.

A family is data: its logarithmic density, its distribution function, and its support. Functions of operations, they
have gradients of any order for all parameters; a `cdf` refuses that of a shape which has no formula. Outside of the
support, a density is 0 and so is the gradient. Parameters that are out of range give NaN, and a gradient of 0.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from inspect import Parameter, Signature
from math import inf, log, pi
from typing import Any

import numpy as np

from autograd_cnn.engine.rules import Parameters, untyped
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.vocabulary import special as sp
from autograd_cnn.vocabulary.linalg import cholesky, diagonal, solve_triangular


class Continuous(Parameters):
    """Distributions of real numbers: each method takes a number, the shapes, ``loc=0`` and ``scale=1``.

    `log_density`, `cdf` and `log_cdf` are those of the standard distribution, from `low` to `high`.
    """

    placed: tuple[str, ...] = "loc", "scale"

    def __init__(self, log_density: Any, cdf: Any, low: float = -inf, high: float = inf, log_cdf: Any = None) -> None:
        ends = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=int(name == "scale")) for name in self.placed]
        self.log_density = lambda *given: log_density(*given)
        vars(self.log_density)["__signature__"] = Signature([*untyped(log_density).parameters.values(), *ends])
        super().__init__(self.log_density, "stats")
        self.share, self.log_share = cdf, log_cdf or (lambda *given: np.log(cdf(*given)))
        self.low, self.high = low, high

    def logpdf(self, *args: Any, **parameters: Any) -> Any:
        """Compute the logarithm of the density."""
        return self._inside(self.log_density, -inf, -inf, args, parameters)

    def pdf(self, *args: Any, **parameters: Any) -> Any:
        """Compute the density."""
        return np.exp(self.logpdf(*args, **parameters))

    def cdf(self, *args: Any, **parameters: Any) -> Any:
        """Compute the probability of a number that is less or equal."""
        return self._inside(self.share, 0, 1, args, parameters)

    def logcdf(self, *args: Any, **parameters: Any) -> Any:
        """Compute the logarithm of `cdf`."""
        return self._inside(self.log_share, -inf, 0, args, parameters)

    def sf(self, *args: Any, **parameters: Any) -> Any:
        """Compute the probability of a number that is greater, without loss of digits."""
        return self._inside(self._mirrored(self.share), 1, 0, args, parameters)

    def logsf(self, *args: Any, **parameters: Any) -> Any:
        """Compute the logarithm of `sf`."""
        return self._inside(self._mirrored(self.log_share), 0, -inf, args, parameters)

    def _mirrored(self, share: Any) -> Any:
        """Return `share` of the negative number, for those with a symmetric density: all that have no lower end."""
        if self.low > -inf:
            raise TypeError(f"{self.name}: has no sf here\nFrom the distribution function: 1 - ag.{self.name}.cdf(x)")
        return lambda z, *shapes: share(-z, *shapes)

    def _inside(self, f: Callable[..., Any], below: float, above: float, args: Any, parameters: Any) -> Any:
        """Compute `f` inside of the support, which for a distribution function excludes its ends."""
        given = {"scale": 1, **dict(zip(self.parameters, self.bind(args, parameters), strict=True))}
        arrays = [v for v in given.values() if isinstance(v, Tensor) or (isinstance(v, np.ndarray) and v.ndim)]
        dtype = np.result_type(*[v.dtype for v in arrays if v.dtype.kind == "f"] or [float])
        given = {n: v if isinstance(v, Tensor) else np.asarray(v, dtype) for n, v in given.items()}
        z, real, share = given.pop(self.parameters[0]) - given.pop("loc"), "scale" in self.placed, above != below
        fits = [np.logical_and(v > 0 if real else v >= 0, v <= (1 if n == "p" else inf)) for n, v in given.items()]
        scale, *shapes = (np.where(ok, v, 1) for ok, v in zip(fits, given.values(), strict=True))
        z = z / scale
        k = z if real else np.floor(z)
        over = z >= self.high if share or self.high == inf else z > self.high
        under = z <= self.low if (real and share) or self.low == -inf else z < self.low
        wrong = np.logical_not(reduce(np.logical_and, fits))
        outside = reduce(np.logical_or, [over, under, wrong, np.logical_and(z > k, not share)])
        with np.errstate(divide="ignore"):
            value = f(np.where(outside, real / 2, k), *shapes)
        value = value if share else value - np.log(scale)
        rest = np.where(wrong, np.nan, np.where(over, above, below)).astype(dtype)
        return np.where(np.logical_or(outside, value == -inf), rest, value)


class Discrete(Continuous):
    """Distributions of whole numbers: each method takes a number, the shapes and ``loc=0``."""

    placed = ("loc",)
    logpmf, pmf = Continuous.logpdf, Continuous.pdf


# fmt: off
norm = Continuous(lambda x: -np.square(x) / 2 - log(2 * pi) / 2, sp.ndtr, log_cdf=sp.log_ndtr)
t = Continuous(sp.t_density, lambda x, df: sp.stdtr(df, x))
cauchy = Continuous(lambda x: -log(pi) - np.log1p(x * x), lambda x: np.arctan2(1, -x) / pi)
laplace = Continuous(lambda x: -np.abs(x) - log(2),
                     lambda x: np.exp(np.minimum(x, 0)) / 2 - np.expm1(-np.maximum(x, 0)) / 2)
logistic = Continuous(lambda x: sp.log_expit(x) + sp.log_expit(-x), sp.expit, log_cdf=sp.log_expit)
uniform = Continuous(lambda x: 0 * x, lambda x: x, 0, 1)
expon = Continuous(lambda x: -x, lambda x: -np.expm1(-x), 0)
gamma = Continuous(sp.gamma_density, lambda x, a: sp.gammainc(a, x), 0)
chi2 = Continuous(lambda x, df: sp.gamma_density(x / 2, df / 2) - log(2), lambda x, df: sp.gammainc(df / 2, x / 2), 0)
beta = Continuous(sp.beta_density, lambda x, a, b: sp.betainc(a, b, x), 0, 1)
poisson = Discrete(lambda k, mu: sp.xlogy(k, mu) - sp.gammaln(k + 1) - mu, lambda k, mu: sp.gammaincc(k + 1, mu), 0)
bernoulli = Discrete(lambda k, p: sp.xlogy(k, p) + sp.xlog1py(1 - k, -p), lambda k, p: 1 - p + 0 * k, 0, 1)
# fmt: on


class _MultivariateNormal:
    """Vectors, in the last axis of `x`, of normal numbers with a covariance: a matrix, variances, or one variance.

    The vectors are as long as `mean`, or else as `cov`. Numbers need no axis: ``x`` of (n,) are then n numbers.
    """

    pdf = Continuous.pdf

    def logpdf(self, x: Any, mean: Any = None, cov: Any = 1) -> Any:
        """Compute the logarithm of the density."""
        n = np.size(mean := np.zeros(len(np.atleast_2d(cov)), np.int8) if mean is None else mean)
        d = np.subtract(np.expand_dims(x, -1) if n == 1 and np.ndim(x) < 2 else x, mean)
        factor = cholesky(cov if np.ndim(cov) == 2 else np.multiply(cov, np.eye(n, dtype=d.dtype)))
        z = solve_triangular(factor, np.reshape(d, (-1, n)).T, lower=True)
        out = np.sum(z * z, 0) / -2 - np.sum(np.log(diagonal(factor) * (2 * pi) ** 0.5))
        return np.squeeze(np.reshape(out, d.shape[:-1]))


multivariate_normal = _MultivariateNormal()
__all__ = [name for name, family in vars().items() if hasattr(family, "pdf") and not isinstance(family, type)]
for _name in __all__:
    globals()[_name].name = f"stats.{_name}"
