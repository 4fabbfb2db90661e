"""Edges of reductions, scans and statistics: ties, zeros, NaN, no numbers, 0-d arrays, dtypes, refusals."""

import warnings

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from leaves import check_row, value_and_slope

inf, nan = np.inf, np.nan


def counted(shape):
    return np.arange(1, np.prod(shape, dtype=int) + 1).reshape(shape)


# (function, x, value, gradient)
ROWS = {
    "sum of 0-d": (lambda x: np.sum(x, axis=0), 3, 3, 1), "prod of 0-d": (lambda x: np.prod(x, axis=-1), 3, 3, 1),
    "max of 0-d": (lambda x: np.max(x, axis=0, keepdims=True), 3, 3, 1),
    "logsumexp of 0-d": (lambda x: ag.logsumexp(x, axis=0), 3, 3, 1), "var of 0-d": (np.var, 3, 0, 0),
    "cumsum of 0-d": (lambda x: np.cumsum(x, axis=-1), 3, [3], 1),
    "cumprod of 0-d": (lambda x: np.cumprod(x, axis=0), 3, [3], 1), "median of 0-d": (np.median, 3, 3, 1),
    "logsumexp of nothing": (lambda x: ag.logsumexp(x, 1), np.ones((2, 0)), [-inf, -inf], np.ones((2, 0))),
    "softmax of nothing": (lambda x: ag.softmax(x, 0), np.ones((0, 2)), np.ones((0, 2)), np.ones((0, 2))),
    "log_softmax of nothing": (ag.log_softmax, np.ones((2, 0)), np.ones((2, 0)), np.ones((2, 0))),
    "prod of nothing": (lambda x: np.prod(x, 0), np.ones((0, 2)), [1, 1], np.ones((0, 2))),
    "median of nothing": (lambda x: np.median(x, 1), np.ones((2, 0)), [nan, nan], np.ones((2, 0))),
    "cumprod of nothing": (np.cumprod, [], [], []), "sort of nothing": (np.sort, [], [], []),
    "prod, one zero": (np.prod, [2, 0, 3], 0, [0, 6, 0]), "prod, two zeros": (np.prod, [0, 5, 0], 0, [0, 0, 0]),
    "cumprod, two zeros": (np.cumprod, [2, 0, 3, 0, 5], [2, 0, 0, 0, 0], [1, 4 + 18, 0, 0, 0]),
    "max and initial, tied": (lambda x: np.max(x, initial=3), [3, 1, 3], 3, [1 / 3, 0, 1 / 3]),
    "max below initial": (lambda x: np.max(x, initial=4), [3, 1, 3], 4, [0, 0, 0]),
    "max of some": (lambda x: np.max(x, initial=-9, where=np.array([1, 1, 0], bool)), [1, 2, nan], 2, [0, 1, 0]),
    "sum of some": (lambda x: np.sum(x, where=[True, False]), [1, inf], 1, [1, 0]),
    "var of some": (lambda x: np.var(x, where=[True, True, False]), [1, 3, nan], 1, [-1, 1, 0]),
    "nanmax, ties": (np.nanmax, [3, nan, 3], 3, [0.5, 0, 0.5]),
    "nanmax beside -inf": (np.nanmax, [-inf, nan, -inf], -inf, [0.5, 0, 0.5]),
    "nanmin beside inf": (np.nanmin, [inf, nan], inf, [1, 0]),
    "nanmax of NaN and initial": (lambda x: np.nanmax(x, initial=5), [nan, nan], 5, [0, 0]),
    "nanmax of some": (lambda x: np.nanmax(x, initial=0, where=[True, True, False]), [1, nan, 2], 1, [1, 0, 0]),
    "nanmax of NaN": (lambda x: np.nanmax(x, 1), [[nan, nan], [1, nan]], [nan, 1], [[nan, nan], [2, 0]]),
    "nansum of NaN": (np.nansum, [nan, nan], 0, [0, 0]),
    "nanstd of equal numbers": (np.nanstd, [0.1, 0.1, 0.1, nan], 0, [0, 0, 0, 0]),
    "nanmedian of NaN": (lambda x: np.nanmedian(x, 1), [[nan, nan], [1, nan]], [nan, 1], [[0, 1], [2, 0]]),
    "median with NaN": (np.median, [nan, 2, 1], nan, [1, 0, 0]),
    "median, ties": (np.median, [2, 1, 2, 2], 2, [0.5, 0, 0.5, 0]),
    "quantile beside inf": (lambda x: np.quantile(x, [0, 0.5]), [1, inf, 2], [1, 2], [1, 0, 2]),
    "sort, ties": (np.sort, [2, 1, 2, 1], [1, 1, 2, 2], [3, 1, 4, 2]),
    "sort with NaN": (np.sort, [nan, 1, 2, 1], [1, 1, 2, nan], [4, 1, 3, 2]),
    "diff beside numbers": (lambda x: np.diff(x, prepend=0.5, append=np.float64(3)), [1, 2], [0.5, 1, 1], [-1, -1]),
    "average with weights in a list": (lambda x: np.average(x, weights=[1.0, 3.0]), [1, 3], 2.5, [0.25, 0.75]),
    "gradient at a distance": (lambda x: np.gradient(x, np.float64(0.5)), [1, 2, 4], [2, 3, 4], [-4, -4, 8]),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("row", ROWS)
def test_row(row, dtype):
    check_row(*ROWS[row], dtype, counted)


def test_a_variance_without_freedom_grows_without_bound():
    """NumPy divides by max(count - ddof, 0)."""
    for options in ({"ddof": 3}, {"ddof": 5}, {"correction": 5}):
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value, slope = value_and_slope(lambda x, o=options: np.var(x, **o), [1, 2, 4], float, counted)
        assert value == inf
        np.testing.assert_array_equal(slope, [-inf, -inf, inf])


@pytest.mark.parametrize("f", [np.nanvar, np.nanstd])
def test_a_variance_without_freedom_is_nan_if_it_ignores_nan(f):
    x = np.array([[1, 2, 4, 7], [1, 2, 4, nan], [1, nan, nan, 3]])
    for options in ({"ddof": 3}, {"correction": 3}, {"ddof": 3, "keepdims": True}, {"ddof": 2, "where": x != 1}):
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            want = f(x, axis=1, **options)
            got = f(Tensor(x, requires_grad=True), axis=1, **options)
        np.testing.assert_allclose(got.data, want, rtol=1e-14)
        assert np.isnan(want).sum() == 2


def test_a_covariance_without_freedom_is_infinite():
    with np.errstate(all="ignore"):
        assert ag.cov(np.array([1.0, 2.0]), ddof=5) == inf


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("f", [np.sum, np.prod, np.mean, np.var, np.std, np.cumsum, np.cumprod, np.nansum, np.nanvar])
def test_dtype_converts_and_the_gradient_is_converted_back(f, dtype):
    other = np.dtype(np.float64 if dtype == np.float32 else np.float32)
    x = Tensor(np.array([1, 2, 0.5], dtype), requires_grad=True)
    out = f(x, dtype=other)
    assert out.dtype == other
    out.backward(np.ones(out.shape))
    assert x.grad.dtype == dtype
    np.testing.assert_allclose(x.grad, ag.grad(lambda x: ag.sum(f(x)))(x.data.astype(float)), rtol=1e-6)


def test_methods_take_the_same_keywords():
    x = Tensor(np.array([1.0, 2.0, 4.0]), requires_grad=True)
    some = np.array([True, True, False])
    assert x.sum(initial=3, where=some).item() == 6
    assert x.mean(where=some).item() == 1.5
    assert x.max(initial=0, where=some).item() == 2
    assert x.min(initial=0).item() == 0
    assert x.var(correction=1, where=some).item() == 0.5
    assert x.prod(dtype=np.float32).dtype == np.float32
    assert x.cumsum().tolist() == [1, 3, 7]
    assert x.ptp().item() == 3


def test_plain_numbers_and_lists_give_plain_results():
    for f in (np.sum, np.prod, np.var, np.nanmax, np.median, np.cumprod, np.sort, np.diff, np.average, np.gradient):
        ours = getattr(ag, f.__name__)([1, 2, 4])
        assert not isinstance(ours, Tensor)
        np.testing.assert_allclose(ours, f([1, 2, 4]))
        if f not in (np.sort, np.diff, np.gradient):
            np.testing.assert_array_equal(getattr(ag, f.__name__)(3.0), f(3.0))
    np.testing.assert_allclose(ag.nanvar([1, 2, 4]), np.var([1, 2, 4]))
