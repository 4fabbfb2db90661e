"""Every use under `vmap` beside a loop over the examples; functions whose steps depend on numbers, of all examples."""

import numpy as np
import pytest

import autograd_cnn as ag
import vmapped
from autograd_cnn.engine.tensor import Tensor
from uses import every_use

RNG = np.random.default_rng(0)
XS, W = RNG.normal(size=(5, 3)), RNG.normal(size=(3, 2))
MATRICES = RNG.normal(size=(5, 3, 3)) * np.array([1, 1, 1, 1, 20.0]).reshape(5, 1, 1)


def loop(f, *args):
    return np.stack([np.asarray(f(*example)) for example in zip(*args, strict=True)])


@pytest.mark.parametrize(("f", "args"), [
    (lambda a, b: np.linalg.lstsq(a, b)[0], (MATRICES[..., :2], XS)),
    (np.unwrap, (5 * XS,)),
])  # fmt: skip
def test_functions_whose_steps_depend_on_numbers(f, args):
    np.testing.assert_allclose(ag.vmap(f)(*args), loop(f, *args), rtol=1e-8, atol=1e-10)

    def first(x, *rest):
        return ag.sum(ag.sin(f(x, *rest)))

    np.testing.assert_allclose(ag.vmap(ag.grad(first))(*args), loop(ag.grad(first), *args), rtol=1e-8, atol=1e-10)


def test_quantiles_of_an_outer_value_inside_an_inner_vmap():
    for f in (lambda x, a: a * np.quantile(x, 0.3), lambda x, a: np.median(x * a)):
        got = ag.vmap(lambda x, f=f: ag.vmap(lambda a: f(x, a))(W[0]))(XS)
        np.testing.assert_allclose(got, [[f(x, a) for a in W[0]] for x in XS])


def test_least_squares_of_an_example_without_full_rank():
    with pytest.raises(ValueError, match=r"linalg.lstsq: .*a has rank 1"):
        ag.vmap(lambda a, b: np.linalg.lstsq(a, b)[0])(MATRICES * [[[1], [1], [0]]] * [[[1], [0], [0]]], XS)


def test_jacobians_of_complex_functions():
    z = XS + 1j * XS[::-1]
    for f in (np.exp, lambda z: z @ W * 1j):
        np.testing.assert_allclose(ag.vmap(ag.jacobian(f))(z), loop(ag.jacobian(f), z))
    with pytest.raises(ValueError, match="f is not holomorphic"):
        ag.vmap(ag.jacobian(lambda z: abs(z) * z))(z)


def test_complex_numbers_are_sorted():
    z = np.array([[2 + 1j, 1j, 1], [3, 2j, 2 - 1j]])
    assert ag.vmap(np.sort)(z).tolist() == np.sort(z).tolist()


# They draw numbers, have shapes that depend on numbers, or results that are plain arrays without vmap alone.
NOT_MAPPED = """
    divmod dropout dropout2d frexp linalg.lstsq linalg.slogdet modf scaled_dot_product_attention
    trim_zeros
""".split()
USES = [u for u in every_use() if u.name not in NOT_MAPPED]


@pytest.mark.slow
@pytest.mark.parametrize("use", USES, ids=lambda use: use.name)
def test_a_use_and_its_gradients(use):
    """Each input has examples of its own, then the first alone; all have the order of the use's own numbers."""

    def f(*inputs):
        result = use.f(*(x if isinstance(x, Tensor) else Tensor(x) for x in inputs))
        parts = result if isinstance(result, (list, tuple)) else [result]
        return [np.real(p) for p in parts if isinstance(p, Tensor)]

    inputs = [np.asarray(x, float) for x in use.inputs]
    weights = [np.cos(np.arange(p.size)).reshape(p.shape) for p in f(*map(Tensor, inputs))]
    for axes in [0] * len(inputs), [0, *[None] * (len(inputs) - 1)]:
        given = [x if axis is None else np.stack([x, 0.99 * x, 0.98 * x]) for x, axis in zip(inputs, axes, strict=True)]
        for g in f, vmapped.slopes(f, weights, [i for i, axis in enumerate(axes) if axis == 0]):
            vmapped.check(vmapped.mapped(g, given, axes)[0], vmapped.looped(g, given, axes, 3), use.name, 1e-8)
