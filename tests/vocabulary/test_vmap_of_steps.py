"""Functions under `vmap` whose steps depend on numbers: of all examples."""

import numpy as np
import pytest

import autograd_cnn as ag

RNG = np.random.default_rng(0)
XS, W = RNG.normal(size=(5, 3)), RNG.normal(size=(3, 2))
MATRICES = RNG.normal(size=(5, 3, 3)) * np.array([1, 1, 1, 1, 20.0]).reshape(5, 1, 1)


def loop(f, *args):
    return np.stack([np.asarray(f(*example)) for example in zip(*args, strict=True)])


@pytest.mark.parametrize(
    ("f", "args"),
    [
        (ag.linalg.expm, (MATRICES[:4],)),
        (ag.linalg.expm, (MATRICES[4:] / 10,)),
        (lambda a, b: np.linalg.lstsq(a, b)[0], (MATRICES[..., :2], XS)),
        (np.unwrap, (5 * XS,)),
    ],
)
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
