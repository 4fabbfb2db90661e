"""Chains of random uses: derivatives of both orders against differences, and float32."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from vocabulary.chains import CHAINS, FAST, SLOW, function_of, inputs_of, leaves_of, title


@pytest.mark.parametrize(
    "number", [*FAST, *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)], ids=lambda n: f"{n} {title(CHAINS[n])}"
)
def test_a_chain_of_uses(number):
    """Along three random directions, each of which moves every number; each use alone is checked by elements."""
    chain, rng = CHAINS[number], np.random.default_rng(number)
    f, inputs = function_of(chain), [*inputs_of(chain).values()]
    directions = [[rng.normal(size=x.shape) for x in inputs] for _ in range(3)]

    def along(*steps):
        moves = zip(*directions, strict=True)
        return f(*(x + sum(map(np.multiply, steps, ds)) for x, ds in zip(inputs, moves, strict=True)))

    ag.check_gradients(along, *np.zeros(3), order=2, rtol=1e-5)
    leaves = leaves_of(chain)
    loss = f(*leaves)
    loss.backward()
    np.testing.assert_array_equal(loss.data, f(*map(Tensor, inputs)).data)
    narrow = leaves_of(chain, np.float32)
    small = f(*narrow)
    small.backward()
    assert {small.dtype, *(v.grad.dtype for v in narrow)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(small.data, loss.data, rtol=1e-3, atol=1e-3)
