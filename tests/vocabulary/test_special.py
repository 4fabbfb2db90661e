"""`ag.special` and `ag.stats` beside SciPy, HIPS autograd and PyTorch: numbers, ends of domains, SciPy's own ufuncs.

The conformance suite checks the rules of each function of `ag.special`, twice.
"""

import itertools
import warnings

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.calculus.check import check_gradients
from autograd_cnn.engine.tensor import Tensor

special = pytest.importorskip("scipy.special")
distributions = pytest.importorskip("scipy.stats")
inf, nan = np.inf, np.nan
rng = np.random.default_rng(0)

PRIMITIVES = [name for name in ag.special.__all__ if getattr(getattr(ag.special, name), "elementwise", False)]
POINTS = [0.0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 1e-30, 1e-8, 30, -30, 171, 172, 1e30, -1e30, 0.999999, inf, -inf, nan]
POINTS = np.array([*POINTS, *rng.normal(size=40), *rng.uniform(0, 10, 40)])
ORDERS = np.array([-1.0, 0, 1, 2, 2.5, 7])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", PRIMITIVES)
def test_numbers_are_scipys(name, dtype):
    ours, theirs = getattr(ag.special, name), getattr(special, name)
    sets = [ORDERS[2:] if p == "n" else ORDERS if p == "v" else POINTS for p in ours.parameters]
    sets = [s[:30] if len(sets) > 2 else s for s in sets]
    args = [a.ravel().astype(dtype) for a in np.meshgrid(*sets)]
    if name in ("yn", "polygamma"):
        args[0] = np.floor(args[0])
    got = ours(*map(Tensor, args)).data
    with np.errstate(all="ignore"):
        want = theirs(*(args if name != "polygamma" else [a.astype(float) for a in args])).astype(dtype)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, want, rtol=1e-6 if dtype == np.float32 else 1e-9, atol=1e-300)


@pytest.mark.parametrize("name", [n for n in ag.special.__all__ if isinstance(getattr(special, n), np.ufunc)])
def test_a_ufunc_of_scipy_on_a_tensor_is_ours(name):
    ufunc = getattr(special, name)
    x = Tensor(np.array([0.25, 0.5]), requires_grad=True)
    args = [np.array([1, 2])] * (ufunc.nin - 1)
    got, want = ufunc(*args, x), getattr(ag.special, name)(*args, x)
    np.testing.assert_array_equal(got.data, want.data)
    np.testing.assert_array_equal(got.sum().gradient(x), want.sum().gradient(x))


def test_functions_of_real_numbers_refuse_others():
    with pytest.raises(TypeError, match="special.erf is for real numbers"):
        ag.special.erf(Tensor([1.0], requires_grad=True) * 1j)
    with pytest.raises(TypeError, match="complex numbers have no order"):
        ag.stats.norm.logpdf(Tensor([1.0], requires_grad=True) * 1j)


@pytest.mark.slow
def test_scipy_is_imported_by_what_needs_it_only(python):
    program = """
import sys
import autograd_cnn as ag
x = ag.Tensor([0.5], requires_grad=True)
(ag.special.erf(x) + ag.special.logit(x) + ag.special.xlogy(x, x) + ag.special.logsumexp(x)).sum().backward()
assert "scipy" not in sys.modules
ag.special.gammaln(x)
assert "scipy" in sys.modules
"""
    assert python(program) == ""


AT_ENDS = {  # name: points
    "xlogy": [(0.0, 0.0), (0.0, -1.0), (0.0, 2.0), (1.0, 0.0), (1.0, 2.0)],
    "xlog1py": [(0.0, -1.0), (0.0, -2.0), (0.0, 2.0), (1.0, -1.0)], "entr": [(0.0,), (1.0,), (2.0,)],
    "logit": [(0.0,), (1.0,), (0.5,)], "erfinv": [(1.0,), (-1.0,), (0.0,)], "i1": [(0.0,)],
    "log_ndtr": [(10.0,), (-10.0,), (0.0,)], "gammaln": [(1e30,), (0.0,)], "gammainc": [(2.0, 0.0), (0.5, 1e30)],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("name", "point"), [(name, p) for name, points in AT_ENDS.items() for p in points])
def test_gradients_at_ends_of_the_domain_are_pytorchs(name, point, torch):
    theirs = [
        torch.tensor(v, dtype=torch.float64, requires_grad=name != "gammainc" or i > 0) for i, v in enumerate(point)
    ]
    out = getattr(torch.special, name)(*theirs)
    out.backward()
    ours = [Tensor(v, requires_grad=t.requires_grad) for v, t in zip(point, theirs, strict=True)]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = getattr(ag.special, name)(*ours)
        result.backward()
    for mine, other in zip(ours, theirs, strict=True):
        if other.requires_grad:
            want = other.grad.item()  # at (0, 0), PyTorch divides 0 by 0
            np.testing.assert_allclose(mine.grad, 0 if np.isnan(want) and name.startswith("xlog") else want, rtol=1e-12)


# Function, arguments, which one, and its first and second derivative: computed by mpmath, with 200 digits.
DERIVATIVES = [
    ("erfcx", (0.5,), 0, -0.512688822902587, 0.718691865483265),
    ("erfcx", (11.0,), 0, -0.00460608241756681, 0.000827376329707017),
    ("erfcx", (1e6,), 0, -5.6418958354691e-13, 1.12837916709213e-18),
    ("erfcx", (1e8,), 0, -5.64189583547756e-17, 1.12837916709551e-24),
    ("log_ndtr", (-1e6,), 0, 1000000.000001, -0.999999999999),
    ("expit", (30.0,), 0, 9.35762296883842e-14, -9.35762296883667e-14),
    ("expit", (100.0,), 0, 3.72007597602084e-44, -3.72007597602084e-44),
    ("log_expit", (-30.0,), 0, 0.999999999999906, -9.35762296883842e-14),
    ("logit", (1 - 1e-15,), 0, 1.00079991719344e15, 1.0016004742544e30),
    ("psi", (1e6,), 0, 1.00000050000017e-6, -1.0000010000005e-12),
    ("ndtr", (-30.0,), 0, 1.47364613487855e-196, 4.42093840463564e-195),
    ("erfinv", (1 - 1e-10,), 0, 1068953387.12893, 1.04503806246839e19),
    ("stdtr", (1e8, 2.0), 1, 0.0539909674580299, -0.107981931676602),
    ("y0", (1e-8,), 0, 63661977.2367582, -6.36619772367581e15),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "which", "first", "second"), DERIVATIVES)
def test_derivatives_have_their_digits_far_out_and_beside_poles(name, args, which, first, second):
    slope = ag.grad(getattr(ag.special, name), which)
    np.testing.assert_allclose(slope(*args), first, rtol=1e-12)
    np.testing.assert_allclose(ag.grad(slope, which)(*args), second, rtol=1e-11)


@pytest.mark.parametrize(("name", "x", "y", "mixed"), [("xlogy", 0, 2, 1 / 2), ("xlog1py", 0, 2, 1 / 3)])
def test_mixed_derivatives_at_x_0(name, x, y, mixed):
    f = getattr(ag.special, name)
    for order in ((0, 1), (1, 0)):
        inner = ag.grad(f, order[0])
        np.testing.assert_allclose(ag.grad(inner, order[1])(float(x), float(y)), mixed)


# Distributions

SHAPES = {
    "norm": (), "cauchy": (), "laplace": (), "logistic": (), "uniform": (), "expon": (), "t": (3.0,), "gamma": (2.0,),
    "chi2": (3.0,), "beta": (2.0, 0.75), "poisson": (2.5,), "bernoulli": (0.3,),
}  # fmt: skip
WHOLE = "poisson", "bernoulli"
X = np.array([-inf, -3, -1, -0.5, 0, 1e-9, 0.25, 0.5, 1, 1.5, 2, 3, 5, 7, 50, nan])


def methods(name):
    more = ("sf", "logsf") if ag.stats.norm.low == getattr(ag.stats, name).low else ()
    return ("logpmf", "pmf", "cdf", "logcdf") if name in WHOLE else ("logpdf", "pdf", "cdf", "logcdf", *more)


CASES = [(name, method) for name in SHAPES for method in methods(name)]


@pytest.mark.parametrize(("name", "method"), CASES)
def test_densities_are_scipys(name, method):
    """Also for parameters that are out of range, except that SciPy's logcdf of whole numbers is 0 there."""
    ours, theirs = (getattr(getattr(module, name), method) for module in (ag.stats, distributions))
    choices = [[s, 1, 0, -1, 1.5] for s in SHAPES[name]]
    count = 0
    for shapes in itertools.product(*choices):
        for placed in [(0,), (0.5,)] if name in WHOLE else [(0, 1), (0.5, 2), (0, -1)]:
            got = ours(X, *shapes, *placed)
            with np.errstate(all="ignore"):
                want = theirs(X, *shapes, *placed)
            compared = ~np.isnan(got) if name in WHOLE and method == "logcdf" else np.full(X.shape, True)
            np.testing.assert_allclose(got[compared], want[compared], rtol=1e-11, atol=1e-14)
            count += compared.sum()
    assert count > 40


def names(name):
    return [n for n in getattr(ag.stats, name).signature.parameters if n not in ("x", "k", "loc", "scale")]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method"), CASES)
def test_derivatives_of_densities(name, method):
    """First and second derivatives agree, for all parameters that have one; float32 stays; 0 outside of the support."""
    f = getattr(getattr(ag.stats, name), method)
    smooth = method.startswith(("log", "p")) and method[-2:] != "sf" and "cdf" not in method
    x = np.array([0, 1, 1]) if name in WHOLE else np.array([0.2, 0.55, 0.6])
    free = [n for n in names(name) if (smooth or n in ("mu", "p"))]
    given = {n: np.full(3, s) for n, s in zip(names(name), SHAPES[name], strict=True) if n in free}
    others = {n: s for n, s in zip(names(name), SHAPES[name], strict=True) if n not in free}
    if name not in WHOLE:
        given |= {"loc": np.array([0.1, 0.05, -0.1]), "scale": np.array([0.9, 1.5, 1.2])}
    first = [] if name in WHOLE else [x]

    def call(*values):
        values = [*values] if first else [x, *values]
        return f(values[0], **dict(zip(given, values[1:], strict=True)), **others)

    assert check_gradients(call, *first, *given.values(), order=2, rtol=1e-5) < 1.1
    leaves = [Tensor(np.float32(v), requires_grad=True) for v in (*first, *given.values())]
    assert call(*leaves).dtype == np.float32
    outside = Tensor(np.array([-2.0, -7.5, -inf]), requires_grad=True)
    if name not in ("norm", "t", "cauchy", "laplace", "logistic") and name not in WHOLE:
        out = f(outside, *SHAPES[name], 1.0)
        out.backward(np.ones(3))
        np.testing.assert_array_equal(outside.grad, np.zeros(3))


def test_normal_vectors_are_scipys():
    x, root, mean = rng.normal(size=(2, 5, 3)), rng.normal(size=(3, 3)), rng.uniform(1, 2, 3)
    for cov in (root @ root.T, 2.0, np.array([1.0, 2, 3])):
        for at in (x, x[0], x[0, 0]):
            ours = ag.stats.multivariate_normal.logpdf(at, mean, cov)
            np.testing.assert_allclose(ours, distributions.multivariate_normal.logpdf(at, mean, cov), rtol=1e-12)
    scale = Tensor(root, requires_grad=True)
    f = ag.stats.multivariate_normal.logpdf
    check_gradients(lambda r: f(x[0], mean, r @ r.T + np.eye(3)), scale, order=2, rtol=1e-5)
    with pytest.raises(np.linalg.LinAlgError):
        f(x, mean, -np.eye(3))


PLACES = {"number": 1.3, "row": np.arange(3), "column": np.ones((3, 1)), "points": rng.normal(size=(2, 3))}
MEANS = {"none": None, "number": 0.2, "vector": [0.5, 1, 2]}
COVARIANCES = {"number": 2.0, "variances": [1.0, 2, 3], "matrix": np.eye(3) + 1}


@pytest.mark.parametrize("x", PLACES)
@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("cov", COVARIANCES)
def test_the_number_of_dimensions_is_scipys(x, mean, cov):
    found = []
    for module in (distributions, ag.stats):
        try:
            found.append(module.multivariate_normal.logpdf(PLACES[x], MEANS[mean], COVARIANCES[cov]))
        except ValueError:
            found.append(np.array([np.nan] * 7))  # refused
    assert np.shape(found[0]) == np.shape(found[1])
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_an_operation_of_a_density_has_the_users_line():
    assert ag.stats.norm.logcdf(Tensor([1.0], requires_grad=True)).node.code.co_filename == __file__


def test_a_wrong_parameter_of_a_density_is_named():
    with pytest.raises(TypeError, match="^stats.norm: has no parameter 'sigma'. It has x, loc, scale$"):
        ag.stats.norm.logpdf(1.0, sigma=2)
    with pytest.raises(TypeError, match="^stats.t: missing a required argument: 'df'"):
        ag.stats.t.pdf(1.0)
    with pytest.raises(TypeError, match=r"stats.gamma: has no sf here\n.*: 1 - ag.stats.gamma.cdf\(x\)"):
        ag.stats.gamma.logsf(1.0, 2.0)


def test_a_function_of_no_numbers_says_what_it_wants():
    with pytest.raises(TypeError, match="^special.gammaln: wants numbers\n  x='a'"):
        ag.special.gammaln("a")
