"""Programs of functions that look at numbers: what is computed again, and which constants a comment names."""

import re

import numpy as np
import pytest

import autograd_cnn as ag
from studio.programs import check_again

AGAIN = {
    "average": lambda x: ag.sum(ag.average(x, weights=x + 9) * ag.linalg.norm(x)),
    "embedding": lambda x: ag.sum(ag.embedding(np.array([0, 2]), x[:, None]) * ag.normalize(x)),
}


@pytest.mark.parametrize("name", AGAIN)
@pytest.mark.parametrize("standalone", [False, True])
def test_a_program_computes_decisions_again(name, standalone):
    check_again(AGAIN[name], standalone)


@pytest.mark.parametrize("standalone", [False, True])
def test_an_order_is_a_constant(standalone):
    x = np.array([1.0, -2.0, 3.0])
    program = ag.trace(lambda x: ag.sum(ag.sort(x) * x), x).program(standalone)
    assert re.search(r"\n# Constants, of the traced run: the numbers of x at test_decisions.py:\d+\n", program.source)


def test_a_function_of_scipy_cannot_stand_alone():
    graph = ag.trace(lambda x: ag.sum(ag.special.j0(x)), np.ones(3))
    with pytest.raises(ValueError, match="program: the source of special.j0 is in no file"):
        graph.program(standalone=True)
