"""Softmax of rows, its logarithm and its gradient, against the formulas."""

from __future__ import annotations

import numpy as np
import pytest

import autograd_cnn as ag


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def gradient(operation):
    return lambda g, y: operation.rules["x"](g, y, -1)


def test_softmax(normal, same_on_any_number_of_threads):
    same_on_any_number_of_threads(ag.softmax.raw, softmax, normal(30_000, 10))


def test_log_softmax(normal, same_on_any_number_of_threads):
    same_on_any_number_of_threads(ag.log_softmax.raw, lambda x: np.log(softmax(x)), normal(30, 1000, 10))


def test_softmax_gradient(normal, same_on_any_number_of_threads):
    g, y = normal(30_000, 10), softmax(normal(30_000, 10, seed=1))
    formula = lambda g, y: y * (g - (g * y).sum(-1, keepdims=True))  # noqa: E731
    same_on_any_number_of_threads(gradient(ag.softmax), formula, g, y)


def test_log_softmax_gradient(normal, same_on_any_number_of_threads):
    g, y = normal(30_000, 10), np.log(softmax(normal(30_000, 10, seed=1)))
    formula = lambda g, y: g - np.exp(y) * g.sum(-1, keepdims=True)  # noqa: E731
    same_on_any_number_of_threads(gradient(ag.log_softmax), formula, g, y)


@pytest.mark.parametrize("length", [1, 10, 64, 1000, 5000])
def test_rows_of_every_length(length, normal):
    x = 5 * normal(60_000 // length, length)
    exact = softmax(x.astype(float))
    np.testing.assert_allclose(ag.softmax.raw(x), exact, rtol=5e-6)
    np.testing.assert_allclose(ag.log_softmax.raw(x), np.log(exact), rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize("count", [1, 5000])
def test_the_ends_of_the_range(count):
    x = np.repeat(np.float32([[np.nan, 0, 1], [-np.inf, 0, 0], [1000, -1000, 1000], [-np.inf] * 3]), count, axis=0)
    x[-count:, -1] = np.inf
    with np.errstate(invalid="ignore", divide="ignore"):
        for place, expected in enumerate(([np.nan] * 3, [0, 0.5, 0.5], [0.5, 0, 0.5], [np.nan] * 3)):
            np.testing.assert_array_equal(ag.softmax.raw(x)[place * count], expected)
        np.testing.assert_allclose(ag.log_softmax.raw(x)[count], [-np.inf, -np.log(2), -np.log(2)], rtol=1e-6)


def test_small_arrays_too(normal):
    x = normal(3, 5, 10)
    np.testing.assert_allclose(ag.softmax.raw(x), softmax(x), rtol=1e-6)


def test_layout_changes_no_bit(normal):
    x = normal(600, 500)
    np.testing.assert_array_equal(ag.softmax.raw(np.asfortranarray(x)), ag.softmax.raw(x))
    np.testing.assert_array_equal(ag.softmax.raw(np.repeat(x, 2, axis=1)[:, ::2]), ag.softmax.raw(x))
