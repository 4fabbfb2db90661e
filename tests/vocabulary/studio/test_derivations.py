"""The printed derivation of random functions over the whole vocabulary gives the numbers of the walk."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from vocabulary.random_functions import FAST, LEAVES, SLOW, function, numpy_names, program


def check(seed):
    text, leaves = program(seed)
    f = function(text, numpy_names())
    variables = [Tensor(v, requires_grad=True) for v in leaves.values()]
    loss = f(*variables)
    loss.backward()
    value, gradients = ag.trace(f, *leaves.values()).program().run()
    np.testing.assert_array_equal(value, loss.data, text)
    for name, variable in zip(LEAVES, variables, strict=True):
        np.testing.assert_array_equal(gradients[name], variable.grad, text)


@pytest.mark.parametrize("seed", FAST)
def test_the_derivation_of_a_random_function(seed):
    check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [SLOW[i : i + 50] for i in range(0, len(SLOW), 50)], ids=str)
def test_the_derivations_of_more_random_functions(seeds):
    for seed in seeds:
        check(seed)


def test_linear_algebra_is_called_by_its_own_names():
    @ag.primitive
    def volume(x):
        return np.linalg.det(x)

    volume.vjp(x=lambda g, x: g * np.linalg.det(x) * ag.linalg.inv(x).T)
    x = Tensor(np.random.default_rng(0).normal(size=(3, 3)), requires_grad=True, name="x")
    out = volume(x) + ag.linalg.norm(ag.linalg.inv(x), "nuc")
    source = out.graph().program().source
    for call in (
        "linalg_inv = ag.linalg.inv(x)",
        "ag.linalg.svd_rows(linalg_inv)",
        "np.linalg.det(x) * ag.linalg.inv(x)",
    ):
        assert call in source


def test_a_standalone_program_of_scipys_functions_is_refused():
    graph = ag.trace(lambda x: ag.sum(ag.special.erf(x)), Tensor(np.ones(2), requires_grad=True))
    with pytest.raises(ValueError, match="special.erf is SciPy's, and needs more than NumPy.*: then the program"):
        graph.program(standalone=True)
