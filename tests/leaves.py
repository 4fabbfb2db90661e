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


def differences(f, x, step=1e-6):
    """The gradient of a function of an array, by central differences."""
    found = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        d = np.zeros_like(x)
        d[i] = step
        found[i] = (f(x + d) - f(x - d)) / (2 * step)
    return found
