"""Softmax of rows, its logarithm and its gradient, against the formulas."""

from __future__ import annotations

import numpy as np

from autograd_cnn.kernels import rows


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_softmax(normal, same_on_any_number_of_threads):
    same_on_any_number_of_threads(rows.softmax, softmax, normal(30_000, 10))


def test_log_softmax(normal, same_on_any_number_of_threads):
    same_on_any_number_of_threads(rows.log_softmax, lambda x: np.log(softmax(x)), normal(30, 1000, 10))


def test_softmax_gradient(normal, same_on_any_number_of_threads):
    g, y = normal(30_000, 10), softmax(normal(30_000, 10, seed=1))
    formula = lambda g, y: y * (g - (g * y).sum(-1, keepdims=True))  # noqa: E731
    same_on_any_number_of_threads(rows.softmax_gradient, formula, g, y)


def test_small_arrays_too(normal):
    x = normal(3, 5, 10)
    np.testing.assert_allclose(rows.softmax(x), softmax(x), rtol=1e-6)


def test_layout_changes_no_bit(normal):
    x = normal(600, 500)
    np.testing.assert_array_equal(rows.softmax(np.asfortranarray(x)), rows.softmax(x))
    np.testing.assert_array_equal(rows.softmax(np.repeat(x, 2, axis=1)[:, ::2]), rows.softmax(x))
