"""Tensors of tests that require a gradient, the claim that a result is recorded, and differences."""

import numpy as np

from autograd_cnn.engine.tensor import Tensor


def leaf(data, dtype=None, name=None):
    return Tensor(np.asarray(data, dtype), requires_grad=True, name=name)


def halves(*shape, name=None, dtype=np.float32):
    return Tensor(np.full(shape, 0.5, dtype), requires_grad=True, name=name)


def named(tensor, name):
    tensor.name = name
    return tensor


def recorded(out):
    assert type(out) is Tensor
    assert out.requires_grad
    assert out.dtype.kind == "f"
    return out


def value_and_slope(f, x, dtype=float, g=np.ones):
    """f(x), and the gradient of the sum of f(x) times ``g(its shape)``."""
    x = leaf(x, dtype)
    out = f(x)
    out.backward(g(out.shape))
    assert out.dtype == x.grad.dtype == dtype
    return out.data, x.grad


def check_row(f, x, value, slope, dtype, g=np.ones):
    got, grad = value_and_slope(f, x, dtype, g)
    tolerance = 1e-6 if dtype == np.float32 else 1e-14
    np.testing.assert_allclose(got, np.array(value, dtype), rtol=tolerance, atol=0)
    np.testing.assert_allclose(grad, np.array(slope, dtype), rtol=tolerance, atol=0)


def differences(f, x, step=1e-6):
    """The gradient of a function of an array, by central differences."""
    found = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        d = np.zeros_like(x)
        d[i] = step
        found[i] = (f(x + d) - f(x - d)) / (2 * step)
    return found
