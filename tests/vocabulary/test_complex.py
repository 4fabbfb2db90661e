"""Functions of complex numbers that decide by parts, or find them."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor


def test_nan_to_num_repairs_each_part():
    z = np.array([1 + 2j, complex(np.nan, 1), complex(np.inf, -np.inf), complex(1, np.nan)])
    x = Tensor(z, requires_grad=True)
    out = np.nan_to_num(x, posinf=7.0, neginf=-5.0)
    np.testing.assert_array_equal(out.data, np.nan_to_num(z, posinf=7.0, neginf=-5.0))
    (out.real + 2 * out.imag).sum().backward()
    np.testing.assert_array_equal(x.grad, [1 + 2j, 2j, 0, 1])


@pytest.mark.parametrize("p", [[0, 0, 1.0, -3, 2, 0], [2.0, 1], [5.0], [0.0, 0], [1, 2j, 3], [1, 0, 4.0]])
@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_the_roots_of_polynomials_that_numpy_shortens(p, precision):
    p = np.array(p)
    p = p.astype(np.result_type(precision, 1j) if p.dtype.kind == "c" else precision)
    x = Tensor(p, requires_grad=True)
    out = np.roots(x)
    np.testing.assert_array_equal(out.data, np.roots(p))
    assert out.dtype == np.roots(p).dtype
    abs(out).sum().backward()
    assert (x.grad.dtype, x.grad.shape) == (p.dtype, p.shape)


def test_leading_and_trailing_zeros_have_a_gradient():
    """-1 / p'(0) for the last coefficient; a new leading one moves the root 2 of x - 2 by -2 ** 2."""
    x = Tensor([0, 1.0, -2], requires_grad=True)
    np.roots(x).sum().backward()
    np.testing.assert_allclose(x.grad, [-4, -2, -1])
    y = Tensor([1.0, -2, 0], requires_grad=True)
    np.roots(y)[1].backward()
    np.testing.assert_allclose(y.grad, [0, 0, 0.5])


def test_sorted_complex_numbers_carry_their_gradients():
    x = Tensor(np.array([2 + 1j, 1 - 1j, 2 - 3j]), requires_grad=True)
    (np.sort_complex(x) * [1, 2, 3]).real.sum().backward()
    np.testing.assert_array_equal(x.grad, [3, 1, 2])


@pytest.mark.parametrize("f", [np.sign, lambda z: abs(z) * (1 + 1j)])
def test_directions_have_no_slope_at_0(f):
    x = Tensor([0, 3 + 4j], requires_grad=True)
    first = (f(x) * (2 - 1j)).real.sum().gradient(x, create_graph=True)
    with pytest.warns(RuntimeWarning, match="nan or inf"):
        second = (first * (1 + 1j)).real.sum().gradient(x)
    assert first[0] == 0 and np.isnan(second[0]) and second[1] != 0


@pytest.mark.parametrize("f", [np.arcsin, np.arccos, np.arctan, np.arcsinh, np.arccosh, np.arctanh, np.log, np.sqrt])
def test_the_derivative_on_a_cut_is_that_of_the_side_which_the_sign_of_0_says(f):
    def at(parts, scale):
        return (parts * scale).view(complex)[:, 0]  # of a product of complex numbers, the zeros would lose their signs

    ends = np.array([-3, -1.5, -0.5, 0.5, 1.5, 3])
    for zero in np.zeros(6), -np.zeros(6):
        for parts in np.stack([ends, zero], -1), np.stack([zero, ends], -1):
            z, after, before = (at(parts, scale) for scale in (1, 1 + 1e-6, 1 - 1e-6))
            differences = (f(after) - f(before)) / (2e-6 * z)
            np.testing.assert_allclose(np.diagonal(ag.jacobian(f)(z)), differences, 1e-7, err_msg=str(z))
