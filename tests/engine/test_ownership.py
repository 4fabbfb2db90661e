"""The walk adds in place only into arrays that nobody else refers to."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.calculus.check import conformance
from autograd_cnn.engine.guards import is_ours
from autograd_cnn.engine.primitive import Primitive
from leaves import leaf


def made(function, name, **rules):
    primitive = Primitive(function)
    primitive.name = name
    primitive.vjp(**rules)
    return primitive


@pytest.mark.parametrize("make", [lambda: np.ones(3), lambda: np.ones((2, 3)).T], ids=["an owner", "a view"])
def test_a_fresh_array_is_ours_and_a_kept_one_is_not(make):
    entry = [make()]
    fresh = is_ours(entry[0])  # outside of an assert, which holds what it looks at
    owner = entry[0].base
    ours = is_ours(entry[0])
    assert (fresh, ours) == (True, owner is None)
    owner = None
    entry[0].setflags(write=False)
    ours = is_ours(entry[0])
    assert not ours
    entry[0].setflags(write=True)
    kept = entry[0]
    assert (is_ours(kept), is_ours(entry[0])) == (False, False)


def both_views(g):
    h = g * 1.0
    return h, h.T


def test_a_joint_rule_may_return_two_views_of_one_array():
    x, y = leaf(np.zeros((2, 2))), leaf(np.zeros((2, 2)))
    add = made(lambda x, y: x + y.T, "add_turned", x=both_views, y=both_views)
    weights = np.array([[1.0, 2.0], [3.0, 4.0]])
    (ag.sum(add(x, y) * weights) + ag.sum(x * 10)).backward()
    np.testing.assert_array_equal(x.grad, weights + 10)
    np.testing.assert_array_equal(y.grad, weights.T)


@pytest.mark.parametrize("view", [lambda a: a, lambda a: a[:], lambda a: a.T.T], ids=["itself", "a view", "turned"])
def test_an_array_that_a_rule_keeps_is_not_written_into(view):
    kept = np.ones((2, 2))
    one = made(lambda x: x.sum(), "one", x=lambda g: view(kept))
    x = leaf(np.zeros((2, 2)))
    (one(x) + one(x) + ag.sum(x * 5)).backward()
    np.testing.assert_array_equal(x.grad, np.full((2, 2), 7.0))
    np.testing.assert_array_equal(kept, np.ones((2, 2)))
    y = leaf(np.zeros((2, 2)))
    one(y).backward()
    assert not np.may_share_memory(y.grad, kept)


def test_check_finds_a_rule_that_overwrites_what_it_returned():
    kept = np.empty((2, 3))

    def reuse(g):
        kept[...] = g
        return kept

    double = made(lambda x: 2 * x, "double", x=lambda g: reuse(2 * g))
    with pytest.raises(AssertionError, match="double, input 0: not linear .*, or a rule overwrites its last result"):
        conformance(double)
