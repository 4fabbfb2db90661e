"""Arguments out of range of layers, optimisers and transforms: a clear error, or an ordinary result."""

import inspect

import numpy as np
import pytest

import autograd_cnn as ag
from arguments import complaints_of, title_of
from autograd_cnn import nn, optim
from autograd_cnn.engine.tensor import Tensor


def made(layer, *shape):
    """A layer, and its result for an input of this shape."""

    def call(*args, **options):
        return layer(*args, **options)(np.ones(shape, np.float32))

    call.__signature__ = inspect.signature(layer)
    call.title = layer.__name__
    return call


IMAGE, ROW = (2, 6, 6, 4), (2, 4)
W = Tensor(np.ones(3), requires_grad=True)
X = np.ones((6, 4), np.float32)
CALLS = [
    (made(nn.Linear, *ROW), 4, 3),
    (made(nn.Conv2d, *IMAGE), 4, 2, 3),
    (made(nn.Conv1d, 2, 6, 4), 4, 2, 3),
    (made(nn.ConvTranspose2d, *IMAGE), 4, 2, 3),
    (made(nn.ConvTranspose1d, 2, 6, 4), 4, 2, 3),
    (made(nn.BatchNorm2d, *IMAGE), 4),
    (made(nn.BatchNorm1d, *ROW), 4),
    (made(nn.InstanceNorm2d, *IMAGE), 4),
    (made(nn.LayerNorm, *ROW), 4),
    (made(nn.RMSNorm, *ROW), 4),
    (made(nn.GroupNorm, *IMAGE), 2, 4),
    (made(nn.PReLU, *ROW), 4),
    (made(nn.Dropout, *ROW), 0.5),
    (made(nn.Dropout2d, *IMAGE), 0.5),
    (made(nn.MaxPool2d, *IMAGE), 2),
    (made(nn.AvgPool2d, *IMAGE), 2),
    (made(nn.MaxPool1d, 2, 6, 4), 2),
    (made(nn.AdaptiveAvgPool2d, *IMAGE), 2),
    (made(nn.Flatten, *IMAGE), 1),
    (made(nn.PixelShuffle, *IMAGE), 2),
    (made(nn.PixelUnshuffle, *IMAGE), 2),
    (made(nn.Upsample, *IMAGE), 3),
    (made(nn.Unfold, *IMAGE), 2),
    (made(nn.Softmax, *ROW), 1),
    (made(nn.LeakyReLU, *ROW), 0.1),
    (made(nn.ELU, *ROW), 1.0),
    (made(nn.Hardtanh, *ROW), -1.0, 1.0),
    (made(nn.GELU, *ROW), "tanh"),
    (nn.Embedding, 5, 3),
    (nn.seed, 0),
    *((make, [W], 0.1) for make in map(vars(optim).get, optim.algorithms.__all__) if isinstance(make, type)),
    (optim.constant, 0.1),
    (optim.step_decay, 0.1, 10),
    (optim.cosine, 0.1, 10),
    (optim.one_cycle, 0.1, 10),
    (optim.clip_grad_norm, [W], 1.0),
    (Tensor, [1.0]),
    (ag.grad, np.sum),
    (ag.value_and_grad, np.sum),
    (ag.jacobian, np.sum),
    (ag.jvp, np.sum, (X,), (X,)),
    (ag.hvp, np.sum, (X,), (X,)),
    (ag.vjp, np.sum, X),
    (ag.check_gradients, np.sum, X.astype(float)),
    (ag.scope, "name"),
]


@pytest.mark.parametrize("call", CALLS, ids=[title_of(f) for f, *_ in CALLS])
def test_a_bad_argument_is_refused_by_a_clear_error(call):
    complaints = complaints_of(*call)
    assert not complaints, "\n".join(complaints)
