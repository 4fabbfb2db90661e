"""Chains of random uses: derivatives of both orders against differences, and float32."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.calculus.check import _Function
from autograd_cnn.engine.tensor import Tensor
from vocabulary.chains import CHAINS, FAST, SLOW, function_of, inputs_of, leaves_of, title


def check(chain, monkeypatch):
    monkeypatch.setattr(_Function, "check_elsewhere", lambda self: None)  # there the uses may have kinks
    f, inputs = function_of(chain), [*inputs_of(chain).values()]
    ag.check_gradients(f, *inputs, order=2, rtol=1e-5)
    leaves = leaves_of(chain)
    loss = f(*leaves)
    loss.backward()
    np.testing.assert_array_equal(loss.data, f(*map(Tensor, inputs)).data)
    narrow = leaves_of(chain, np.float32)
    small = f(*narrow)
    small.backward()
    assert {small.dtype, *(v.grad.dtype for v in narrow)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(small.data, loss.data, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "number", [*FAST, *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)], ids=lambda n: f"{n} {title(CHAINS[n])}"
)
def test_a_chain_of_uses(number, monkeypatch):
    check(CHAINS[number], monkeypatch)
