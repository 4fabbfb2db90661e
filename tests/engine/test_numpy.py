"""NumPy's functions, operators and dtypes around a Tensor: recorded, or refused, never an object array."""

import operator

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor


def leaf(data, dtype=None):
    return Tensor(np.array(data, dtype), requires_grad=True)


def recorded(out):
    assert type(out) is Tensor
    assert out.requires_grad
    assert out.dtype.kind == "f"
    return out


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
    for f in (operator.neg, abs):
        np.testing.assert_array_equal(recorded(f(x)).data, f(x.data))
    assert +x is x
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


UFUNCS = "negative exp log log1p expm1 sqrt square absolute abs sin cos tanh".split()
UFUNCS_OF_TWO = "add subtract multiply divide true_divide power maximum minimum".split()


@pytest.mark.parametrize("name", UFUNCS + UFUNCS_OF_TWO)
def test_a_ufunc_is_recorded(name):
    f, x = getattr(np, name), [0.5, 1.5]
    cases = [(leaf(x),)] if name in UFUNCS else [(leaf(x), [2.0, 1.0]), (np.array([2.0, 1.0]), leaf(x)), (leaf(x), 1)]
    for args in cases:
        out = recorded(f(*args))
        np.testing.assert_array_equal(out.data, f(*(a.data if isinstance(a, Tensor) else a for a in args)))


IMAGE = np.arange(24.0).reshape(2, 3, 4)
FUNCTIONS = {
    "sum": lambda x: np.sum(x, axis=1, keepdims=True),
    "mean": lambda x: np.mean(x, (0, 1)),
    "max": lambda x: np.max(x, axis=-1),
    "amin": lambda x: np.amin(x),
    "var": lambda x: np.var(x, axis=0, ddof=1),
    "std": lambda x: np.std(x, 1),
    "reshape": lambda x: np.reshape(x, (4, -1)),
    "transpose": lambda x: np.transpose(x, (2, 0, 1)),
    "squeeze": lambda x: np.squeeze(x[:, :1], 1),
    "expand_dims": lambda x: np.expand_dims(x, 1),
    "broadcast_to": lambda x: np.broadcast_to(x, (5, 2, 3, 4)),
    "concatenate": lambda x: np.concatenate([x, x], axis=1),
    "stack": lambda x: np.stack([x, 2 * x]),
    "pad": lambda x: np.pad(x, 1),
    "flip": lambda x: np.flip(x, 0),
    "take": lambda x: np.take(x, [0, 2], axis=1),
    "where": lambda x: np.where(np.greater(x, 5), x, 0.0),
    "clip": lambda x: np.clip(x, 3, 9),
    "matmul": lambda x: np.matmul(x, np.ones((4, 2))),
    "einsum": lambda x: np.einsum("ijk->ki", x),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_recorded(name):
    out = recorded(FUNCTIONS[name](leaf(IMAGE)))
    np.testing.assert_array_equal(out.data, FUNCTIONS[name](IMAGE))
    ag.sum(out).backward()


def test_methods_follow_numpy():
    x = leaf(IMAGE)
    for name, args in {
        "sum": (1,), "mean": (), "max": (0,), "min": (), "var": (), "std": (1,), "reshape": (6, 4), "squeeze": (),
        "transpose": (1, 0, 2), "clip": (2, 5), "take": ([1, 2],), "flatten": (),
    }.items():  # fmt: skip
        np.testing.assert_array_equal(recorded(getattr(x, name)(*args)).data, getattr(IMAGE, name)(*args))
    np.testing.assert_array_equal(recorded(x.reshape((6, 4))).data, IMAGE.reshape(6, 4))
    np.testing.assert_array_equal(recorded(x.transpose()).data, IMAGE.T)
    np.testing.assert_array_equal(recorded(x.transpose((1, 0, 2))).data, IMAGE.transpose(1, 0, 2))
    np.testing.assert_array_equal(recorded(x.copy()).data, IMAGE)
    assert recorded(x.relu().tanh().logsumexp()).shape == ()
    with pytest.raises(AttributeError, match="Tensor has no 'relo'"):
        _ = x.relo


def test_what_has_no_derivative_to_lose_is_a_plain_array():
    x, y = leaf([1.0, -2.0]), leaf([1.0, 3.0])
    for out in (
        x > 0, x == y, x != 1, x <= y, np.array([0.0, 0.0]) < x, np.isfinite(x), np.greater(x, y), np.sign(x),
        np.floor(x), np.argmax(x), np.argsort(x), x.argmax(), x.argmin(), np.any(x > 0), np.isclose(x, y), np.shape(x),
        np.zeros_like(x), np.logical_not(x), np.array_equal(x, y),
    ):  # fmt: skip
        assert not isinstance(out, Tensor)
        assert np.asarray(out).dtype != object
    np.testing.assert_array_equal(x == y, [True, False])
    np.testing.assert_array_equal(np.zeros_like(x), [0, 0])


def test_what_was_not_recorded_is_a_plain_array_to_numpy():
    x = Tensor([1.0, 2.0])
    np.testing.assert_array_equal(np.asarray(x), [1, 2])
    np.testing.assert_array_equal(np.array([x, x]), [[1, 2], [1, 2]])
    np.testing.assert_array_equal(np.asarray((leaf([1.0]) * 2).detach()), [2])
    assert np.asarray(x, dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize(
    "program",
    [
        lambda t: np.asarray(t),
        lambda t: np.array([t, t]),
        lambda t: np.arctan2(t, 1.0),
        lambda t: np.linalg.norm(t),
        lambda t: np.cumsum(t),
        lambda t: np.dot(t, t),
        lambda t: np.add.reduce(t),
        lambda t: np.multiply.outer(t, t),
        lambda t: np.add(np.ones(2), t, out=np.zeros(2)),
        lambda t: np.exp(t, where=np.array([True, False])),
        lambda t: np.add(t, 1, dtype=np.float32),
        lambda t: operator.imul(np.ones(2), t),
        lambda t: operator.iadd(np.ones(2), t),
        lambda t: np.copyto(np.zeros(2), t),
        lambda t: np.vectorize(float)(t),
        lambda t: np.mean(t, dtype=np.float32),
    ],
)
def test_what_would_leave_the_graph_is_refused(program):
    with pytest.raises(TypeError):
        program(leaf([1.0, 2.0]) * 1)


# A plain number is weak, whatever wraps it; so is an integer array.

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
    assert not x.astype(np.int64).requires_grad


@pytest.mark.parametrize("data", [[1, 2], [True, False], np.arange(3, dtype=np.uint8), [1j]])
def test_only_floats_have_a_gradient(data):
    with pytest.raises(TypeError, match="only floats have a gradient"):
        Tensor(data, requires_grad=True)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
@pytest.mark.parametrize(
    ("f", "shapes"),
    [(ag.conv2d, ((1, 3, 3, 2), (2, 2, 2, 3))), (ag.linear, ((2, 3), (3, 2))), (ag.matmul, ((2, 3), (3, 2))),
     (ag.conv_transpose2d, ((1, 3, 3, 3), (2, 2, 2, 3)))],
)  # fmt: skip
def test_heavy_operations_refuse_integers(f, shapes, dtype):
    x, w = (np.ones(shape) for shape in shapes)
    with pytest.raises(TypeError, match="Convert once"):
        f(x.astype(dtype), leaf(w, np.float32))
    with pytest.raises(TypeError, match="Convert once"):
        f(leaf(x, np.float32), w.astype(dtype))


def test_a_network_in_float32_holds_nothing_else(rng):
    """Every array reachable from a loss, before the walk, in it, and after it."""
    x = rng.normal(size=(4, 8, 8, 3)).astype(np.float32)
    w1, b1, scale, shift = (leaf(rng.normal(size=s), np.float32) for s in ((3, 3, 3, 4), (4,), (4,), (4,)))
    w2, b2 = leaf(rng.normal(size=(64, 5)), np.float32), leaf(np.zeros(5), np.float32)
    h = ag.relu(ag.batch_norm(ag.conv2d(x, w1, b1, padding=1), scale, shift))
    h = ag.dropout(ag.max_pool2d(h, 2), 0.5, rng)
    z = ag.gelu(ag.linear(ag.flatten(h, 1), w2, b2) * np.sqrt(2 / 64))
    loss = ag.cross_entropy(z, np.arange(4), label_smoothing=0.1) + 1e-4 * ag.sum(w1 * w1) / 2

    seen, arrays, nodes = set(), [], [loss._node]
    while nodes:
        node = nodes.pop()
        if id(node) not in seen:
            seen.add(id(node))
            arrays += [a for a in getattr(node, "saved", None) or () if isinstance(a, np.ndarray)]
            nodes += [n for n in getattr(node, "inputs", ()) if hasattr(n, "birth")]
    kinds = {a.dtype for a in arrays if a.dtype.kind == "f"}
    loss.backward()
    kinds |= {p.grad.dtype for p in (w1, b1, scale, shift, w2, b2)} | {loss.dtype, h.dtype, z.dtype}
    assert kinds == {np.dtype(np.float32)}


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
