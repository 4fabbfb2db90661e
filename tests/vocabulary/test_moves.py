"""Operations that move elements, at their edges: empty results, dtypes, wrong arguments, and assignment in a copy."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor


@pytest.fixture
def x():
    return Tensor(np.arange(6, dtype=np.float32).reshape(2, 3), requires_grad=True, name="x")


EMPTY = [
    lambda x: np.tile(x, (2, 0)), lambda x: np.repeat(x, 0, axis=1), lambda x: np.repeat(x, 0),
    lambda x: np.repeat(x, [0, 0], axis=0), lambda x: np.resize(x, (0, 4)), lambda x: np.delete(x, [0, 1], axis=0),
    lambda x: np.diagonal(x, 7), lambda x: np.diagonal(x, -2), lambda x: np.split(x, [1, 1], axis=1)[1],
    lambda x: np.extract(x > 100, x),
    *(lambda x, ends=ends: np.trim_zeros(np.multiply(x[0], 0), ends) for ends in ("fb", "f", "b")),
    lambda x: np.take_along_axis(x, np.zeros((2, 0), int), axis=1), lambda x: x[[]],
]  # fmt: skip


@pytest.mark.parametrize("f", EMPTY)
def test_an_empty_result_gives_zeros(x, f):
    out = f(x)
    assert out.size == 0
    assert (out.shape, out.dtype) == (f(x.data).shape, np.float32)
    out.backward(np.ones(out.shape, np.float32))
    np.testing.assert_array_equal(x.grad, np.zeros((2, 3)))


def test_the_dtype_of_numpy_is_that_of_the_first_operand(x):
    """Where NumPy writes into a copy, whatever the dtype of the values."""
    wide = Tensor(np.ones(3), requires_grad=True)
    for out in (x.at[0].set(wide), x.at[0].add(wide), np.insert(x, 1, wide, axis=0)):
        assert out.dtype == np.float32
        wide.grad = None
        out.sum().backward()
        assert (wide.grad.dtype, wide.grad.tolist()) == (np.float64, [1, 1, 1])
    out = np.concatenate([x, x], dtype=np.float64)
    out.sum().backward()
    assert (out.dtype, x.grad.dtype) == (np.float64, np.float32)


def test_python_numbers_beside_float32(x):
    for out in (np.append(x, 1.0), np.block([x[0], 1.0]), np.insert(x, 0, 1.0), np.choose([0, 1, 1], [x[0], 2.0])):
        assert out.dtype == np.float32


def test_assignment_in_a_copy_changes_nothing_else():
    x = Tensor([1.0, 2.0, 3.0])
    index = np.array([0, 2])
    place = x.at[index]
    index[:] = 1
    y = place.set(0.0)
    assert (x.data.tolist(), y.data.tolist()) == ([1, 2, 3], [0, 2, 0])
    assert not y.requires_grad
    assert ag.set_at(np.arange(3), [1, 1], [7, 8]).tolist() == [0, 8, 2]
    assert ag.add_at([1.0, 2.0], [1, 1], [7, 8]).tolist() == [1, 17]


def test_a_result_of_a_network_may_be_assigned_to(x):
    h = ag.relu(x)
    h = h.at[:, 0].set(h[:, 1] * 2)
    h.sum().backward()
    np.testing.assert_array_equal(x.grad, [[0, 3, 1], [0, 3, 1]])


def test_the_last_value_that_is_written_receives_the_gradient(x):
    v = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    x[0].at[[1, 0, -2]].set(v).backward(np.array([10, 20, 30], np.float32))  # 1 and -2 are the same element
    assert v.grad.tolist() == [0, 10, 20]
    assert x.grad.tolist() == [[0, 0, 30], [0, 0, 0]]


def test_indices_of_a_triangle_are_plain_arrays(x):
    for f in (np.tril_indices_from, np.triu_indices_from, lambda x: np.diag_indices_from(x[:, :2])):
        for got, want in zip(f(x), f(x.data), strict=True):
            assert not isinstance(got, Tensor)
            np.testing.assert_array_equal(got, want)


def test_an_index_may_be_a_tensor(x):
    index = np.array([1, 0])
    for f in (
        lambda i: np.delete(x, i[:1], axis=0),
        lambda i: np.insert(x, i, 5.0, axis=0),
        lambda i: np.split(x, i, axis=1)[0],
        lambda i: np.array_split(x, i)[-1],
        lambda i: np.take(x, i, axis=0),
        lambda i: np.take_along_axis(x, i[:, None], axis=1),
        lambda i: np.repeat(x, i, axis=0),
        lambda i: np.compress(i, x, axis=0),
    ):
        np.testing.assert_array_equal(f(Tensor(index)).data, f(index).data)


def test_a_triangle_of_bools_has_bools():
    """It is used as a mask: as integers it would be an index."""
    for mask in (np.ones((2, 2), bool), Tensor(np.ones((2, 2), bool))):
        for f in (ag.tril, ag.triu):
            assert f(mask).dtype == bool
