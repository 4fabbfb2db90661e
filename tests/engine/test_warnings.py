"""The engine's warnings, word for word: float64, NaN."""

import re
import warnings

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from leaves import halves, named
from wording import warns

# float64


@warns(UserWarning, cure=lambda: ag.linear(np.ones((2, 3)).astype(np.float32), halves(3, 2)))
def test_float64_beside_float32():
    """linear: x is float64 beside float32: computing in float64. x.astype(np.float32) is twice as fast"""
    w = halves(3, 2)
    out = ag.linear(np.ones((2, 3)), w)  # here
    out.sum().backward()
    assert out.dtype == np.float64
    assert w.grad.dtype == np.float32


def test_a_layer_in_float32_warns_once_at_a_line_about_inputs_in_float64():
    w, x = halves(3, 3), Tensor(np.ones((2, 3)), name="points")
    for context in (ag.enable_grad(), ag.no_grad()):
        with context, pytest.warns(UserWarning, match="points is float64"):
            ag.linear(x, w)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            ag.linear(ag.relu(ag.linear(ag.linear(x, w), w)), w)
    assert [str(w.message).split()[1] for w in caught] == ["points", "x"]


# NaN and infinity


@pytest.mark.parametrize(
    ("f", "x"), [(ag.log, 0.0), (ag.exp, 1000.0), (lambda x: x / 0, 1.0), (lambda x: x**-1, 0.0), (ag.sqrt, -1.0)]
)
def test_numpy_warns_once_in_the_forward_and_the_walk_is_silent(f, x):
    with pytest.warns(RuntimeWarning, match="encountered") as caught:
        out = f(Tensor([x], requires_grad=True))
    assert len(caught) == 1
    out.backward(np.ones(1))


@warns(RuntimeWarning)
def test_nan_is_traced_to_the_operation_that_saved_it():
    """loss is nan. First seen in the result of sqrt ({forward}): 1 of 3"""
    with np.errstate(all="ignore"):
        loss = named(ag.sqrt(Tensor([-1.0, 1.0, 4.0], requires_grad=True)).sum(), "loss")  # forward
    loss.backward()  # here


@warns(RuntimeWarning)
def test_nan_is_bracketed_where_it_was_not_saved():
    """loss is nan. It arose in log ({forward}) or after it"""
    with np.errstate(all="ignore"):
        loss = named(ag.log(Tensor([-1.0, 1.0, 4.0], requires_grad=True)).sum(), "loss")  # forward
    loss.backward()  # here


def test_an_operation_is_not_blamed_for_a_nan_that_it_was_given():
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning) as caught:
        ag.exp(ag.log(Tensor([-1.0], requires_grad=True))).sum().backward()
    assert "log" in str(caught[0].message)
    assert "First in exp" not in str(caught[0].message)


@warns(RuntimeWarning)
def test_nan_is_traced_to_a_byproduct():
    """loss is nan. First seen in root of scaled ({forward}): 1 of 2"""

    @ag.primitive(byproducts=("root",))
    def scaled(x):
        root = np.sqrt(np.array([-1.0, 1.0]))
        return x * root, root

    scaled.vjp(x=lambda g, x, root: g * root)
    with np.errstate(all="ignore"):
        loss = named(scaled(halves(2, dtype=np.float64)).sum(), "loss")  # forward
    loss.backward()  # here


@warns(RuntimeWarning)
def test_every_array_of_a_list_is_known_to_be_finite():
    """loss is nan. First seen in the result of radicals ({forward}): 2 of 2"""

    @ag.primitive
    def radicals(arrays):
        return np.sqrt(sum(arrays))

    radicals.vjp(arrays=lambda g, arrays, out, position: g / (2 * out))
    w = halves(2)
    with np.errstate(all="ignore"):
        loss = named(radicals([w * -2.0, w * -3.0]).sum(), "loss")  # forward
    loss.backward()  # here


def test_no_warning_about_nan_with_an_explicit_gradient():
    with np.errstate(all="ignore"):
        ag.sqrt(Tensor([-1.0], requires_grad=True)).backward(np.ones(1))


# Gradients that are not finite, of a loss that is


@warns(RuntimeWarning, cure=lambda: ag.sqrt(ag.sum(ag.square(halves(3))) + 1e-12).backward())
def test_the_norm_of_zeros():
    r"""
    3 of 3 numbers of the gradient of x are nan or inf; the loss is finite. First in the rule of sqrt ({forward}) for \
    x: 1 of 1
    """
    x = Tensor(np.zeros(3), requires_grad=True, name="x")
    h = ag.sum(x * x)
    loss = ag.sqrt(h) * 2  # forward
    loss.backward()  # here


@warns(RuntimeWarning)
def test_an_overflow_in_the_walk():
    r"""
    1 of 1 numbers of the gradient of a leaf (), and of 1 more, are nan or inf; the loss is finite. First in the rule \
    of divide ({forward}) for x: 1 of 2
    """
    x, w = halves(2, dtype=np.float64), halves(dtype=np.float64)
    loss = (x * w * [0.0, 1.0] / [1e-200, 1.0] / [1e-200, 1.0]).sum()  # forward
    loss.backward()  # here


HIDDEN = {  # a number that is not finite is saved, and hidden in the loss; nothing is computed of it on the way back
    "an index": lambda x: (x * [np.nan, 1.0])[1:].sum(),
    "where": lambda x: ag.where(np.array([False, True]), x, 0.0).sum() + (x * [np.inf, 0.5])[1],
}


@pytest.mark.parametrize("name", HIDDEN)
def test_where_a_hidden_number_enters_is_found_if_the_graph_is_kept(name):
    x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    with pytest.warns(RuntimeWarning, match="1 of 2 numbers of the gradient of x are nan or inf") as caught:
        HIDDEN[name](x).backward(retain_graph=True)
    assert len(caught) == 1
    assert re.search(r"First in the rule of multiply \(test_warnings.py:\d+\) for x: 1 of 2$", str(caught[0].message))


@warns(RuntimeWarning)
def test_a_hidden_number():
    r"""
    1 of 2 numbers of the gradient of x are nan or inf; the loss is finite. To see where they began: the forward code \
    again, and backward(retain_graph=True)
    """
    x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    HIDDEN["an index"](x).backward()  # here


@pytest.mark.parametrize("walk", [
    lambda loss, x: loss.backward(),
    lambda loss, x: loss.backward(create_graph=True),
    lambda loss, x: loss.gradient(x),
    lambda loss, x: loss.gradient(x, create_graph=True),
])  # fmt: skip
@pytest.mark.parametrize("size", [1, 5000, 400_000])  # of large arrays, blocks are computed on threads
def test_each_way_to_a_gradient_warns_once_and_names_the_operation(walk, size):
    x = Tensor(np.zeros(size), requires_grad=True)
    with pytest.warns(RuntimeWarning, match="First in the rule of sqrt") as caught:
        walk(ag.sqrt(x).sum(), x)
    assert len(caught) == 1


def test_no_warning_where_an_infinite_slope_is_not_used_or_the_loss_warned_or_a_gradient_is_given():
    x = Tensor([0.0, 4.0], requires_grad=True)
    (ag.sqrt(x) * [0.0, 1.0]).sum().backward()
    assert x.grad.tolist() == [0, 0.25]
    ag.sqrt(x).backward(np.ones(2))
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="is -inf") as caught:
        ag.log(x).sum().backward()
    assert len(caught) == 1


def test_large_numbers_whose_squares_overflow_are_finite():
    x = Tensor(np.full(3, 1e-300), requires_grad=True)
    (x * 1e300).sum().backward()
    assert x.grad.tolist() == [1e300] * 3


def test_the_look_at_contributions_changes_no_bit(rng):
    """An operation that meets an infinite slope, which is not used, makes the walk look at all that follow."""
    x = Tensor(rng.normal(size=(4, 4)), requires_grad=True)
    zero = Tensor(np.zeros(1), requires_grad=True)
    gradients = []
    for extra in (0.0, ag.sum(ag.sqrt(zero) * 0.0)):
        h = x
        for i in range(4):
            h = ag.tanh(h @ x) + h[i] * h[0] + h.T
        x.grad = None
        (h.sum() + extra).backward()
        gradients.append(x.grad)
    np.testing.assert_array_equal(*gradients)
