"""What runs in blocks when arrays are large: the same as NumPy in one go, whatever the number of threads."""

from __future__ import annotations

import numpy as np
import pytest

from autograd_cnn.kernels import elementwise, matrices, memory, normalization, rows


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


WORKS = {
    "relu": (elementwise.relu, lambda x: np.maximum(x, 0), (numbers(700, 900),)),
    "relu gradient": (
        elementwise.relu_gradient,
        lambda g, y: np.where(y > 0, g, 0),
        (numbers(700, 900), np.maximum(numbers(700, 900, seed=1), 0)),
    ),
    "sum of rows": (elementwise.sum_rows, lambda x: x.astype(float).sum((0, 1)), (numbers(100, 700, 9),)),
    "tall product": (matrices.matmul, lambda x, y: x @ y, (numbers(900, 300), numbers(300, 40))),
    "wide product": (matrices.matmul, lambda x, y: x @ y, (numbers(20, 300), numbers(300, 1500))),
    "product of transposes": (matrices.matmul, lambda x, y: x @ y, (numbers(300, 900).T, numbers(70, 300).T)),
    "one row": (matrices.matmul, lambda x, y: x @ y, (numbers(1, 3000), numbers(3000, 300))),
    "stack": (matrices.matmul, lambda x, y: x @ y, (numbers(3, 20, 300), numbers(300, 400))),
    "softmax": (rows.softmax, softmax, (numbers(30_000, 10),)),
    "log softmax": (rows.log_softmax, lambda x: np.log(softmax(x)), (numbers(30, 1000, 10),)),
    "softmax gradient": (
        rows.softmax_gradient,
        lambda g, y: y * (g - (g * y).sum(-1, keepdims=True)),
        (numbers(30_000, 10), softmax(numbers(30_000, 10, seed=1))),
    ),
    "normalise": (
        normalization.normalise,
        lambda x, m, s, b: (x - m) * s + b,
        (numbers(100, 50, 60, 3), *numbers(3, 3, seed=1)),
    ),
}


@pytest.mark.parametrize(("function", "plain", "args"), WORKS.values(), ids=WORKS.keys())
def test_the_same_as_numpy_on_any_number_of_threads(function, plain, args, num_threads):
    before = [a.copy() for a in args]
    results = []
    for n in 1, 2, 3:
        num_threads(n)
        results.append(function(*args))
    np.testing.assert_allclose(results[0], plain(*args), rtol=1e-5, atol=1e-5)
    assert results[0].dtype == np.float32
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])
    for array, copy in zip(args, before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("function", [elementwise.relu, rows.softmax])
def test_layout_changes_no_bit(function):
    x = numbers(600, 500)
    np.testing.assert_array_equal(function(np.asfortranarray(x)), function(x))
    np.testing.assert_array_equal(function(np.repeat(x, 2, axis=1)[:, ::2]), function(x))


@pytest.mark.parametrize("shape", [(3,), (300, 400)])
def test_relu_passes_nan_on_and_nothing_at_zero(shape):
    x = np.zeros(shape, np.float32)
    x.reshape(-1)[:3] = np.nan, np.inf, -1
    g = np.full(shape, 2, np.float32)
    y = elementwise.relu(x)
    np.testing.assert_array_equal(y.reshape(-1)[:3], [np.nan, np.inf, 0])
    np.testing.assert_array_equal(elementwise.relu_gradient(g, y).reshape(-1)[:3], [2, 2, 0])
    assert elementwise.relu_gradient(g, y, into=g) is g
    assert g.sum() == 4


def test_moments_of_numbers_far_from_zero():
    x = (1000 + numbers(90, 40, 50, 3)).astype(np.float32)
    mean, variance = normalization.moments(x)
    np.testing.assert_allclose(mean, x.astype(float).mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(variance, x.astype(float).var((0, 1, 2)), rtol=1e-4)


def test_a_steady_loop_takes_no_new_memory(monkeypatch):
    monkeypatch.setattr(memory, "_regions", [])
    x = numbers(700, 900)
    places = set()
    for _ in range(5):
        y = elementwise.relu(x)
        places.add(y.__array_interface__["data"][0])
        del y
    assert len(places) == 1
