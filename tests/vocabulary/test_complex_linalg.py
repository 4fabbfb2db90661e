"""np.linalg of complex matrices beside PyTorch's, in both orders, for functions that drop the phases of vectors."""

import numpy as np
import pytest

from autograd_cnn import linalg
from autograd_cnn.engine.tensor import Tensor

RNG = np.random.default_rng(3)


def random(*shape):
    return RNG.normal(size=shape) + 1j * RNG.normal(size=shape)


A, STACK, TALL, WIDE, V = random(3, 3), random(2, 3, 3), random(4, 3), random(2, 2, 3), random(3)
POSITIVE, HERMITIAN = A @ A.conj().T + np.eye(3), STACK + STACK.conj().mT
ROTATION = np.array([[0.0, -2, 0.1], [1, 0.3, 0], [0.2, 0, 1]])  # real, with complex eigenvalues
inf = np.inf
ORDERS = (1, -1, 2, -2, inf, -inf, "fro", "nuc")


def everywhere(f, *many):
    return [(f, (x,)) for x in many]


def squared(x):
    return (x * x.conj()).real


def rotation(u, s, vh):
    return u @ vh


def hermitian(x):
    """PyTorch's gradient of Cholesky's factor has imaginary parts for the diagonal, which is real."""
    return (x + x.conj().mT) / 2


def cond(t, x, p):
    """PyTorch has no second derivative of its own function with these orders."""
    return t.cond(x, p) if t is linalg else t.matrix_norm(x, ord=p) * t.matrix_norm(t.inv(x), ord=p)


def of_real(t, a):
    """A real operand beside complex ones, which PyTorch's functions refuse."""
    return a if t is linalg else a + 0j


CASES = [
    *everywhere(lambda t, x: t.inv(x), A, STACK),
    *everywhere(lambda t, x: t.pinv(x), A, TALL, WIDE),
    *everywhere(lambda t, x: t.det(x), A, STACK),
    *[(lambda t, x, i=i: t.slogdet(x)[i], (x,)) for i in (0, 1) for x in (A, STACK)],
    *everywhere(lambda t, x: t.cholesky(hermitian(x)), POSITIVE),
    *everywhere(lambda t, x: t.cholesky(hermitian(x), upper=True), POSITIVE),
    *everywhere(lambda t, x: t.eigvalsh(x), A, STACK, HERMITIAN),
    *everywhere(lambda t, x: squared(t.eigh(x)[1]), A, STACK, HERMITIAN),
    *everywhere(lambda t, x: squared(t.eigh(x, UPLO="U")[1]), A),
    *everywhere(lambda t, x: t.eigvals(x), A, STACK),
    *everywhere(lambda t, x: squared(t.eig(x)[1]), A, STACK, ROTATION),
    *everywhere(lambda t, x: t.svdvals(x), A, STACK, TALL, WIDE),
    *[
        (lambda t, x, i=i: squared(t.svd(x, full_matrices=False)[i]), (x,))
        for i in (0, 2)
        for x in (A, STACK, TALL, WIDE)
    ],
    *everywhere(lambda t, x: rotation(*t.svd(x, full_matrices=False)), A, STACK, TALL, WIDE),
    *[(lambda t, x, i=i: squared(t.qr(x)[i]), (x,)) for i in (0, 1) for x in (A, STACK, TALL, WIDE)],
    *[(lambda t, x, o=o: t.matrix_norm(x, ord=o), (x,)) for o in ORDERS for x in (A, STACK, TALL, WIDE)],
    *[(lambda t, x, o=o: t.vector_norm(x, ord=o), (x,)) for o in (1, 2, 3, 0.5, -1, inf, -inf) for x in (V, WIDE)],
    *[(lambda t, x, o=o: t.vector_norm(x, ord=o), (np.array([1.0, 0, -2j]),)) for o in (2, inf)],  # else NaN in order 2
    *everywhere(lambda t, x: t.norm(x), A, V),
    *[(lambda t, x, p=p: t.cond(x, p), (x,)) for p in (None, -2) for x in (A, STACK)],
    *[(lambda t, x, p=p: cond(t, x, p), (x,)) for p in (1, -1, inf, -inf, "fro", "nuc") for x in (A, STACK)],
    *everywhere(lambda t, x: t.matrix_power(x, -3), A, STACK),
    (lambda t, a, b: t.solve(a, b), (A, V)),
    (lambda t, a, b: t.solve(a, b), (STACK, TALL.T)),
    (lambda t, a, b: t.solve(of_real(t, a), b), (A.real, TALL.T)),
    (lambda t, a, b: t.lstsq(a, b)[0], (TALL, TALL[:, :2] ** 2)),
    (lambda t, a, b: t.lstsq(a, of_real(t, b))[0], (TALL, TALL[:, :2].real)),
    (lambda t, a, b, c: t.multi_dot([a, b, c]), (TALL, A, V)),
    (lambda t, a, b: t.cross(a, b), (A, TALL[:3])),
    (lambda t, a, b: t.vecdot(a, b), (A, TALL[:3])),
    (lambda t, a: t.tensorinv(a, ind=1), (random(4, 2, 2),)),
    (lambda t, a, b: t.tensorsolve(a, b), (random(2, 2, 4), random(2, 2))),
]


def slopes(value, arrays, gradient, constant, precision):
    """The value, its gradients for one g, and the gradients of a weighed sum of these."""

    def weighed(x):
        rng = np.random.default_rng(0)
        w = rng.normal(size=tuple(x.shape)) + 1j * rng.normal(size=tuple(x.shape))
        return (x * constant(w.astype(precision))).real.sum()

    first = gradient(weighed(value), arrays)
    total = sum(map(weighed, first))
    return value, *first, *(gradient(total, arrays) if total.requires_grad else ())


def ours(total, arrays):
    found = total.gradient(*arrays, create_graph=True)
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.slow
@pytest.mark.parametrize("precision", [np.complex128, np.complex64])
@pytest.mark.parametrize(("f", "arrays"), CASES)
def test_equals_pytorch_in_both_orders(torch, f, arrays, precision):
    def theirs(total, arrays):
        return torch.autograd.grad(total, arrays, create_graph=True)

    arrays = [a.astype(precision if a.dtype.kind == "c" else precision(0).real.dtype) for a in arrays]
    mine = [Tensor(a, requires_grad=True) for a in arrays]
    other = [torch.tensor(a, requires_grad=True) for a in arrays]
    found = slopes(f(linalg, *mine), mine, ours, np.asarray, precision)
    wanted = slopes(f(torch.linalg, *other), other, theirs, torch.tensor, precision)
    tolerance = 1e-7 if precision is np.complex128 else 1e-2
    for g, w in zip(found, wanted, strict=False):  # PyTorch records some zeros as second derivatives
        want = w.detach().resolve_conj().numpy()
        np.testing.assert_allclose(g.data, want, rtol=tolerance, atol=tolerance * np.abs(want).max(initial=0))


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
