"""Optimisers' updates: in pieces, and by the faster functions, against the textbook's."""

import tracemalloc
from functools import partial

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.fast import updates
from autograd_cnn.nn import normalization
from autograd_cnn.optim import algorithms, optimiser
from test_optim import RECIPES

MAKERS = {name: partial(make, **{"lr": 0.1, **options}) for name, (make, options) in RECIPES.items()}


def trained(make, dtype, *more):
    """The parameters after three steps."""
    draws = np.random.default_rng(1)
    ps = [ag.Tensor(draws.normal(size=shape).astype(dtype), requires_grad=True) for shape in ((3, 5), (17,), (), *more)]
    steps = make(ps)
    for _ in range(3):
        for p in ps:
            p.grad = np.asarray(draws.normal(size=p.shape)).astype(dtype)
        steps.step()
        steps.zero_grad()
    return np.concatenate([p.data.ravel() for p in ps])


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_the_size_of_pieces_changes_no_bit(monkeypatch, make):
    want = trained(make, np.float32)
    for piece in (1, 7, 1 << 16):
        monkeypatch.setattr(updates, "PIECE", piece)
        np.testing.assert_array_equal(trained(make, np.float32), want)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-12)])
def test_the_faster_updates_are_those_of_the_textbook(monkeypatch, make, dtype, tolerance):
    large = (300, 200)  # several tiles
    fast = trained(make, dtype, large)
    updates_of = [(algorithms, f"{name}_update") for name in ("sgd", "adam")]
    for room, name in [(optimiser, "update_all"), *updates_of]:
        faster = getattr(room, name)
        assert faster.__wrapped__.__module__ == room.__name__  # the textbook's, which is in its place without fast
        monkeypatch.setattr(room, name, faster.__wrapped__)
    np.testing.assert_allclose(trained(make, dtype, large), fast, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("shape", [(7, 5, 3), (50, 4), (0, 3)])
def test_moments_are_those_of_the_textbook(rng, shape):
    x = rng.normal(3, 2, shape)
    for fast, slow in zip(normalization.moments(x), normalization.moments.__wrapped__(x), strict=True):
        np.testing.assert_allclose(fast, slow, rtol=1e-12)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_step_allocates_no_copy_of_a_parameter(make, rng):
    p = ag.Tensor(rng.random((2000, 2000), np.float32), requires_grad=True)
    p.grad = rng.random((2000, 2000), np.float32)
    optimiser = make([p])
    threads = ag.get_num_threads()
    ag.set_num_threads(1)
    optimiser.step()
    p.grad = rng.random((2000, 2000), np.float32)
    tracemalloc.start()
    try:
        optimiser.step()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        ag.set_num_threads(threads)
    assert peak < 6 * 4 * updates.PIECE  # 3 MB; the parameter has 16
