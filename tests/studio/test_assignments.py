"""Programs of assignments that are observed: their numbers are those of NumPy and of the walk."""

import numpy as np
import pytest

import autograd_cnn as ag
from studio.programs import check, leaf


def recurrence(x):
    out = np.zeros_like(x)
    out[0] = x[0]
    for i in range(1, len(x)):
        out[i] = out[i - 1] * x[i]
    out[1:3] += x[:2]
    return (out * out).sum()


def test_observed_assignments_are_those_of_the_program():
    x = np.array([1.5, -0.5, 2.0, 0.7])
    value, gradient = ag.value_and_grad(recurrence)(x)
    found, gradients = ag.trace(recurrence, x).program().run()
    np.testing.assert_allclose([found, *gradients["x"]], [value, *gradient], 1e-12)
    xs = np.stack([x, x + 1])
    np.testing.assert_allclose(ag.vmap(ag.grad(recurrence))(xs), [ag.grad(recurrence)(row) for row in xs], 1e-12)

    def stale(x):
        m = x * 1
        row = m[:2]
        m[0] = 5.0
        return row.sum()

    for observed in (lambda: ag.trace(stale, x), lambda: ag.vmap(stale)(xs), lambda: ag.vmap(ag.grad(stale))(xs)):
        with pytest.raises(RuntimeError, match="an assignment changed its numbers"):
            observed()


@pytest.mark.slow
def test_a_program_of_assignments_stands_alone():
    check(recurrence, leaf(np.array([1.5, -0.5, 2.0, 0.7]), "x"), standalone=True)
