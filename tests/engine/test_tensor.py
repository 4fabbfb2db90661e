"""A Tensor as a Python object: operators, methods, copies, pickles."""

import copy
import operator
import pickle

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from leaves import leaf, recorded

# Operators and methods


OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]


@pytest.mark.parametrize("f", OPERATORS)
@pytest.mark.parametrize(
    "other", [2, 2.0, np.float64(2), np.float32(2), np.int64(2), np.array(2.0), np.array([1.0, 2.0])], ids=repr
)
def test_operators_on_either_side(f, other):
    x = np.array([1.0, 3.0])
    for out, want in ((f(leaf(x), other), f(x, other)), (f(other, leaf(x)), f(other, x))):
        np.testing.assert_array_equal(recorded(out).data, want)
        out.sum().backward()


def test_operators_of_two_tensors_and_one():
    x, y = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    for f in OPERATORS:
        np.testing.assert_array_equal(recorded(f(x, y)).data, f(x.data, y.data))
    for f in (operator.neg, operator.pos, abs):
        np.testing.assert_array_equal(recorded(f(x)).data, f(x.data))
    m = leaf(np.ones((2, 3)))
    recorded(m @ np.ones((3, 4)))
    recorded(np.ones((4, 2)) @ m)
    recorded(m.T)


def test_plus_equals_makes_a_new_tensor():
    x = leaf([1.0, 2.0])
    h = kept = x * 1
    h += 1
    h *= 2
    h -= x
    h /= 2
    np.testing.assert_array_equal(kept.data, [1, 2])
    np.testing.assert_array_equal(h.data, [1.5, 2])
    h.sum().backward()
    np.testing.assert_array_equal(x.grad, [0.5, 0.5])


def test_python_functions():
    a, b = leaf([1.0, 2.0]), leaf([3.0, 4.0])
    total = recorded(sum([a, b]))
    np.testing.assert_array_equal(total.data, [4, 6])
    assert len(a) == 2
    assert [v.item() for v in a] == [1, 2]
    assert all(v.requires_grad for v in a)
    first, second = a
    recorded(first + second)
    assert max(a.tolist()) == 2
    assert 2.0 in a
    assert (float(Tensor(2.5)), int(leaf(2.5)), bool(leaf(0.0))) == (2.5, 2, False)
    assert list(range(5))[Tensor(3)] == 3
    assert {a: 1}[a] == 1


def test_methods_are_those_of_arrays_and_the_packages_own():
    """tests/uses calls most of them."""
    x = leaf(np.arange(24.0).reshape(2, 3, 4))
    assert recorded(x.relu().tanh().logsumexp()).shape == ()
    with pytest.raises(AttributeError, match="Tensor has no 'relo'"):
        _ = x.relo


# Copies


def test_a_leaf_travels(tmp_path):
    w = leaf(np.array([1.0, 2.0], np.float32), name="conv1.w")
    (w * w).sum().backward()
    for other in (copy.copy(w), copy.deepcopy(w), pickle.loads(pickle.dumps(w))):
        assert (other.name, other.dtype, other.requires_grad, other.is_leaf) == ("conv1.w", np.float32, True, True)
        np.testing.assert_array_equal(other.data, w.data)
        np.testing.assert_array_equal(other.grad, w.grad)
        assert not np.shares_memory(other.data, w.data)
        assert not np.shares_memory(other.grad, w.grad)
        (other * 3).sum().backward()
    np.testing.assert_array_equal(w.grad, [2, 4])
    plain = pickle.loads(pickle.dumps(Tensor([1, 2], name="labels")))
    assert (plain.name, plain.requires_grad, plain.grad, plain.dtype) == ("labels", False, None, np.int64)


def test_a_shared_parameter_stays_shared():
    w = leaf([1.0])
    first, second = copy.deepcopy([w, w])
    assert first is second
    first, second = pickle.loads(pickle.dumps([w, w]))
    assert first is second


def test_a_tensor_copies_what_it_is_made_of():
    array = np.ones(2)
    x = leaf(array)
    array[0] = 5
    np.testing.assert_array_equal(x.data, [1, 1])
    x.numpy()[0] = 5
    np.testing.assert_array_equal(x.data, [1, 1])


# Inputs come back as they went in, whatever their memory looks like.


@pytest.mark.parametrize(
    "layout",
    [np.ascontiguousarray, np.asfortranarray, lambda a: np.repeat(a, 2, axis=-1)[..., ::2], lambda a: a[::-1][::-1]],
)
def test_any_layout_read_only_gives_the_same(layout, rng):
    x = layout(rng.normal(size=(2, 6, 6, 3)))
    w = rng.normal(size=(3, 3, 3, 4))
    x.flags.writeable = False
    before = x.copy()
    a, b = leaf(x), leaf(w)
    a.data = x  # the very array
    ag.max_pool2d(ag.relu(ag.conv2d(a, b)), 2).sum().backward()
    c, d = leaf(before), leaf(w)
    ag.max_pool2d(ag.relu(ag.conv2d(c, d)), 2).sum().backward()
    np.testing.assert_array_equal(x, before)
    np.testing.assert_allclose(a.grad, c.grad, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(b.grad, d.grad, rtol=1e-12, atol=1e-12)
