"""Passes over arrays large enough for tiles, beside their formulas: the same bits on any number of threads."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.fast import elementwise, matrices, normalization


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def product(*shapes):
    return matrices.matmul, np.matmul, *shapes


CASES = {  # a pass, its formula unless test_textbook compares the values, and the shapes of its arguments
    "relu": (ag.relu.raw, None, (700, 900)),
    "relu gradient": (ag.relu_gradient.raw, None, (700, 900), (700, 900)),
    "sum of rows": (elementwise.sum_rows, lambda x: x.astype(float).sum((0, 1)), (100, 700, 9)),
    "softmax": (ag.softmax.raw, None, (30_000, 10)),
    "log softmax": (ag.log_softmax.raw, None, (30, 1000, 10)),
    "softmax gradient": (lambda g, y: ag.softmax.rules["x"](g, y, -1), None, (30_000, 10), (30_000, 10)),
    "standardize": (lambda x: ag.standardize.raw(x, (-2, -1)), None, (3000, 7, 10)),
    "standardize gradient": (lambda g, x, y: ag.standardize.rules["x"](g, x, y, -1, 1e-5), None, *((3000, 70),) * 3),
    "normalise": (normalization.normalise, lambda x, mean, scale, shift: (x - mean) * scale + shift,
                  *((100, 50, 60, 3), (3,), (3,), (3,))),
    "tall": product((900, 300), (300, 40)),
    "wide": product((20, 300), (300, 1500)),
    "one row": product((1, 3000), (3000, 300)),
    "a sum, with every other column": (lambda x, y, b: matrices.matmul(x[::-1, ::2], y[:, ::3], b),
                                       lambda x, y, b: x[::-1, ::2] @ y[:, ::3] + b, (300, 1200), (600, 500), (167,)),
    "two rows": product((2, 3000), (3000, 300)),
    "one row, a transpose": (lambda x, y: matrices.matmul(x, y.T), lambda x, y: x @ y.T, (1, 3000), (300, 3000)),
    "two rows, a transpose": (lambda x, y: matrices.matmul(x, y.T), lambda x, y: x @ y.T, (2, 3000), (300, 3000)),
    "stack": product((3, 20, 300), (300, 400)),
    "two stacks": product((40, 3, 50, 60), (40, 3, 60, 50)),
    "stacks that broadcast": product((5, 1, 60, 70), (30, 70, 80)),
    "heads, whose queries and keys share memory": (
        lambda a: matrices.matmul(a[:, :, 0].swapaxes(1, 2), a[:, :, 1].transpose(0, 2, 3, 1)),
        lambda a: np.einsum("nqhd,nkhd->nhqk", a[:, :, 0], a[:, :, 1]), (6, 40, 2, 4, 33)),
    "a matrix and itself": (lambda x: matrices.matmul(x, x.T), lambda x: x @ x.T, (150, 300)),
    "transposes": (lambda x, y: matrices.matmul(x.T, y.T), lambda x, y: x.T @ y.T, (300, 900), (70, 300)),
    "long sums": (lambda x, g, b: matrices.matmul(x.T, g[:, ::2], b), lambda x, g, b: x.T @ g[:, ::2] + b,
                  (9001, 50), (9001, 80), (40,)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_pass_has_the_same_bits_on_any_number_of_threads_and_only_reads_its_arguments(name, normal, num_threads):
    function, formula, *shapes = CASES[name]
    args = [normal(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    before = [a.copy() for a in args]
    results = []
    for n in 1, 2, 3:
        num_threads(n)
        results.append(function(*args))
    assert results[0].dtype == np.float32
    if formula:
        exact = formula(*(a.astype(float) for a in args))
        np.testing.assert_allclose(results[0], exact, rtol=1e-5, atol=2e-6 * np.abs(exact).max())
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    for array, copy in zip(args, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("function", [ag.relu.raw, ag.softmax.raw])
def test_layout_changes_no_bit(function, normal):
    x = normal(600, 500)
    np.testing.assert_array_equal(function(np.asfortranarray(x)), function(x))
    np.testing.assert_array_equal(function(np.repeat(x, 2, axis=1)[:, ::2]), function(x))


@pytest.mark.parametrize("length", [1, 10, 64, 1000, 5000])
def test_rows_of_every_length(length, normal):
    x = 5 * normal(60_000 // length, length)
    exact = softmax(x.astype(float))
    np.testing.assert_allclose(ag.softmax.raw(x), exact, rtol=5e-6)
    np.testing.assert_allclose(ag.log_softmax.raw(x), np.log(exact), rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("shape", [(90, 40, 50, 3), (90, 20, 20, 16), (30, 5, 5, 700)])
def test_moments_of_numbers_far_from_zero(shape, normal):
    x = (1000 + normal(*shape)).astype(np.float32)
    mean, variance = normalization.moments(x)
    np.testing.assert_allclose(mean, x.astype(float).mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(variance, x.astype(float).var((0, 1, 2)), rtol=1e-4)


@pytest.mark.parametrize("writable", [True, False])
def test_the_gradient_of_batch_norm(rng, writable):
    """Against the formula of Ioffe and Szegedy, in several tiles; in the place of `g` if that may be written."""
    x, g = rng.standard_normal((2, 70, 80, 90, 3))
    w = rng.standard_normal(3)
    mean, variance = normalization.moments(x)
    given = g.copy()
    given.setflags(write=writable)
    gx, gw, gb = normalization.batch_norm_gradient(given, x, mean, variance, w, 1e-5)
    assert (gx is given) == writable
    scale = 1 / np.sqrt(variance + 1e-5)
    y = (x - mean) * scale
    np.testing.assert_allclose(gb, g.sum((0, 1, 2)), rtol=1e-8)
    np.testing.assert_allclose(gw, (g * y).sum((0, 1, 2)), rtol=1e-8)
    expected = w * scale * (g - g.mean((0, 1, 2)) - y * (g * y).mean((0, 1, 2)))
    np.testing.assert_allclose(gx, expected, rtol=1e-8, atol=1e-10)
