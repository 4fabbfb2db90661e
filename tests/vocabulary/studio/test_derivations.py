"""The printed derivation of random functions over the whole vocabulary gives the numbers of the walk."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from vocabulary.random_functions import FAST, LEAVES, SLOW, function, numpy_names, program


def check(seed):
    text, _, leaves = program(seed)
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
