"""Values and gradients from the least normal number to the greatest, at infinities and ties, in float32 and float64.

The reference is longdouble, whose exponents reach 4900: nothing overflows there, and 0 and infinity have neighbours.
"""

import warnings

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.calculus.check import examples_of
from autograd_cnn.engine.observe import primitives
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.ops import activations
from split_inputs import split
from uses import every_use

both_precisions = pytest.mark.parametrize("dtype", [np.float32, np.float64])
inf = np.inf


def weights(shape, dtype):
    """Incoming gradients, none of them 0."""
    return np.cos(np.arange(np.prod(shape, dtype=int))).reshape(shape).astype(dtype)


def value_and_gradients(f, *inputs):
    leaves = [Tensor(x, requires_grad=True) for x in inputs]
    out = f(*leaves)
    out.backward(weights(out.shape, out.dtype))
    return out.data, [leaf.grad for leaf in leaves]


# The slopes of activations

NOT_ELEMENTWISE = "softmax log_softmax prelu relu_gradient".split()  # or with further inputs
ACTIVATIONS = {name: getattr(ag, name) for name in activations.__all__ if name not in NOT_ELEMENTWISE}
ACTIVATIONS |= {"tanh": ag.tanh, "expm1": ag.expm1, "gelu, tanh": lambda x: ag.gelu(x, "tanh")}
ACTIVATIONS |= {"softplus, sharp": lambda x: ag.softplus(x, 2.0)}
FINE = np.concatenate([np.geomspace(1e-30, 1e4, 700), np.linspace(0, 20, 601)])
GRID = np.unique(np.concatenate([-FINE, FINE])).astype(np.float32)


def slope(f, x):
    with np.errstate(over="ignore"):
        out = f(leaf := Tensor(x, requires_grad=True))
    out.backward(np.ones_like(x))
    return leaf.grad


def in_both_forms(f):
    """Slopes on the grid, in small arrays and in one that is large enough for blocks and compiled kernels."""
    small = np.concatenate([slope(f, x) for x in np.array_split(GRID, 20)])
    return [small, slope(f, np.resize(GRID, 1 << 16))[: len(GRID)]]


def scale(slopes):
    """The largest slope nearby: where a slope crosses 0, the terms of its formula do not."""
    ends = np.searchsorted(GRID, [GRID - 0.5, GRID + 0.5])
    return np.array([np.abs(slopes[a : b + 1]).max() for a, b in ends.T])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_in_float32_have_six_digits(name):
    """`sigmoid` and `tanh` keep their output, which is 1 from 17 and from 9 on.

    Compiled exponentials are 0 below the smallest normal number, and slopes have up to 100 times one.
    """
    want = slope(ACTIVATIONS[name], GRID.astype(np.longdouble))
    flat = 1e-7 if name in ("sigmoid", "tanh") else 100 * np.finfo(np.float32).tiny
    inside = np.abs(want) < np.finfo(np.float32).max
    for got in in_both_forms(ACTIVATIONS[name]):
        assert (np.abs(got - want) <= 2e-6 * scale(want) + flat)[inside].all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_in_float32_are_as_good_as_pytorchs(name, torch):
    functional = torch.nn.functional
    other = {
        "tanh": torch.tanh, "sigmoid": torch.sigmoid, "expm1": torch.expm1, "normal_cdf": torch.special.ndtr,
        "gelu, tanh": lambda x: functional.gelu(x, approximate="tanh"),
        "softplus, sharp": lambda x: functional.softplus(x, 2.0),
    }  # fmt: skip
    theirs = torch.tensor(GRID, requires_grad=True)
    pytorchs = other.get(name) or getattr(functional, name, None)
    assert pytorchs, f"add PyTorch's form of {name} to `other`"
    pytorchs(theirs).sum().backward()
    want = slope(ACTIVATIONS[name], GRID.astype(np.longdouble))
    error = np.abs(theirs.grad.numpy() - want)
    allowed = np.where(np.isnan(error), inf, error) + 2.0**-21 * scale(want) + np.finfo(np.float32).tiny
    for got in in_both_forms(ACTIVATIONS[name]):
        assert ((got == want) | (np.abs(got - want) <= allowed) | np.isinf(allowed)).all()


@both_precisions
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_at_infinity_are_their_limits(name, dtype):
    if name == "softsign":
        pytest.skip("its value there is NaN, as PyTorch's")
    for size in (1, 1 << 15):
        ends = np.resize(np.array([inf, 1e30], dtype), (size, 2))
        got = slope(ACTIVATIONS[name], ends)
        np.testing.assert_array_equal(got[:, 0], got[:, 1])


# Normalisations, similarities and losses

random = np.random.default_rng(0)
A, B, C, V = random.normal(size=(4, 4, 3, 6))
SIGNS = np.where(A[..., 0] > 0, 1, -1)


def beside(f):
    """A function of one array whose other input has a moderate size."""
    return lambda x: f(x, B.astype(x.dtype))


def with_all(f):
    """A function of one array whose other inputs have the same size."""
    return lambda x: f(x, *(x * (c / A).astype(x.dtype) for c in (B, C)))


def channel(f):
    return lambda x: f(x, *(v.astype(x.dtype) for v in V[0, :2]))


NETWORKS = {
    "normalize": lambda x: ag.normalize(x, axis=-1),
    "normalize, p = 3": lambda x: ag.normalize(x, 3.0, -1),
    "normalize, p = 1": lambda x: ag.normalize(x, 1.0, -1),
    "normalize, p = inf": lambda x: ag.normalize(x, inf, axis=1),
    "normalize, eps = 0": lambda x: ag.normalize(x, axis=-1, eps=0.0),
    "standardize": lambda x: ag.standardize(x, (0, 2)),
    "layer_norm": lambda x: ag.layer_norm(x, (3, 6)),
    "layer_norm, eps = 0": lambda x: ag.layer_norm(x, 6, eps=0.0),
    "rms_norm": lambda x: ag.rms_norm(x, 6, eps=1e-6),
    "group_norm": lambda x: ag.group_norm(x, 3),
    "instance_norm": ag.instance_norm,
    "batch_norm": channel(ag.batch_norm),
    "batch_norm, of given moments": lambda x: ag.batch_norm(
        x, *V[0, :2].astype(x.dtype), 1e-5, x[0, 0], abs(x[1, 0])
    ),
    "cosine_similarity": beside(lambda x, y: ag.cosine_similarity(x, y, -1)),
    "cosine_similarity of two": with_all(lambda x, y, _: ag.cosine_similarity(x, y, -1)),
    "l1_loss": beside(ag.l1_loss),
    "huber_loss": beside(ag.huber_loss),
    "mse": beside(ag.mse),
    "kl_div": beside(lambda x, y: ag.kl_div(x, abs(y))),
    "bce_with_logits": lambda x: ag.bce_with_logits(x, (B > 0).astype(x.dtype)),
    "bce_with_logits, weights": lambda x: ag.bce_with_logits(x, (B > 0).astype(x.dtype), pos_weight=2.0),
    "cross_entropy": lambda x: ag.cross_entropy(x, (SIGNS + 1) // 2),
    "cross_entropy, smoothed": lambda x: ag.cross_entropy(x, (SIGNS + 1) // 2, label_smoothing=0.1),
    "softmax": ag.softmax,
    "log_softmax": ag.log_softmax,
    "logsumexp": lambda x: ag.logsumexp(x, 1),
}  # fmt: skip
SCALES = [-1.0, -0.97, -0.8, -0.52, -0.3, 0.0, 0.3, 0.48, 0.52, 0.8, 0.97]  # times the greatest exponent


def near(got, want, digits):
    """Compares numbers, and 0 with what is less than the normal range; an infinity only with what exceeds it."""
    info = np.finfo(got.dtype)
    finite = np.abs(want) <= info.max
    top = np.max(np.abs(want[finite]), initial=0)
    error = np.abs(got - want, where=finite, out=np.zeros_like(want))
    return bool((error <= digits * top + 4 * info.tiny).all())


@both_precisions
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_functions_over_the_whole_range(name, dtype):
    f, exponent = NETWORKS[name], np.finfo(dtype).maxexp
    for share in SCALES:
        x = (A * 2.0 ** int(share * (exponent - 4))).astype(dtype)
        with np.errstate(over="ignore", under="ignore"):
            value, (gradient,) = value_and_gradients(f, x)
            want, (slopes,) = value_and_gradients(f, x.astype(np.longdouble))
        digits = 1e-4 if dtype == np.float32 else 1e-10
        assert near(value, want, digits), (share, value, want)
        assert near(gradient, slopes, digits), (share, gradient, slopes)


@both_precisions
def test_parallel_vectors_of_any_size_are_similar(dtype):
    for share in SCALES:
        x = (A * 2.0 ** int(share * (np.finfo(dtype).maxexp - 4))).astype(dtype)
        value, (gradient,) = value_and_gradients(lambda x: ag.cosine_similarity(x, x / 2, -1, eps=0.0), x)
        np.testing.assert_allclose(value, np.ones((4, 3)), rtol=1e-6)
        assert np.max(np.abs(gradient * x)) < 1e-6


# Every operation: no gradient is NaN where the true one is finite

PRIMITIVES = [p for p in primitives() if p.__module__.startswith("autograd_cnn.")]
CALLS = {}  # by name: calls (function, its inputs) that are tried
for _p in PRIMITIVES:
    for _args, _options in examples_of(_p, np.random.default_rng(0))[:2]:
        CALLS.setdefault(_p.name, []).append(split(_p, _args, _options))
for _use in every_use():
    CALLS.setdefault(_use.name, []).append((_use.f, [np.asarray(x) for x in _use.inputs]))

PRODUCTS = "cross diagonal matmul matrix_transpose norm outer tensordot trace vecdot vector_norm".split()
UNTRIED = {
    "LAPACK has no longdouble": [
        name for name in CALLS if name.startswith("linalg.") and name.removeprefix("linalg.") not in PRODUCTS
    ],
    "SciPy has no longdouble: test_special.py": [name for name in CALLS if name.startswith("special.")],
    "windows and images: tests/kernels try infinities and far pixels": """
        conv1d conv2d conv_transpose1d conv_transpose2d conv2d_weight_gradient
    """.split(),
}
NOT_A_NUMBER = {  # (operation, points), where a NaN is right, promised, or in a product of the operation's definition
    "both are -inf, as promised": [("logaddexp", "-inf"), ("logaddexp2", "-inf")],
    "infinite alpha times exp(-inf)": [("elu", "-inf")],
    "an exponent of -inf": [("power", "-inf"), ("float_power", "-inf")],
    "the product that the call itself takes": [("select", "inf"), ("select", "-inf")],
    "an infinity among the points of the grid": [("interp", "inf"), ("interp", "-inf")],
    "a ratio of 0 or of infinity is no geometric sequence": [
        ("geomspace", point) for point in ("zeros", "one 0", "greatest", "inf")
    ],
    "a polynomial of numbers whose square overflows": [
        ("polyval", point) for point in ("large", "one large", "mixed", "greatest")
    ],
    "infinitely likely: the slope is log(inf)": [("kl_div", "inf")],
    "covariances underflow, as NumPy's": [("corrcoef", "small")],
    "a weight of 0 times an infinite key or value": [
        ("scaled_dot_product_attention", point) for point in ("inf", "-inf")
    ],
}


def placed(value):
    def change(a):
        a = a.copy()
        a.reshape(-1)[:1] = value
        return a

    return change


def points(dtype):
    """Changes of an array, by name."""
    info = np.finfo(dtype)
    large = dtype(2.0) ** int(0.53 * info.maxexp)
    return {
        "zeros": lambda a: a * 0, "one 0": placed(0), "equal": lambda a: np.full_like(a, a.flat[0]), "ones": np.sign,
        "tied": np.round, "least": lambda a: a * info.tiny * 64, "small": lambda a: a / large,
        "large": lambda a: a * large, "greatest": lambda a: a * dtype(2.0) ** (info.maxexp - 3),
        "mixed": lambda a: a * np.resize(np.array([large, 1, 1 / large], dtype), a.size).reshape(a.shape),
        "one large": placed(large), "inf": placed(inf), "-inf": placed(-inf),
    }  # fmt: skip


def neighbour(a, side):
    """`a` as longdouble; 0 and infinity are replaced by numbers next to them."""
    a, far = a.astype(np.longdouble), np.longdouble(2) ** 4000
    a = np.where(a == 0, side * np.resize([1, 0.7, 1.3], a.size).reshape(a.shape) / far, a)
    return np.where(np.isinf(a), np.sign(a) * far * (1.5 + side / 2), a)


def gradients(f, inputs):
    """The values and the gradients of the recorded part of a result."""
    leaves = [Tensor(x, requires_grad=True) for x in inputs]
    parts = f(*leaves)
    parts = [p for p in (parts if isinstance(parts, (tuple, list)) else [parts]) if isinstance(p, Tensor)]
    out = ag.concatenate([ag.reshape(p, (-1,)) for p in parts])
    out.backward(np.resize(np.array([1, 0.5, 0.75, 1.25, 1.5], out.dtype), out.shape))
    return out.data, [np.zeros(x.shape) if x.grad is None else x.grad for x in leaves]


def tried(f, inputs, dtype):
    """(point, gradients that are NaN where the limit from a side is finite), for all inputs and for each alone."""
    inputs = [x.astype(dtype) for x in inputs]
    alone = [[i] for i in range(len(inputs))] if len(inputs) > 1 else []
    for point, change in points(dtype).items():
        for changed in [range(len(inputs)), *alone]:
            xs = [change(x) if i in changed else x for i, x in enumerate(inputs)]
            try:
                value, got = gradients(f, xs)
                sides = [gradients(f, [neighbour(x, side) for x in xs])[1] for side in (1, -1)]
            except (ValueError, TypeError, ArithmeticError):  # refused, as probabilities of 2
                continue
            if not np.isnan(value).any():
                limits = [[np.isfinite(s.astype(dtype)) for s in side] for side in sides]
                yield point, any((np.isnan(g) & (a | b)).any() for g, a, b in zip(got, *limits, strict=True))


OPERATIONS = [name for name in CALLS if not any(name in names for names in UNTRIED.values())]


@pytest.mark.parametrize(
    ("dtype", "calls"),
    [(np.float32, 1), *(pytest.param(dtype, 3, marks=pytest.mark.slow) for dtype in (np.float32, np.float64))],
)
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_gradient_is_nan_where_the_true_one_is_finite(name, dtype, calls):
    known = {point for pairs in NOT_A_NUMBER.values() for operation, point in pairs if operation == name}
    count = 0
    suitable = [(f, inputs) for f, inputs in CALLS[name][:3] if all(x.size and x.dtype.kind == "f" for x in inputs)]
    for f, inputs in suitable[:calls]:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = list(tried(f, inputs, dtype))
        count += len(results)
        assert {point for point, wrong in results if wrong} <= known
    assert count or name == "bincount"
