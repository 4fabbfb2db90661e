"""`array` and `asarray`: nested lists of Tensors and numbers against NumPy's arrays of the same numbers."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor


def random_list(rng, shape, leaves):
    """Nested lists or tuples of this shape, in which an array or a Tensor may stand for a list."""
    if not shape or (len(shape) < 3 and rng.random() < 0.3):
        data = rng.normal(size=shape).astype(rng.choice([np.float32, np.float64]))
        kind = rng.integers(4)
        if kind == 0 and not shape:
            return float(data)
        if kind == 1:
            return data
        leaves.append(Tensor(data, requires_grad=True))
        return leaves[-1]
    return (list if rng.random() < 0.7 else tuple)(random_list(rng, shape[1:], leaves) for _ in range(shape[0]))


def numbers(value):
    if isinstance(value, (list, tuple)):
        return [*map(numbers, value)]
    return value.data if isinstance(value, Tensor) else value


@pytest.mark.parametrize("seed", range(60))
def test_nested_lists_have_numpys_values_and_a_gradient(seed):
    rng = np.random.default_rng(seed)
    leaves = []
    shape = [(3,), (2, 3), (2, 1, 3), (1,)][seed % 4]
    nested = [random_list(rng, shape[1:], leaves) for _ in range(shape[0])]
    want = np.array(numbers(nested))
    got = ag.array(nested)
    assert isinstance(got, Tensor) == bool(leaves)
    np.testing.assert_array_equal(np.asarray(got.data), want)
    assert got.dtype == want.dtype
    if leaves:  # linear: each gradient times a change is the change of the sum
        weights = rng.normal(size=want.shape)
        ag.sum(got * weights).backward()
        total = sum(float(np.sum(leaf.grad * leaf.data)) for leaf in leaves)
        before = float(np.sum(weights * want))
        for leaf in leaves:
            leaf.data = 2 * leaf.data
        assert float(np.sum(weights * ag.array(nested).data)) - before == pytest.approx(total, rel=1e-5, abs=1e-5)


def test_dtypes_are_numpys():
    x, y = Tensor(np.float32(2), requires_grad=True), Tensor(np.float32([1, 2]), requires_grad=True)
    assert ag.array([x, x]).dtype == np.float32
    assert ag.array([x, 1.0]).dtype == np.array([np.float32(2), 1.0]).dtype
    assert ag.array([y, np.ones(2)]).dtype == np.float64
    assert ag.array([x, 1.0], dtype=np.float32).dtype == ag.array(x, np.float32).dtype == np.float32
    assert ag.asarray(y, np.float64).dtype == np.float64


def test_a_tensor_is_copied_by_array_alone():
    x = Tensor([1.0, 2.0], requires_grad=True)
    assert ag.asarray(x) is x
    assert ag.array(x) is not x
    ag.array(x).sum().backward()
    assert x.grad.tolist() == [1, 1]
    plain = np.ones(2)
    assert ag.asarray(plain) is plain
    assert ag.array(plain) is not plain
    assert type(ag.array([[1, 2], [3, 4]])) is np.ndarray


def test_matrices_of_results_as_in_a_rotation():
    def rotated(angle):
        c, s = np.cos(angle), np.sin(angle)
        return ag.array([[c, -s], [s, c]]) @ np.array([1.0, 0.0])

    np.testing.assert_allclose(ag.jacobian(rotated)(0.5), [-np.sin(0.5), np.cos(0.5)])
    np.testing.assert_array_equal(np.array([Tensor(1.0), 2.0], like=Tensor(0.0)).data, [1, 2])


@pytest.mark.parametrize(("use", "option"), [
    (np.transpose, [1, 0]), (lambda w, axes: w.transpose(axes), [1, 0]), (np.take, [1, 2]),
    (lambda w, indices: w.take(indices), [1, 2]), (lambda w, shift: np.roll(w, shift, (0, 1)), [1, 2]),
    (lambda w, axis: np.roll(w, (1, 2), axis), [1, 0]), (lambda w, width: np.pad(w, [width, (0, 0)]), [1, 0]),
    (lambda w, width: np.pad(w, (width, (0, 0))), [1, 0]), (ag.cross_entropy, [0, 1, 3]),
])  # fmt: skip
def test_a_list_that_is_written_into_changes_no_gradient(use, option):
    grads = []
    for option_then in (option, option[::-1]):
        x, given = Tensor(np.random.default_rng(0).normal(size=(3, 4)), requires_grad=True), option[:]
        y = use(x, given)
        given[:] = option_then
        (y * np.random.default_rng(1).normal(size=y.shape)).sum().backward()
        grads.append(x.grad)
    np.testing.assert_array_equal(*grads)
