"""Which dtype comes out: a plain number is weak, whatever wraps it; so is an integer array."""

import operator

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from leaves import leaf, recorded

NUMBERS = [
    2, 2.0, True, np.float64(2), np.float32(2), np.int64(2), np.uint8(2), np.sqrt(2 / 3), np.array(2.0), np.array(3),
    np.arange(1, 4), np.array([True] * 3), [1.0, 2.0, 3.0], [1, 2, 3], Tensor(2.0), Tensor(np.arange(1, 4)),
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "power", "maximum", "minimum"])
def test_float32_stays_float32(name, number):
    f = getattr(ag, name)
    for shape in ((3,), ()):
        for swapped in (False, True):
            x = leaf(np.full(shape, 1.5), np.float32)
            out = f(number, x) if swapped else f(x, number)
            slope = ag.sum(out).gradient(x, create_graph=True)
            assert (out.dtype, slope.dtype) == (np.float32, np.float32)
            if slope.requires_grad:
                ag.sum(slope).backward()
                assert x.grad.dtype == np.float32


@pytest.mark.parametrize("number", NUMBERS, ids=repr)
def test_float32_stays_float32_in_where(number):
    x = leaf([1.0, 2.0, 3.0], np.float32)
    out = ag.where(x > 1, x, number)
    out.sum().backward()
    assert (out.dtype, x.grad.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize("f", [
    lambda x: ag.leaky_relu(x, np.float64(0.1)),
    lambda x: ag.leaky_relu(x, np.array(0.1)),
    lambda x: ag.clip(x, np.float64(0), np.float32(1)),
    lambda x: ag.cross_entropy(x, np.array([0, 1]), label_smoothing=np.float64(0.1)),
    lambda x: ag.dropout(x, np.float64(0.5), np.random.default_rng(0)),
])  # fmt: skip
def test_an_option_that_numpy_wraps_is_a_plain_number(f):
    x, same = (leaf(np.eye(2), np.float32) for _ in range(2))
    out = f(x)
    ag.sum(out).backward()
    assert (out.dtype, x.grad.dtype) == (np.float32, np.float32)
    with ag.no_grad():
        assert f(same).dtype == np.float32


def test_a_raw_call_is_numpys():
    x = np.ones(3, np.float32)
    assert ag.multiply(x, np.float64(2)).dtype == np.float64
    assert type(ag.exp(x)) is np.ndarray
    assert type(ag.exp(1.0)) is np.float64


def test_arrays_promote_as_numpy_does():
    x, batch = leaf([1.0, 2.0], np.float32), np.ones(2)
    out = x * batch
    out.sum().backward()
    assert (out.dtype, x.grad.dtype) == (np.float64, np.float32)


def test_astype():
    x = leaf([1.0, 2.0], np.float32)
    out = recorded(x.astype(np.float64))
    (out * out).sum().backward()
    assert (out.dtype, x.grad.dtype) == (np.float64, np.float32)
    assert x.astype(np.int64).dtype == np.int64
    for converted in (x.astype(int), ag.astype(x, int), ag.astype(x, bool)):
        assert type(converted) is Tensor
        assert not converted.requires_grad


@pytest.mark.parametrize("data", [[1, 2], [True, False], np.arange(3, dtype=np.uint8)])
def test_only_floats_have_a_gradient(data):
    with pytest.raises(TypeError, match="only floats have a gradient"):
        Tensor(data, requires_grad=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
@pytest.mark.parametrize(("f", "shapes"), [
    (ag.conv2d, ((1, 3, 3, 2), (2, 2, 2, 3))), (ag.linear, ((2, 3), (3, 2))), (ag.matmul, ((2, 3), (3, 2))),
    (ag.conv_transpose2d, ((1, 3, 3, 3), (2, 2, 2, 3))),
])  # fmt: skip
def test_heavy_operations_refuse_integers(f, shapes, dtype):
    x, w = (np.ones(shape) for shape in shapes)
    with pytest.raises(TypeError, match="Convert once"):
        f(x.astype(dtype), leaf(w, np.float32))
    with pytest.raises(TypeError, match="Convert once"):
        f(leaf(x, np.float32), w.astype(dtype))


def test_lists_of_integers_are_numbers():
    x = leaf([[1.0, 2.0], [3.0, 4.0]], np.float32)
    for f in (lambda x: x @ [1, 2], lambda x: [1, 2] @ x, lambda x: np.dot(x, [[1, 0], [0, 1]])):
        assert f(x).dtype == np.float32
        np.testing.assert_array_equal(f(x).data, f(x.data))
    with pytest.raises(TypeError, match=r"Convert once: y.astype\(np.float64\)"):
        ag.matmul(leaf([[1.0]]), np.array([1]))


def test_a_network_in_float32_holds_nothing_else(rng):
    """Every array reachable from a loss, before the walk, in it, and after it."""
    x = rng.normal(size=(4, 8, 8, 3)).astype(np.float32)
    w1, b1, scale, shift = (leaf(rng.normal(size=s), np.float32) for s in ((3, 3, 3, 4), (4,), (4,), (4,)))
    w2, b2 = leaf(rng.normal(size=(64, 5)), np.float32), leaf(np.zeros(5), np.float32)
    h = ag.relu(ag.batch_norm(ag.conv2d(x, w1, b1, padding=1), scale, shift))
    h = ag.dropout(ag.max_pool2d(h, 2), 0.5, rng)
    z = ag.gelu(ag.linear(ag.flatten(h, 1), w2, b2) * np.sqrt(2 / 64))
    loss = ag.cross_entropy(z, np.arange(4), label_smoothing=0.1) + 1e-4 * ag.sum(w1 * w1) / 2

    visited, arrays, nodes = set(), [], [loss._node]
    while nodes:
        node = nodes.pop()
        if id(node) not in visited:
            visited.add(id(node))
            arrays += [a for a in getattr(node, "saved", None) or () if isinstance(a, np.ndarray)]
            nodes += [n for n in getattr(node, "inputs", ()) if hasattr(n, "birth")]
    kinds = {a.dtype for a in arrays if a.dtype.kind == "f"}
    loss.backward()
    kinds |= {p.grad.dtype for p in (w1, b1, scale, shift, w2, b2)} | {loss.dtype, h.dtype, z.dtype}
    assert kinds == {np.dtype(np.float32)}


ORDERS = ["<f2", ">f2", ">f4", "<f8", ">f8", "g"]


@pytest.mark.parametrize("dtype", ORDERS)
@pytest.mark.parametrize(("f", "shapes"), [
    (ag.conv2d, ((1, 8, 8, 2), (3, 3, 2, 3))), (ag.linear, ((2, 3), (3, 2))), (ag.matmul, ((2, 3), (3, 2))),
    (ag.conv_transpose2d, ((1, 3, 3, 3), (2, 2, 2, 3))),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore:.*beside float32")
def test_other_floats_beside_float32_compute_in_the_wider(f, shapes, dtype, rng):
    arrays = [rng.normal(size=shape) for shape in shapes]
    wide = np.result_type(np.float32, dtype)
    for kinds in (("f4", dtype), (dtype, "f4")):
        given = [a.astype(kind) for a, kind in zip(arrays, kinds, strict=True)]
        leaves, exact = ([Tensor(a, requires_grad=True) for a in g] for g in (given, [a.astype(wide) for a in given]))
        out, want = f(*leaves), f(*exact)
        assert out.dtype == wide
        np.testing.assert_allclose(out.data, want.data, rtol=1e-4, atol=1e-5)
        out.sum().backward()
        want.sum().backward()
        for x, y, kind in zip(leaves, exact, kinds, strict=True):
            assert x.grad.dtype == kind
            np.testing.assert_allclose(x.grad, y.grad, rtol=1e-2)


def test_foreign_byte_order_warns_as_float64_does():
    with pytest.warns(UserWarning, match="matmul: y is float64 beside float32: computing in float64"):
        ag.matmul(leaf(np.eye(2), np.float32), np.eye(2, dtype=">f8"))


# Arrays of other classes


class Table:
    """Like a DataFrame: no array, but convertible to one."""

    def __array__(self, dtype=None, copy=None):
        return np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)


class Tagged(np.ndarray):
    pass


@pytest.mark.parametrize(
    "make", [lambda a: a.view(np.matrix), lambda a: a.view(Tagged), lambda a: a.view(np.recarray), lambda a: Table()]
)
@pytest.mark.parametrize("f", [lambda w, m: w * m, lambda w, m: m * w, lambda w, m: ag.multiply(m, w), np.multiply])
def test_an_array_of_another_class_is_a_plain_operand(f, make):
    numbers = np.array([[1, 2], [3, 4]], np.float32)
    w, operand = leaf(np.ones((2, 2)), np.float32), make(numbers.copy())
    out = f(w, operand)
    assert type(out.data) is np.ndarray
    if isinstance(operand, np.ndarray):
        operand[...] = 99  # a copy was saved
    out.sum().backward()
    np.testing.assert_array_equal(w.grad, numbers)
    assert type(w.grad) is np.ndarray


def test_a_tensor_and_its_gradients_are_plain_arrays():
    m = np.array([[1.0, 2.0]]).view(np.matrix)
    x = Tensor(m, requires_grad=True)
    assert type(x.data) is np.ndarray
    x.data = m
    assert type(x.data) is np.ndarray
    x.grad = m
    assert type(x.grad) is np.ndarray
    x.grad = None
    (x * 3).backward(m)
    assert type(x.grad) is np.ndarray
    np.testing.assert_array_equal(x.grad, [[3, 6]])


MASKED = np.ma.array([1.0, 2.0], mask=[False, True])


@pytest.mark.parametrize("f", [
    lambda x, other: x * other, lambda x, other: ag.stack([x, other]),
    lambda x, other: Tensor(other), lambda x, other: setattr(x, "data", other),
    lambda x, other: (x * 2).backward(other),
    lambda x, other: np.maximum(x, other), lambda x, other: ag.linear(x.reshape(1, 2), x.reshape(2, 1), other[:1]),
])  # fmt: skip
def test_masked_arrays_are_refused(f):
    with pytest.raises(TypeError, match="is a masked array\n"):
        f(leaf([1.0, 2.0]), MASKED)


def test_a_masked_array_on_the_left_is_refused():
    for f in (operator.mul, operator.add, operator.truediv, operator.iadd, operator.gt, np.ma.multiply, np.ma.maximum):
        with pytest.raises(TypeError, match=r"x would leave the graph: .* x\.data"):
            f(MASKED, Tensor([1.0, 2.0], requires_grad=True, name="x"))


def test_a_masked_gradient_is_refused():
    with pytest.raises(TypeError, match="grad is a masked array"):
        leaf([1.0, 2.0]).grad = MASKED


def test_ragged_lists_are_refused():
    with pytest.raises(ValueError, match="Tensor: data is a list of parts of different lengths\nPad them"):
        Tensor([[1, 2], [3]])
    with pytest.raises(ValueError, match=r"add: y is a list of parts of different lengths"):
        ag.add(leaf([1.0, 2.0]), [[1, 2], [3]])
