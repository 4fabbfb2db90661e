"""Arguments out of range of layers, optimisers and transforms: a clear error, or an ordinary result."""

import inspect

import numpy as np
import pytest

import autograd_cnn as ag
from arguments import complaints_of, title_of
from autograd_cnn import nn, optim
from autograd_cnn.engine.tensor import Tensor
from nn.test_layers import TWINS, twin


def made(layer, *shape):
    """A layer, and its result for an input of this shape."""

    def call(*args, **options):
        return layer(*args, **options)(np.ones(shape, np.float32))

    call.__signature__ = inspect.signature(layer)
    call.title = layer.__name__
    return call


W = Tensor(np.ones(3), requires_grad=True)
X = np.ones((6, 4), np.float32)
OTHERS = [twin((2, 6, 6, 4), name, size) for name, size in (("Dropout", 0.5), ("Dropout2d", 0.5), ("Unfold", 2))]
LAYERS = {case.name: case for case in [*TWINS, *OTHERS]}
CALLS = [
    *((made(getattr(nn, name), *case.shape), *case.args) for name, case in LAYERS.items()), (nn.seed, 0),
    *((make, [W], 0.1) for make in map(vars(optim).get, optim.algorithms.__all__) if isinstance(make, type)),
    (optim.constant, 0.1), (optim.step_decay, 0.1, 10), (optim.cosine, 0.1, 10), (optim.one_cycle, 0.1, 10),
    (optim.clip_grad_norm, [W], 1.0), (Tensor, [1.0]), (ag.grad, np.sum), (ag.value_and_grad, np.sum),
    (ag.jacobian, np.sum), (ag.jvp, np.sum, (X,), (X,)), (ag.hvp, np.sum, (X,), (X,)), (ag.vjp, np.sum, X),
    (ag.check_gradients, np.sum, X.astype(float)), (ag.scope, "name"),
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=[title_of(f) for f, *_ in CALLS])
def test_a_bad_argument_is_refused_by_a_clear_error(call):
    complaints = complaints_of(*call)
    assert not complaints, "\n".join(complaints)
