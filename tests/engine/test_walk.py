"""The backward walk: which gradients it computes, where it puts them, and what it refuses to walk."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from leaves import leaf

# Gradients


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_any_tensor_of_size_1_is_one_number(shape):
    x = leaf(np.full(shape, 3.0))
    (x * x).backward()
    np.testing.assert_array_equal(x.grad, np.full(shape, 6.0))


def test_a_leaf_is_its_own_loss():
    x = leaf(3.0)
    x.backward()
    assert x.grad == 1


def test_an_explicit_gradient_weighs():
    x = leaf([1.0, 2.0])
    (x * x).backward(grad=[1, 10])
    np.testing.assert_array_equal(x.grad, [2, 40])


def test_a_tensor_used_twice_receives_twice():
    x = leaf(3.0)
    h = x * x
    (h + h).backward()
    assert x.grad == 12


def test_two_walks_double_the_leaves_and_nothing_else(rng):
    x, w = leaf(rng.normal(size=(4, 3))), leaf(rng.normal(size=(3, 2)))
    h = ag.tanh(x @ w)
    loss = (h * h).mean()
    loss.backward(retain_graph=True)
    once = x.grad.copy(), w.grad.copy()
    data = x.data.copy(), h.data.copy()
    loss.backward(retain_graph=True)
    np.testing.assert_array_equal(x.grad, 2 * once[0])
    np.testing.assert_array_equal(w.grad, 2 * once[1])
    np.testing.assert_array_equal(x.data, data[0])
    np.testing.assert_array_equal(h.data, data[1])
    loss.backward()
    np.testing.assert_allclose(w.grad, 3 * once[1], rtol=1e-15)
    with pytest.raises(RuntimeError, match="was walked before"):
        loss.backward()


@pytest.mark.parametrize("loss", [ag.mse, ag.bce_with_logits, ag.bce])
def test_reductions_of_a_loss_agree(loss, rng):
    p, y = rng.uniform(0.1, 0.9, (5, 3)), rng.uniform(size=(5, 3))
    mean, total = (ag.grad(lambda p, how=how: loss(p, y, how))(p) for how in ("mean", "sum"))
    np.testing.assert_allclose(total, p.size * mean, rtol=1e-12)
    twice = ag.grad(lambda p: loss(ag.concatenate([p, p]), np.concatenate([y, y])))(p)
    np.testing.assert_allclose(twice, mean, rtol=1e-12)  # a duplicated batch changes no mean


def test_an_unused_parameter_keeps_none():
    used, unused = leaf(1.0), leaf(1.0)
    (used * 2).backward()
    assert unused.grad is None


# Gradients of results, and of the walk itself


def test_interior_gradients():
    x = leaf(3.0)
    h = x * x
    loss = h * x
    dh, dx = loss.gradient(h, x)
    assert (dh, dx) == (3, 27)
    assert loss.gradient(loss) == 1
    assert x.grad is None  # touches no .grad
    with pytest.warns(UserWarning, match="h.grad is None: h is the result of multiply"):
        assert h.grad is None
    loss.backward()  # and has kept the graph
    assert x.grad == 27


def test_gradient_runs_only_the_rules_on_the_way_to_its_targets():
    calls = []

    @ag.primitive
    def spy(x):
        return x * 1

    spy.vjp(x=lambda g: calls.append(1) or g)
    a, b = leaf(1.0), leaf(2.0)
    (spy(a) * b).gradient(b)
    assert not calls


def test_create_graph_differentiates_the_walk():
    x = leaf(2.0)
    slope = (x**4).gradient(x, create_graph=True)
    curvature = slope.gradient(x, create_graph=True)
    assert [float(v.item()) for v in (slope, curvature, curvature.gradient(x, create_graph=True))] == [32, 48, 48]
    with ag.no_grad():  # which does not reach into the walk
        assert (x**4).requires_grad is False and curvature.gradient(x, create_graph=True).requires_grad

    (x**3).backward(create_graph=True)
    assert isinstance(x.grad, Tensor)
    first, x.grad = x.grad, None
    first.backward()
    assert x.grad == 12


def test_a_penalty_on_the_gradient():
    """d/dw of |d loss / d x|^2, as in gradient penalties."""
    x, w = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    slope = ag.sum(w * x**2).gradient(x, create_graph=True)
    ag.sum(slope**2).backward()
    np.testing.assert_array_equal(w.grad, 8 * w.data * x.data**2)


# Gradients belong to their leaf


def test_a_gradient_has_the_shape_and_dtype_of_its_leaf():
    w = leaf(np.ones((3, 1), np.float32))
    (w * np.ones((2, 1, 4))).sum().backward()  # float64 operand
    assert (w.grad.shape, w.grad.dtype) == ((3, 1), np.float32)


def test_gradients_share_no_memory():
    """Not with each other, not with the g that came in, not with what was saved."""
    a, b, c = (leaf(np.ones((2, 3))) for _ in range(3))
    g = np.ones((2, 3))
    out = a + b + ag.reshape(ag.transpose(ag.reshape(c, (3, 2))), (2, 3))
    out.backward(g, retain_graph=True)
    arrays = [a.grad, b.grad, c.grad, g, a.data, b.data, c.data, out.data]
    assert not any(np.shares_memory(p, q) for i, p in enumerate(arrays) for q in arrays[:i])
    for t in (a, b, c):
        t.grad += 1  # ours to write into
    np.testing.assert_array_equal(g, np.ones((2, 3)))
    loss = out.sum()
    loss.gradient(loss)[...] = 2
    assert loss.gradient(loss) == 1


def test_a_gradient_added_to_leaves_the_old_array_alone():
    x = leaf([1.0])
    (x * 2).backward()
    old = x.grad
    (x * 2).backward()
    assert (old, x.grad) == (2, 4)


def test_a_sum_that_others_share_is_added_into_a_fresh_contribution():
    places = {}

    @ag.primitive
    def middle(x):
        return x * 1

    @ag.primitive
    def double(x):
        return x * 2

    def twice(g):
        result = g * 2
        places["double"] = result.ctypes.data
        return result

    def note(g):
        places["middle"] = g.ctypes.data
        return g

    middle.vjp(x=note)
    double.vjp(x=twice)
    double.rules["x"].fresh = True  # as if it were of the package
    x = leaf(np.ones(1000))
    h = middle(x)
    (double(h) + h).sum().backward()  # the rules of the sum pass one g to both
    assert (x.grad == 3).all()
    assert places["middle"] == places["double"]
