"""Primitives: what a recorded call keeps, which rules the walk calls, and rules with in-place twins."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.engine.tensor import Tensor
from leaves import leaf

# Recording


def test_no_rule_runs_for_an_input_that_needs_no_gradient():
    """No rule is evaluated for the image batch, nor for frozen weights."""
    calls = []

    @ag.primitive
    def scale(x, w):
        return x * w

    scale.vjp(x=lambda g, w: calls.append("x") or g * w, w=lambda g, x: calls.append("w") or g * x)
    scale(np.ones(2), leaf(np.ones(2))).sum().backward()
    scale(leaf(np.ones(2)), Tensor(np.ones(2))).sum().backward()
    assert calls == ["w", "x"]


def test_a_node_keeps_only_what_its_rules_ask_for():
    def kept(out):
        return [a.shape for a in out._node.saved if isinstance(a, np.ndarray)]

    x, w = leaf(np.ones((2, 3))), leaf(np.ones((3, 4)))
    assert kept(x + x) == []
    assert kept(ag.sum(x)) == []
    assert sorted(kept(x @ w)) == [(2, 3), (3, 4)]
    assert kept(x.data @ w) == [(2, 3)]
    assert kept(x @ w.data) == [(3, 4)]


def test_a_joint_rule_is_called_once():
    calls = []

    @ag.primitive
    def both(x, y):
        return x * y

    def rules(g, x, y):
        calls.append(1)
        return g * y, g * x

    both.vjp(x=rules, y=rules)
    x, y = leaf(2.0), leaf(5.0)
    both(x, y).backward()
    assert (len(calls), x.grad, y.grad) == (1, 5, 2)
    both(np.array(2.0), y).backward()
    assert (len(calls), y.grad) == (2, 4)


# Faster rules that write over the gradient


@pytest.fixture
def doubled():
    """A primitive whose faster rule writes over g where it may, and the calls in which it did."""
    calls = []

    def write_over(g):
        if not g.flags.writeable:
            return g * 2
        calls.append(g)
        g *= 2
        return g

    double = Primitive(lambda x: x * 2)
    double.name = "double"
    double.vjp(x=lambda g: g * 2)
    double.accelerate(x=lambda formula: write_over, may_write=True)
    return double, calls


def test_a_faster_rule_writes_over_a_gradient_that_the_walk_owns(doubled):
    double, calls = doubled
    x = leaf(np.array([1.0, 2.0]))
    ag.sum(double(x) * np.array([3.0, 5.0])).backward()
    np.testing.assert_array_equal(x.grad, [6.0, 10.0])
    assert len(calls) == 1


def test_a_faster_rule_does_not_write_over_the_users_gradient(doubled):
    double, calls = doubled
    x, seed = leaf(np.array([1.0, 2.0])), np.array([3.0, 5.0])
    double(x).backward(seed)  # the user's
    np.testing.assert_array_equal(x.grad, [6.0, 10.0])
    np.testing.assert_array_equal(seed, [3.0, 5.0])
    y = leaf(np.array([1.0, 2.0]))
    x.grad = None
    (double(x) + double(y)).backward(seed)  # passed on to two
    np.testing.assert_array_equal([x.grad, y.grad], [[6.0, 10.0]] * 2)
    assert not calls


def test_a_faster_rule_does_not_write_over_a_gradient_that_is_returned(doubled):
    double, calls = doubled
    x = leaf(np.array([1.0, 2.0]))
    h = double(x)
    at_h, at_x = ag.sum(h * np.array([3.0, 5.0])).gradient(h, x)
    np.testing.assert_array_equal([at_h.data, at_x.data], [[3.0, 5.0], [6.0, 10.0]])
    assert len(calls) == 1
    slope = ag.sum(double(x) * x).gradient(x, create_graph=True)
    np.testing.assert_array_equal(ag.sum(slope).gradient(x).data, [4.0, 4.0])


def test_a_faster_rule_does_not_write_over_one_array_for_two_inputs(doubled):
    double, calls = doubled

    def rule(g):
        both = g * 3
        return both, both

    add = Primitive(lambda x, y: 3 * (x + y))
    add.name = "add3"
    add.vjp(x=rule, y=rule)
    x, y = leaf(np.array([1.0, 2.0])), leaf(np.array([1.0, 2.0]))
    ag.sum(add(double(x), double(y)) * np.array([3.0, 5.0])).backward()
    np.testing.assert_array_equal([x.grad, y.grad], [[18.0, 30.0]] * 2)
    assert not calls
