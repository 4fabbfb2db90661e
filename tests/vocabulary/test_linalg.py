"""Edges of np.linalg: zeros, ties, singular and empty matrices, one triangle, refusals."""

from functools import partial

import numpy as np
import pytest

import autograd_cnn as ag
import leaves
from autograd_cnn import linalg
from autograd_cnn.calculus.check import check_gradients
from autograd_cnn.engine.tensor import Tensor

inf = np.inf
RNG = np.random.default_rng(3)
A, STACK, TALL, V = (RNG.normal(size=shape) for shape in ((3, 3), (2, 3, 3), (4, 3), 3))
POSITIVE = A @ A.T + np.eye(3)


leaf = partial(leaves.leaf, dtype=float)
# Zeros, ties, singular and empty matrices


OF_VECTORS, OF_MATRICES = (1, 2, 3, 0.5, -1, inf, -inf, None), (1, -1, 2, -2, inf, -inf, "fro", "nuc")


@pytest.mark.parametrize(("shape", "order"), [*((3, o) for o in OF_VECTORS), *(((2, 3), o) for o in OF_MATRICES)])
def test_the_gradient_of_the_norm_of_zeros_is_0(shape, order):
    x = leaf(np.zeros(shape))
    with np.errstate(divide="ignore"):  # 0 ** -1, as in NumPy
        np.linalg.norm(x, order).backward()
    np.testing.assert_array_equal(x.grad, 0)


def test_the_norm_beside_zeros_has_its_second_derivative():
    for order in (2, 3):
        assert check_gradients(lambda x, o=order: np.linalg.norm(x, o), np.array([1.0, 0, -2]), order=2) < 1e-6


def test_the_norm_of_a_row_of_zeros_leaves_the_other_rows_alone():
    x = leaf([[3.0, 4.0], [0.0, 0.0]])
    np.linalg.norm(x, axis=1).sum().backward()
    np.testing.assert_allclose(x.grad, [[0.6, 0.8], [0, 0]], rtol=1e-12)


def test_order_0_counts():
    assert np.linalg.norm(leaf([1, 0, 2]), 0) == 2
    np.testing.assert_array_equal(np.linalg.norm(leaf([[1, 0], [2, 3]]), 0, axis=1), [1, 2])


@pytest.mark.parametrize("x", [np.diag([1.0, 2, 0]), A[:, :1] @ A[:1], np.zeros((3, 3)), np.eye(3), np.zeros((1, 1))])
def test_the_determinant_of_singular_matrices_has_its_derivative(x):
    check_gradients(np.linalg.det, x, eps=1e-4)


def test_values_of_equal_size_have_their_gradient_and_their_vectors_have_none():
    x = leaf(np.eye(3))
    for values in (np.linalg.eigvalsh, np.linalg.svdvals, np.linalg.eigvals):
        x.grad = None
        (values(x) ** 2).sum().backward()
        np.testing.assert_allclose(x.grad, 2 * np.eye(3), atol=1e-12)
    weights = np.arange(9.0).reshape(3, 3)
    for vectors in (lambda x: np.linalg.eigh(x)[1], lambda x: np.linalg.svd(x)[0]):
        with pytest.warns(RuntimeWarning, match="the loss is finite. First in the rule of linalg"):
            assert not np.isfinite((vectors(x) * weights).sum().gradient(x)).any()


@pytest.mark.parametrize("name", "inv det pinv svdvals eigvalsh cholesky matrix_norm cond trace".split())
def test_no_matrices(name):
    x = leaf(np.zeros((0, 3, 3)))
    out = getattr(linalg, name)(x)
    assert out.shape == getattr(np.linalg, name)(x.data).shape
    out.sum().backward()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize("name", "inv det cholesky trace matrix_norm".split())
def test_a_matrix_without_elements(name):
    x = leaf(np.zeros((0, 0)))
    out = getattr(linalg, name)(x)
    np.testing.assert_array_equal(out.data, getattr(np.linalg, name)(x.data))
    out.sum().backward()


# One triangle


@pytest.mark.parametrize("upper", [False, True])
def test_one_triangle_is_read_and_both_share_the_gradient(upper):
    one, uplo = (np.triu if upper else np.tril)(POSITIVE), "LU"[upper]
    rubbish = one + 1e20 * (np.ones((3, 3)) - np.tri(3) if not upper else np.tri(3, k=-1))
    for f in (
        lambda x: np.linalg.cholesky(x, upper=upper),
        lambda x: np.linalg.eigvalsh(x, uplo),
        lambda x: np.linalg.eigvalsh(x, uplo.lower()),
    ):
        gradients = []
        for x in (leaf(POSITIVE), leaf(rubbish)):
            out = f(x)
            np.testing.assert_allclose(out.data, f(POSITIVE), rtol=1e-12)
            (out * np.arange(out.size).reshape(out.shape)).sum().backward()
            gradients.append(x.grad)
        np.testing.assert_allclose(gradients[0], gradients[1], rtol=1e-12)
        np.testing.assert_allclose(gradients[0], gradients[0].T, rtol=1e-12)


@pytest.mark.parametrize("rubbish", [np.nan, inf])
def test_the_other_triangle_may_be_anything(rubbish):
    x = leaf(POSITIVE + np.where(np.tri(3, dtype=bool), 0, rubbish))
    for f in (np.linalg.cholesky, np.linalg.eigvalsh):
        x.grad = None
        out = f(x)
        np.testing.assert_allclose(out.data, f(POSITIVE), rtol=1e-12)
        np.testing.assert_allclose(getattr(linalg, f.__name__)(x.data), f(POSITIVE), rtol=1e-12)
        out.sum().backward()
        assert np.isfinite(x.grad).all()


# Plain results


def test_what_has_no_derivative_is_plain():
    x = leaf(A)
    assert np.linalg.matrix_rank(x) == 3
    assert np.einsum_path("ij,jk", x, x)[0] == np.einsum_path("ij,jk", A, A)[0]
    np.testing.assert_array_equal(np.linalg.matrix_power(x, 0), np.eye(3))
    assert not isinstance(np.linalg.slogdet(x).sign, Tensor)
    for mine, theirs in zip(np.linalg.lstsq(leaf(TALL), TALL), np.linalg.lstsq(TALL, TALL), strict=True):
        assert isinstance(mine, Tensor) or np.array_equal(mine, theirs)


def test_results_have_numpys_fields():
    x = leaf(POSITIVE)
    for name in ("eig", "eigh", "qr", "slogdet", "svd"):
        theirs = getattr(np.linalg, name)(POSITIVE)
        assert getattr(linalg, name)(x)._fields == theirs._fields


def test_lists_and_arrays_give_arrays():
    for f in (np.linalg.inv, np.linalg.norm, np.linalg.cond, np.linalg.det, np.linalg.cholesky, np.linalg.eigvalsh):
        for x in ([[2, 1], [1, 3]], np.array([[2, 1], [1, 3]])):
            got = getattr(linalg, f.__name__)(x)
            assert not isinstance(got, Tensor)
            np.testing.assert_allclose(got, f(x))


def test_the_norm_of_integers_is_a_float():
    for order in (None, 1, 2, np.inf):
        for x in (np.array([200, 100], np.uint8), np.array([2**40, 1]), Tensor(np.array([200, 100], np.uint8))):
            want = np.linalg.norm(np.asarray(x.data), order)
            np.testing.assert_allclose(np.asarray(linalg.norm(x, order).data), want, rtol=1e-12)
            assert linalg.norm(x, order).dtype == np.float64


def test_the_determinant_of_no_rows_has_derivatives_of_every_order():
    x = leaf(np.zeros((0, 0)))
    slope = ag.linalg.det(x).gradient(x, create_graph=True)
    assert ag.sum(slope).gradient(x).shape == (0, 0)
