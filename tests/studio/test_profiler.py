"""Clocks around primitives: what they count, that they come off, and who may open them."""

from __future__ import annotations

import contextvars
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.observe import observing
from autograd_cnn.studio.profiler import Cost


def network(x, w):
    return ag.sum(ag.relu(x @ w) * 2.0)


@pytest.fixture
def x():
    return np.ones((4, 3), np.float32)


@pytest.fixture
def w():
    return ag.Tensor(np.ones((3, 5), np.float32), requires_grad=True)


def test_it_counts_calls_and_their_time_both_ways(x, w):
    with ag.profile() as p:
        for _ in range(3):
            network(x, w).backward()
    assert {name: cost.calls for name, cost in p.costs.items()} == {"matmul": 3, "relu": 3, "multiply": 3, "sum": 3}
    assert 0 < p.costs["relu"].forward < p.seconds and 0 < p.costs["relu"].backward < p.seconds
    assert "matmul" in str(p)


def test_gradients_are_those_without_it(x, w):
    network(x, w).backward()
    plain, w.grad = w.grad, None
    with ag.profile():
        network(x, w).backward()
    np.testing.assert_array_equal(w.grad, plain)


def test_what_a_rule_calls_counts_for_the_rule():
    @ag.primitive
    def doubled(x):
        return x + x

    doubled.vjp(x=lambda g: ag.add(g, g))
    x, calls = ag.Tensor(np.ones(2), requires_grad=True), []
    with observing(calls.append), ag.profile() as p:
        doubled(x).backward(np.ones(2))
    assert [*p.costs] == ["doubled"] and p.costs["doubled"].backward > 0
    assert [call.primitive.name for call in calls] == ["doubled", "add"]  # who stands outside sees what a rule calls
    assert x.grad.tolist() == [2.0, 2.0]


def test_it_ends_even_after_an_error(x, w):
    with pytest.raises(ValueError, match="matmul"), ag.profile():
        network(x[:, :2], w)
    with ag.profile() as p:
        pass
    network(x, w).backward()
    assert not p.costs


def test_a_profile_in_a_profile_is_refused(x, w):
    with ag.profile() as p:
        with pytest.raises(RuntimeError, match="another one is open"), ag.profile():
            pass
        network(x, w)
    assert p.costs["matmul"].calls == 1


def test_every_thread_has_profiles_of_its_own(x, w):
    def work():
        network(x, w)
        with ag.profile() as inner:
            network(x, w).backward()
        return {name: cost.calls for name, cost in inner.costs.items()}

    with ag.profile() as p, ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result()["matmul"] == 1
    assert not p.costs


def test_it_can_be_shown_before_inside_and_after_its_block():
    p = ag.profile()
    assert repr(p).startswith("primitive")
    with p:
        ag.exp(ag.Tensor(np.ones(3)))
        assert "exp" in str(p)
    assert repr(p).splitlines()[-1].split() == ["in", "all", f"{p.seconds * 1e3:,.2f}", "ms"]


def test_columns_stay_apart_whatever_their_numbers():
    p = ag.profile()
    p.costs["conv2d"] = Cost("conv2d", 21_600, 211.02788, 2.27685)
    p.seconds = 300.0
    head, line, *_ = str(p).split("\n")
    assert line == "conv2d     21,600  211,027.88 ms  2,276.85 ms  71.1%"
    assert line.index("211,027.88 ms") + 13 == head.index("forward") + 7


def test_a_long_name_has_a_column_of_its_own():
    x = ag.Tensor(np.ones((1, 3, 3, 1)), requires_grad=True)
    with ag.profile() as p:
        ag.conv2d_weight_gradient(np.ones((1, 3, 3, 1)), x, (1, 1, 1, 1))
    head, line, *_ = str(p).split("\n")
    assert line.startswith("conv2d_weight_gradient ") and len(line) == len(head)


def test_a_thread_with_a_copy_of_the_context_counts_too(x, w):
    with ag.profile() as p, ThreadPoolExecutor(1) as pool:
        network(x, w)
        pool.submit(contextvars.copy_context().run, network, x, w).result()  # as asyncio.to_thread
    assert {cost.calls for cost in p.costs.values()} == {2}


def test_a_call_that_fails_does_not_count(x, w):
    with ag.profile() as p:
        with pytest.raises(ValueError, match="matmul"):
            network(x[:, :2], w)
        assert p.costs == {}
        network(x, w)
        assert p.costs["matmul"].calls == 1  # inside the block too
