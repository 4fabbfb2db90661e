"""Sparse matrices of SciPy times Tensors: the numbers, gradients and dtypes of the dense matrix, in every format."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.calculus.check import check_gradients
from autograd_cnn.engine.tensor import Tensor

sparse = pytest.importorskip("scipy.sparse")
rng = np.random.default_rng(0)
D = rng.normal(size=(4, 3)) * (rng.random((4, 3)) < 0.6)
FORMATS = [f"{name}_{kind}" for name in "csr csc coo bsr dia lil dok".split() for kind in ("array", "matrix")]
FORMATS = [
    pytest.param(f, marks=pytest.mark.slow) if f not in ("csr_array", "csc_matrix", "coo_array") else f for f in FORMATS
]
PRODUCTS = {
    "A @ x": (lambda a, x: a @ x, (3,)),
    "A @ X": (lambda a, x: a @ x, (3, 2)),
    "A @ column": (lambda a, x: a @ x, (3, 1)),
    "x @ A": (lambda a, x: x @ a, (4,)),
    "X @ A": (lambda a, x: x @ a, (2, 4)),
    "A.T @ X": (lambda a, x: a.T @ x, (4, 2)),
    "np.matmul": (lambda a, x: np.matmul(a, x), (3,)),
    "A.T @ (A @ x)": (lambda a, x: a.T @ (a @ x), (3,)),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("form", FORMATS)
def test_a_product_is_that_of_the_dense_matrix(form, product, dtype):
    f, shape = PRODUCTS[product]
    dense = D.astype(dtype)
    matrix = getattr(sparse, form)(dense)
    found = []
    for a in (matrix, dense):
        x = Tensor(np.linspace(-1, 1, np.prod(shape)).reshape(shape).astype(dtype), requires_grad=True)
        y = f(a, x)
        (y * y).sum().backward()
        assert (y.dtype, x.grad.dtype) == (dtype, dtype)
        found += [y.data, x.grad]
    for got, want in zip(found[:2], found[2:], strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-5 if dtype == np.float32 else 1e-12, atol=1e-6)


def test_transforms_of_a_sparse_product():
    a, x = sparse.csr_array(D), rng.normal(size=(5, 3))
    check_gradients(lambda x: (a @ x) ** 2, x[0], order=2)
    np.testing.assert_allclose(ag.jacobian(lambda x: a @ x)(x[0]), D, atol=1e-12)
    np.testing.assert_allclose(ag.vmap(lambda x: a @ x)(x), x @ D.T)
    np.testing.assert_allclose(ag.vmap(ag.grad(lambda x: ag.sum((a @ x) ** 2)))(x), 2 * x @ D.T @ D)


@pytest.mark.parametrize("form", ["csr_array", "csc_array", "csc_matrix", "coo_array", "bsr_array"])
@pytest.mark.parametrize("product", PRODUCTS)
def test_the_matrix_may_change_before_backward(form, product):
    f, shape = PRODUCTS[product]
    a, x = getattr(sparse, form)(D), Tensor(np.ones(shape), requires_grad=True)
    y = f(a, x)
    for array in (a.data, *(getattr(a, name) for name in ("indices", "row", "col") if hasattr(a, name))):
        array[:] = array[::-1].copy()
    a *= 2
    y.sum().backward()
    ours, x.grad = x.grad, None
    f(D, x).sum().backward()
    np.testing.assert_allclose(ours, x.grad, atol=1e-12)


def test_without_a_gradient_the_matrix_is_not_copied(monkeypatch):
    copies = []
    convert = sparse.csr_array.tocsr
    monkeypatch.setattr(sparse.csr_array, "tocsr", lambda a, copy=False: copies.append(copy) or convert(a, copy))
    a = sparse.csr_array(D)
    a @ Tensor(np.ones(3)), a @ Tensor(np.ones(3), requires_grad=True)
    assert copies == [False, True]


def test_numbers_of_other_kinds():
    x = Tensor(np.ones(3, np.float32), requires_grad=True)
    assert (sparse.csr_array(np.eye(3, dtype=int)) @ x).dtype == np.float32
    y = sparse.csr_array(D * 1j) @ Tensor(np.ones(3), requires_grad=True)
    np.testing.assert_allclose(y.data, D.sum(1) * 1j)


@pytest.mark.parametrize(
    "use",
    [
        lambda a, x: a * x,
        lambda a, x: x * a,
        lambda a, x: a + x,
        lambda a, x: a.multiply(x),
        lambda a, x: a / x,
        lambda a, x: a == x,
        lambda a, x: a @ x[:2],
        lambda a, x: x @ a,
    ],
)
def test_other_operations_are_refused(use):
    with pytest.raises((TypeError, ValueError)):
        use(sparse.csr_array(D), Tensor(np.ones(3), requires_grad=True))
