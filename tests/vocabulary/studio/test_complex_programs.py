"""Programs of complex numbers: they return the gradients that `backward` leaves, which are conjugated."""

import numpy as np
import pytest

import autograd_cnn as ag
from studio.programs import check, leaf


def complex_leaf(name):
    parts = np.random.default_rng(0).normal(size=(2, 4))
    return leaf(parts[0] + 1j * parts[1], name)


@pytest.mark.parametrize("standalone", [False, True])
def test_the_program_of_complex_numbers_returns_what_backward_leaves(standalone):
    z, x = complex_leaf("z"), leaf(np.arange(4.0), "x")

    def loss(z, x):
        return ag.sum(abs(np.fft.fft(z * x)) ** 2 + np.angle(z))

    assert check(loss, z, x, standalone=standalone).run()[1]["x"].dtype == np.float64


def test_the_program_of_a_complex_result_takes_its_gradient():
    z = complex_leaf("z")
    program = ag.trace(lambda z: np.fft.ifft(np.exp(z)), z).program()
    (seed,) = (name for name in program.inputs if name.startswith("g_"))
    g = np.arange(4) + 1j
    _, gradients = program.run(**{seed: g})
    np.fft.ifft(np.exp(z)).backward(g)
    np.testing.assert_allclose(gradients["z"], z.grad)
