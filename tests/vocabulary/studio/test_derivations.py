"""The printed derivation of chains of uses gives the numbers of the walk."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from studio.programs import check
from vocabulary.chains import CHAINS, FAST, SLOW, function_of, leaves_of, title


@pytest.mark.parametrize(
    "number", [*FAST, *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)], ids=lambda n: f"{n} {title(CHAINS[n])}"
)
def test_the_derivation_of_a_chain_of_uses(number):
    check(function_of(CHAINS[number]), *leaves_of(CHAINS[number]))


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
    with pytest.raises(ValueError, match="special.erf is in no file that needs NumPy alone.*: then the program"):
        graph.program(standalone=True)
