"""Trees of arrays: as arguments of transforms, and as one vector."""

from collections import OrderedDict, defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn
from autograd_cnn.calculus.trees import tree_items
from autograd_cnn.engine.tensor import Tensor


class Pair(NamedTuple):
    w: object
    b: object


@dataclass(frozen=True)
class Layer:
    w: object
    rest: object = None


def tree():
    return {
        "pair": Pair(np.arange(6.0).reshape(2, 3), 7.0),
        "layer": Layer(np.float32([8.0, 9.0]), [np.zeros((0, 2)), None]),
    }


def test_a_tree_becomes_one_vector_and_back():
    vector, unravel = ag.ravel_pytree(tree())
    np.testing.assert_array_equal(vector, [0, 1, 2, 3, 4, 5, 7, 8, 9])
    again = unravel(vector + 1)
    assert isinstance(again["pair"], Pair) and isinstance(again["layer"], Layer) and again["layer"].rest[1] is None
    for (place, got), (same, was) in zip(tree_items(again), tree_items(tree()), strict=True):
        assert (place, np.shape(got), got.dtype) == (same, np.shape(was), np.asarray(was).dtype)
        np.testing.assert_array_equal(got, was + 1)
    with pytest.raises(ValueError, match=r"unravel: got \(8,\), the tree has 9 numbers: want \(9,\)"):
        unravel(np.zeros(8))


def test_integers_are_refused():
    with pytest.raises(TypeError, match="ravel_pytree: a leaf is int64, want floats"):
        ag.ravel_pytree({"w": np.ones(2), "n": 3})


def test_gradients_flow_through_both():
    x = Tensor([1.0, 2.0], requires_grad=True)
    vector, unravel = ag.ravel_pytree({"x": x, "y": [np.array(3.0)]})
    back = unravel(vector * vector)
    (back["x"] * back["y"][0]).sum().backward()  # 9 * (x0**2 + x1**2)
    np.testing.assert_array_equal(x.grad, [18, 36])


def test_a_module_is_a_dict_of_its_parameters(rng):
    model = nn.Linear(3, 2, rng=rng)
    vector, unravel = ag.ravel_pytree(model)
    assert type(vector) is np.ndarray
    assert vector.shape == (8,)
    for name, array in unravel(2 * vector).items():
        np.testing.assert_array_equal(array, 2 * dict(model.named_parameters())[name].data)
    vector[:] = 0
    assert model.w.data.any()


def test_transforms_take_dataclasses_and_namedtuples():
    def f(p):
        return ag.sum(p.w * p.w)

    g = ag.grad(f)(Layer(np.array([1.0, 2.0])))
    assert isinstance(g, Layer)
    np.testing.assert_array_equal(g.w, [2, 4])
    (product,) = ag.hvp(f, (Layer(np.array([1.0, 2.0])),), (Layer(np.array([1.0, 0.0])),))
    np.testing.assert_array_equal(product.w, [2, 0])
    j = ag.jacobian(lambda p: p.w * p.b)(Pair(np.array([1.0, 2.0]), np.array(3.0)))
    np.testing.assert_array_equal(j.w, 3 * np.eye(2))
    np.testing.assert_array_equal(j.b, [1, 2])


def test_a_mapping_keeps_its_class():
    ordered = ag.grad(lambda p: p["b"] * p["a"])(OrderedDict(b=2.0, a=3.0))
    assert type(ordered) is OrderedDict
    assert [*ordered.items()] == [("b", 3), ("a", 2)]
    counted = defaultdict(list, a=2.0)
    found = ag.grad(lambda p: p["a"] * 3)(counted)
    assert found["a"] == 3
    assert found["none"] == []
    assert [*counted] == ["a"]


@dataclass
class Checked:
    w: object
    size: int = field(init=False, default=7)

    def __post_init__(self):
        if self.w is None:
            raise ValueError("w is None")


def test_a_dataclass_is_built_again_from_its_leaves_only():
    """Listing leaves builds nothing; a field that `__init__` does not take is no part of the tree."""
    p, tangent = Checked(np.array([1.0, 2.0])), Checked(np.array([1.0, 0.0]))
    g = ag.grad(lambda p: ag.sum(p.w**2))(p)
    np.testing.assert_array_equal(g.w, [2, 4])
    np.testing.assert_array_equal(ag.jvp(lambda p: p.w**2, (p,), (tangent,))[1], [2, 0])
    assert ag.ravel_pytree(p)[0].tolist() == [1, 2]


def test_a_module_stands_for_a_dict_of_its_parameters(rng):
    """In derivatives of every order, and where `f` differentiates it itself."""
    model = nn.Sequential(nn.Linear(3, 2, rng=rng, dtype=np.float64), ag.tanh, nn.Linear(2, 1, rng=rng, dtype=float))
    x, before = rng.normal(size=(4, 3)), model.state_dict()
    p = {n: q.data for n, q in model.named_parameters()}
    t = {n: rng.normal(size=a.shape) for n, a in p.items()}

    def of_model(m):
        return ag.sum(m(x) ** 3)

    def of_dict(p):
        return of_model(partial(ag.functional_call, model, p))

    for transform in (
        lambda f, p: ag.grad(f)(p), lambda f, p: ag.hvp(f, (p,), (t,)), lambda f, p: ag.jvp(f, (p,), (t,)),
        lambda f, p: ag.vjp(f, p)[1](2.0), lambda f, p: ag.hessian(f)(p),
        lambda f, p: ag.jacobian(lambda p: ag.grad(f)(p)["0.w"])(p),
    ):  # fmt: skip
        pairs = zip(tree_items(transform(of_model, model)), tree_items(transform(of_dict, p)), strict=True)
        for (place, got), (same, want) in pairs:
            assert place == same
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-14)
    assert all((a == before[n]).all() for n, a in model.state_dict().items())
    with pytest.raises(TypeError, match=r"argument 0\[0\] is .*a Module as an argument of its own"):
        ag.grad(lambda ms: of_model(ms[0]))([model])
