"""Elementwise passes, over arrays large enough for tiles."""

from __future__ import annotations

import math

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.fast import elementwise, memory
from autograd_cnn.fast.elementwise import LARGE, blocked
from autograd_cnn.fast.tiles import SMALL


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, ">f4"])
def test_a_choice_beside_zero(dtype, rng):
    a = rng.integers(-3, 4, SMALL).astype(dtype)
    a[::9] = np.nan
    condition = rng.integers(0, 2, SMALL).astype(bool)
    result = elementwise.where(condition, a, 0)
    assert result.dtype.kind == "f" and result.itemsize == a.itemsize
    np.testing.assert_array_equal(result, np.where(condition, a, 0))
    np.testing.assert_array_equal(np.signbit(result[~condition]), False)


@pytest.mark.parametrize("slope", [2, np.float32(0.5), np.linspace(0, 1, 400, dtype=np.float32)])
def test_leaky_relu_with_slopes_of_every_kind(slope, normal):
    x, g = normal(300, 400), normal(300, 400, seed=1)
    np.testing.assert_array_equal(ag.leaky_relu.raw(x, slope), np.where(x > 0, x, slope * x), strict=True)
    if np.ndim(slope) == 0:
        expected = np.where(x > 0, g, slope * g)
        np.testing.assert_array_equal(ag.leaky_relu.rules["x"].function(g, x, slope), expected, strict=True)


FORMULAS = {
    "a formula": (lambda x, y: x * np.exp(-np.abs(y)), 2),
    "a choice": (lambda x, y: elementwise.where(x > y, x, 0), 2),
    "another dtype": (lambda x: np.isfinite(x), 1),
    "in blocks inside": (lambda x: ag.sigmoid.raw(ag.normal_cdf.raw(x)), 1),
}
SHAPES = {
    "equal": ((700, 901), (700, 901)), "an array and a number": ((700, 901), ()), "channels": ((700, 901), (901,)),
    "rows": ((700, 901), (700, 1)), "images": ((90, 7, 1001), (90, 1, 1001)), "one row": ((1, 700, 901), (700, 901)),
    "both broadcast": ((1, 901), (700, 1)), "no images": ((0, 200, 300), (200, 300)),
}  # fmt: skip


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
def test_a_ufunc_in_blocks_changes_no_bit(shapes, normal):
    x, y = (normal(*shape, seed=seed) for seed, shape in enumerate(shapes))
    np.testing.assert_array_equal(ag.add.raw(x, y), np.add(x, y), strict=True)


@pytest.mark.parametrize("shapes", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize(("formula", "inputs"), FORMULAS.values(), ids=FORMULAS)
def test_blocks_change_no_bit(formula, inputs, shapes, normal, num_threads):
    arrays = [normal(*shape, seed=seed) for seed, shape in enumerate(shapes[:inputs])]
    for n in 1, 2, 3:
        num_threads(n)
        result, expected = blocked(formula)(*arrays), formula(*arrays)
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected, strict=True)


def test_arrays_that_are_not_in_c_order_are_computed_whole(normal, other_layouts):
    x = normal(700, 901)
    for exp in ag.exp.raw, blocked(lambda x: np.exp(x)):
        for other in other_layouts(x).values():
            np.testing.assert_array_equal(exp(other), np.exp(x))
        assert exp(np.asfortranarray(x)).flags.f_contiguous


def test_a_large_result_reuses_memory(normal):
    x = normal(LARGE)
    for f in ag.add.raw, blocked(lambda x, y: x + y):
        place = memory.empty(x.shape, x.dtype).ctypes.data
        assert f(x, x).ctypes.data == place
        assert f(x, 1.0).ctypes.data == place


def test_an_error_in_a_block_is_raised(normal):
    def formula(x):
        if len(x):
            raise ValueError("wrong")
        return x

    with pytest.raises(ValueError, match="wrong"):
        blocked(formula)(normal(700, 901))
    np.testing.assert_array_equal(ag.negative.raw(normal(700, 901)), -normal(700, 901))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, ">f4"])
@pytest.mark.parametrize("condition", [bool, np.int64])
def test_where(dtype, condition, rng):
    x, y = rng.normal(size=(2, 200, 300)).astype(dtype)
    x[0], y[1] = np.nan, -np.inf
    condition = rng.integers(0, 2, x.shape).astype(condition)
    for a, b in ((x, y), (x, 0), (-0.0, y), (x[:1], y), (x, y[0, 0]), (1.5, -2)):
        expected = np.where(condition, a, b)
        result = elementwise.where(condition, a, b)
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)
        np.testing.assert_array_equal(np.signbit(result), np.signbit(expected))


def exact(function, x):
    return np.array([function(v) for v in x.tolist()])


def logistic(v):
    return 1 / (1 + math.exp(-v)) if v > -700 else 0.0


def softened(v):
    return max(v, 0) + math.log1p(math.exp(-abs(v)))


def cdf(v):
    return math.erfc(-v * math.sqrt(0.5)) / 2


def logistic_slope(v):
    return logistic(v) * (1 + v * (1 - logistic(v)))


def gelu_slope(v):
    return cdf(v) + v * math.exp(-v * v / 2) / math.sqrt(2 * math.pi)


def rule(name, *options):
    """The rule of an activation, as a function of g and x, or of its result."""
    return lambda g, x: getattr(ag, name).rules["x"].function(g, x, *options)


def slope(name, *options):
    return lambda x: rule(name, *options)(np.ones_like(x), x)


# Relative errors; of gradients, which cross 0, absolute ones
ACCURATE = {
    "sigmoid": (ag.sigmoid.raw, logistic, 80, 4e-7),
    "silu": (ag.silu.raw, lambda v: v * logistic(v), 80, 5e-7),
    "softplus": (ag.softplus.raw, softened, 80, 5e-7),
    "softplus, beta 2": (lambda x: ag.softplus.raw(x, 2), lambda v: softened(2 * v) / 2, 40, 5e-7),
    "normal_cdf": (ag.normal_cdf.raw, cdf, 12, 1e-6),
    "gelu": (ag.gelu.raw, lambda v: v * cdf(v), 12, 1e-6),
    "silu gradient": (slope("silu"), logistic_slope, 80, 1.5e-6),
    "softplus gradient": (slope("softplus", 1), logistic, 80, 5e-7),
    "gelu gradient": (slope("gelu", "none"), gelu_slope, 12, 5e-7),
}


@pytest.mark.parametrize("size", [3000, 40_001])
@pytest.mark.parametrize("name", ACCURATE)
def test_accuracy_in_float32(name, size):
    function, formula, end, error = ACCURATE[name]
    x = np.linspace(-end, end, size, dtype=np.float32)
    expected = exact(formula, x)
    least = 1 if "gradient" in name else 1e-37
    assert np.max(np.abs(function(x) - expected) / np.maximum(np.abs(expected), least)) < error


@pytest.mark.parametrize("name", ACCURATE)
def test_a_number_has_the_same_bits_wherever_it_stands(name, rng):
    """A compiled loop ends with numbers that fill no vector."""
    function = ACCURATE[name][0]
    x = (4 * rng.standard_normal(40_000)).astype(np.float32)
    y = function(x)
    for start, stop in ((1, 20_000), (3, 20_018), (0, 39_999), (17, 40_000)):
        np.testing.assert_array_equal(function(x[start:stop]), y[start:stop])


GRADIENTS = rule("relu"), rule("leaky_relu", 0.01), rule("silu"), rule("gelu", "none"), rule("softplus", 2)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_a_gradient_is_written_over_g_if_it_is_writable(gradient, normal):
    x, g = normal(300, 400), normal(300, 400, seed=1)
    g.flags.writeable = False
    expected = gradient(g, x)
    assert expected is not g
    g.flags.writeable = True
    result = gradient(g, x)
    assert result is g
    np.testing.assert_array_equal(result, expected)
    transposed = np.asfortranarray(normal(300, 400, seed=1))
    np.testing.assert_array_equal(gradient(transposed, x), expected)


def test_a_float32_probability_below_the_normal_numbers_is_nearly_0():
    x = np.linspace(-110, -86, 35_000, dtype=np.float32)
    pairs = np.stack([np.zeros_like(x), x], 1)
    for y in ag.sigmoid.raw(x), ag.softmax.raw(pairs)[:, 1]:
        np.testing.assert_allclose(y, np.exp(x.astype(float)), 1e-5, 1.2e-38)


@pytest.mark.parametrize("shape", [(300,), (400, 1)])
def test_a_kernel_inside_of_blocks_of_rows(normal, shape):
    """The rule of softplus for an array `beta` runs in blocks of rows, and calls sigmoid, which has a kernel."""
    x, g = normal(400, 300), normal(400, 300, seed=1)
    _, back = ag.vjp(lambda x: ag.softplus(x, np.full(shape, 2, np.float32)), x)
    np.testing.assert_allclose(back(g)[0], g / (1 + np.exp(-2 * x)), rtol=1e-5, atol=1e-6)
