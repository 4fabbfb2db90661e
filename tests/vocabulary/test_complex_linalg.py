"""np.linalg of complex matrices: eigenvalues of real ones, phases of vectors, signs of determinants."""

import numpy as np
import pytest

from autograd_cnn.engine.tensor import Tensor

RNG = np.random.default_rng(3)


def random(*shape):
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


A = random(3, 3)
ROTATION = np.array([[0.0, -2, 0.1], [1, 0.3, 0], [0.2, 0, 1]])  # real, with complex eigenvalues


def squared(x):
    return (x * x.conj()).real


def test_real_matrices_may_have_complex_eigenvalues():
    x = Tensor(ROTATION, requires_grad=True)
    w = np.linalg.eigvals(x)
    np.testing.assert_allclose(w.data, np.linalg.eigvals(ROTATION))
    (w * w).real.sum().backward()  # the trace of x @ x
    np.testing.assert_allclose(x.grad, 2 * ROTATION.T, atol=1e-12)
    assert np.linalg.eigvals(Tensor(np.diag([1.0, 2.0]))).dtype == np.float64


@pytest.mark.parametrize(
    "vectors",
    [
        lambda x: np.linalg.eigh(x)[1], lambda x: np.linalg.eig(x)[1],
        lambda x: np.linalg.svd(x)[0], lambda x: np.linalg.svd(x)[2],
    ],
)  # fmt: skip
def test_a_loss_that_depends_on_the_phases_of_vectors_is_refused(vectors):
    x = Tensor(A, requires_grad=True)
    with pytest.raises(ValueError, match="linalg: the loss depends on the phases of complex vectors, .* abs\\(v\\)"):
        vectors(x).real.sum().backward()
    assert x.grad is None
    squared(vectors(x))[0].sum().backward()
    assert x.grad.dtype == complex


def test_the_sign_of_a_determinant_is_recorded_if_it_is_complex():
    x = Tensor(A, requires_grad=True)
    sign, log = np.linalg.slogdet(x)
    np.testing.assert_allclose((sign * np.exp(log)).data, np.linalg.det(A))
    sign.imag.backward()
    y = Tensor(A, requires_grad=True)
    np.sin(np.angle(np.linalg.det(y))).backward()
    np.testing.assert_allclose(x.grad, y.grad)
    assert not isinstance(np.linalg.slogdet(Tensor(A.real, requires_grad=True))[0], Tensor)
