"""Errors about arguments of functions of the vocabulary."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from wording import says


def leaf(*shape):
    return Tensor(np.full(shape, 0.5, np.float32), requires_grad=True)


REFUSED = [
    (lambda x: ag.hinge_embedding_loss(x, np.zeros(x.shape)), r"Of 0 and 1: 2 \* y - 1"),
    (lambda x: ag.vmap(ag.hinge_embedding_loss)(x, np.zeros(x.shape)), r"Of 0 and 1: 2 \* y - 1"),
    (lambda x: ag.vmap(ag.margin_ranking_loss)(x, x, np.zeros(x.shape)), r"Of 0 and 1: 2 \* y - 1"),
    (lambda x: ag.vmap(ag.gaussian_nll_loss)(x, x, -x), r"var needs the shape"),
    (lambda x: np.cov(x), r"want a matrix of variables and observations"),
    (lambda x: np.cov(x[0, 0], fweights=[1, -1, 2]), "fweights cannot be negative"),
    (lambda x: np.cov(x[0, 0], fweights=[0.5, 1, 1]), "fweights must be integer"),
    (lambda x: np.cov(x[0, 0], aweights=[-1, 1, 1]), "aweights cannot be negative"),
    (lambda x: ag.cosine_embedding_loss(x, x, np.ones(2)), r"must have the shape \(2, 4, 5\)"),
    (lambda x: ag.gaussian_nll_loss(x, x, np.ones(3)), r"var needs the shape"),
    (lambda x: ag.gaussian_nll_loss(x, x, -x), r"var needs the shape"),
    (lambda x: ag.huber_loss(x, x, delta=0), r"delta is 0"),
    (lambda x: ag.smooth_l1_loss(x, x, beta=-1), r"beta is -1"),
]


@pytest.mark.parametrize(("program", "message"), REFUSED)
def test_a_wrong_argument_is_named(program, message):
    with pytest.raises((ValueError, TypeError, IndexError), match=message):
        program(Tensor(np.ones((2, 4, 5, 3)), requires_grad=True))


@says(ValueError, cure=lambda: ag.pad(leaf(2, 6, 6, 3), ((0, 0), (3, 4), (1, 2), (0, 0))))
def test_margins_of_images_in_one_row():
    """
    pad: (1, 2, 3, 4) is not one (before, after) pair for each of 4 axes
      x (2, 6, 6, 3) float32
      at {here}
      PyTorch's order is the opposite; here ((0, 0), (3, 4), (1, 2), (0, 0))
    """
    ag.pad(leaf(2, 6, 6, 3), (1, 2, 3, 4))  # here


@pytest.mark.parametrize("name", ["normalize", "cosine_similarity"])
def test_three_axes_need_an_axis(name):
    f = ag.normalize if name == "normalize" else lambda x, **axis: ag.cosine_similarity(x, x, **axis)
    with pytest.raises(ValueError, match=f"(?s){name}: x .2, 3, 4. has three axes.*PyTorch takes the second: axis=1"):
        f(leaf(2, 3, 4))
    assert f(leaf(2, 3, 4), axis=1).shape != f(leaf(2, 3, 4)[0]).shape
    assert f(leaf(2, 5, 5, 3)).shape[0] == 2  # channels are the last axis of images
