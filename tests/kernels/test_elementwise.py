"""Elementwise passes, over arrays large enough for tiles."""

from __future__ import annotations

import numpy as np
import pytest

from autograd_cnn.kernels import elementwise


def test_relu(normal, same_on_any_number_of_threads):
    same_on_any_number_of_threads(elementwise.relu, lambda x: np.maximum(x, 0), normal(700, 900))


def test_relu_gradient(normal, same_on_any_number_of_threads):
    y = np.maximum(normal(700, 900, seed=1), 0)
    same_on_any_number_of_threads(elementwise.relu_gradient, lambda g, y: np.where(y > 0, g, 0), normal(700, 900), y)


def test_sum_rows(normal, same_on_any_number_of_threads):
    x = normal(100, 700, 9)
    same_on_any_number_of_threads(elementwise.sum_rows, lambda x: x.astype(float).sum((0, 1)), x)


def test_layout_changes_no_bit(normal):
    x = normal(600, 500)
    np.testing.assert_array_equal(elementwise.relu(np.asfortranarray(x)), elementwise.relu(x))
    np.testing.assert_array_equal(elementwise.relu(np.repeat(x, 2, axis=1)[:, ::2]), elementwise.relu(x))


@pytest.mark.parametrize("shape", [(3,), (300, 400)])
def test_relu_keeps_nan_and_its_gradient_is_zero_at_zero(shape):
    x = np.zeros(shape, np.float32)
    x.reshape(-1)[:3] = np.nan, np.inf, -1
    g = np.full(shape, 2, np.float32)
    y = elementwise.relu(x)
    np.testing.assert_array_equal(y.reshape(-1)[:3], [np.nan, np.inf, 0])
    np.testing.assert_array_equal(elementwise.relu_gradient(g, y).reshape(-1)[:3], [2, 2, 0])
    assert elementwise.relu_gradient(g, y, into=g) is g
    assert g.sum() == 4


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, ">f4"])
def test_select(dtype, rng):
    a = rng.integers(-3, 4, 100).astype(dtype)
    a[::9] = np.nan
    condition = rng.integers(0, 2, 100).astype(bool)
    result = elementwise.select(condition, a)
    assert result.dtype.kind == "f" and result.itemsize == a.itemsize
    np.testing.assert_array_equal(result, np.where(condition, a, 0))
