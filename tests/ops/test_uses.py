"""Every use of an operation: NumPy's own value, derivatives of first and second order, float32, and its other names."""

import re
from operator import attrgetter

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.calculus.check import check_gradients
from autograd_cnn.engine.primitive import Primitive
from autograd_cnn.engine.registry import registry
from autograd_cnn.engine.tensor import Tensor
from uses import every_use

USES = every_use()
FIRST = {use.name: use for use in reversed(USES)}
OTHER = (
    "linalg.eig linalg.eigh linalg.eigvals linalg.eigvalsh linalg.svd sort_complex".split()
)  # test_complex_numbers.py
every = pytest.mark.parametrize("use", USES, ids=[f"{u.name}-{i}" for i, u in enumerate(USES)])


def parts(result):
    """The arrays or Tensors of a result, which may be a list or a tuple of them."""
    return [p for r in result for p in parts(r)] if isinstance(result, (list, tuple)) else [result]


def joined(result):
    """The recorded numbers of a result in one Tensor, for derivatives."""
    recorded = [p for p in parts(result) if isinstance(p, Tensor)]
    return recorded[0] if len(recorded) == 1 else ag.concatenate([ag.reshape(p, (-1,)) for p in recorded])


@every
def test_value(use):
    got, want = parts(use.f(*(Tensor(x, requires_grad=True) for x in use.inputs))), parts(use.value())
    assert len(got) == len(want)
    assert any(isinstance(p, Tensor) and p.requires_grad for p in got)
    for g, w in zip(got, want, strict=True):
        array = np.asarray(g.data if isinstance(g, Tensor) else g)
        assert (array.shape, array.dtype) == (np.shape(w), np.asarray(w).dtype)
        np.testing.assert_allclose(array, w, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("second", [False, pytest.param(True, marks=pytest.mark.slow)])
@every
def test_derivatives(use, second):
    """The first of an operation's uses is differentiated twice; the others are, where there is more time."""
    order = use.order if second or use is FIRST[use.name] else 1
    assert check_gradients(lambda *x: joined(use.f(*x)), *use.inputs, order=order) < 1e-5


@every
def test_float32_stays_float32(use):
    leaves = [Tensor(np.float32(x), requires_grad=True) for x in use.inputs]
    out = joined(use.f(*leaves))
    assert out.dtype == np.float32
    out.backward(np.ones(out.shape, np.float32))
    for leaf in leaves:
        assert (leaf.grad.dtype, leaf.grad.shape) == (np.float32, leaf.shape)


def turned(x):
    """Complex numbers of the same lengths."""
    return np.asarray(x) * np.exp(1j * np.random.default_rng(np.size(x)).uniform(-1, 1, np.shape(x)))


@pytest.mark.slow
@pytest.mark.parametrize("use", [u for u in USES if u.name not in OTHER], ids=lambda u: u.name)
def test_complex_numbers(use):
    """A use has NumPy's value and the derivatives of complex numbers, too, or refuses them by name."""
    inputs = [turned(x) for x in use.inputs]
    try:
        got = parts(use.f(*(Tensor(x, requires_grad=True) for x in inputs)))
    except TypeError as error:
        refusals = (
            "(for|wants?) real numbers|no order|for the input types|is complex128|are complex numbers|Cannot cast"
        )
        assert re.search(refusals, str(error))
        return
    with np.errstate(all="ignore"):
        want = parts((use.want or use.f)(*inputs))
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(np.asarray(g.data if isinstance(g, Tensor) else g), w, rtol=1e-10, atol=1e-10)
    assert check_gradients(lambda *x: joined(use.f(*x)), *inputs) < 1e-5


def test_every_use_is_on_the_face():
    for use in USES:
        assert attrgetter(use.name)(ag).__doc__, use.name
        assert use.want is not None or attrgetter(use.name)(np)


def test_every_function_of_primitives_has_a_use():
    functions = {
        name
        for name, f in registry.items()
        if f.__module__.startswith("autograd_cnn.") and not isinstance(f, Primitive)
    }
    missing = functions - {u.name for u in USES}
    assert not missing, f"add lines for {missing} to the file of their kin in tests/uses or tests/vocabulary/uses"
