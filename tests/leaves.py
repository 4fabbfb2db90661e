"""Tensors of tests that require a gradient, and the claim that a result is recorded."""

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
