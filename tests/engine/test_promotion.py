"""Which dtype comes out: a plain number is weak, whatever wraps it; so is an integer array."""

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
