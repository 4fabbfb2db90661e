"""The errors and warnings of a Tensor in a call of another library, and of transforms, word for word."""

import copy
import math
import pickle
import re

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from leaves import halves
from wording import says, warns


def squares():
    v = halves(3)
    return (v * v).sum()


# NumPy


JOIN = "array" if hasattr(ag, "array") else "stack"
ARRAYS = {
    "a number of NumPy": lambda v: np.float32(v[0]),
    "an array full of it": lambda v: np.full(3, v[0]),
    "the shorthand for joining": lambda v: np.r_[v, v],
    "the shorthand for columns": lambda v: np.c_[v, v],
    "a list": lambda v: np.array([v, v]),
    "a list in a function": lambda v: np.mean([v, v + 2]),
    "the norm of a list": lambda v: np.linalg.norm([v, v]),
    "a plot of a list": lambda v: pytest.importorskip("matplotlib.figure").Figure().subplots().plot([v[0]]),
    "SciPy": lambda v: pytest.importorskip("scipy.linalg").sqrtm(v.reshape(1, 3).T @ v.reshape(1, 3)),
    "a sparse matrix": lambda v: pytest.importorskip("scipy.sparse").csr_matrix(np.eye(3)).multiply(v),
}


@pytest.mark.parametrize("program", ARRAYS.values(), ids=ARRAYS)
def test_who_asks_for_a_plain_array_gets_one_text(program):
    v = halves(3, name="v")
    with pytest.raises(TypeError) as caught:
        program(v)
    assert re.fullmatch(
        r"(\w+) would leave the graph: NumPy or a library asks for a plain array of it. To fill an array: "
        rf"out = ag\.Tensor\(out\), then out\[i\] = \1 is recorded. To join tensors: ag\.{JOIN}\(\[...\]\). "
        r"SciPy's functions: ag\.linalg, ag\.special, ag\.stats. As a constant: \1\.data",
        str(caught.value),
    )
    joined = getattr(ag, JOIN)([v, v + 2])
    assert joined.requires_grad and np.mean(joined).requires_grad


@says(TypeError)
def test_an_array_like_another_full_of_a_tensor():
    """np.full_like is not recorded. Here: ag.broadcast_to(x, shape)"""
    np.full_like(halves(3), squares())


def test_an_array_that_a_tensor_is_written_into():
    @says(TypeError)
    def total():
        """np.add: an array cannot take a result with a history. Without out= or +=: y = np.add(...)"""
        total, v = np.zeros(3), halves(3)
        total += v

    @says(TypeError)
    def out():
        """np.add: an array cannot take a result with a history. Without out= or +=: y = np.add(...)"""
        np.add(halves(3), 1, out=np.zeros(3))

    total()
    out()


# Other libraries


def test_a_parameter_in_a_plot():
    axes = pytest.importorskip("matplotlib.figure").Figure().subplots()
    w = halves(3)
    with pytest.raises(TypeError, match=r"Without it: x\.detach\(\)"):
        axes.plot(w)


def test_functions_of_scipy():
    special, sparse = (pytest.importorskip(f"scipy.{room}") for room in ("special", "sparse"))

    @says(TypeError)
    def a_ufunc():
        """scipy.special.expm1 is not recorded. Here: np.expm1(x)"""
        special.expm1(halves(2))

    a_ufunc()
    with pytest.raises(TypeError, match=r"(?s)add: y is a sparse matrix\n.*  A dense one: y\.toarray\(\)$"):
        halves(2) + sparse.csr_matrix(np.eye(2))


@pytest.mark.parametrize("copying", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_result_is_not_copied_with_its_history(copying):
    @says(TypeError, cure=lambda: copying(ag.relu(halves(2)).detach()))
    def program():
        r"""
        copy and pickle: h is the result of relu ({forward}) and has a history. Without it: h.detach(), or the array \
        h.data
        """
        h = ag.relu(halves(2))  # forward
        copying(h)

    program()


# The variable of the user


@says(TypeError)
def test_a_variable_is_called_by_its_name():
    r"""
    u += ... would replace the parameter by a result. Use optimiser.step(), or change its array after backward(): \
    u.data += ...
    """
    u = halves(2)
    u += 1


@warns(UserWarning)
def test_the_gradient_of_a_parameter_that_a_step_replaced():
    r"""
    w.grad is None: w is the result of subtract ({here}), not a leaf. A step changes the array of a parameter: w.data \
    = w.data - lr * w.grad. The gradient of a result: loss.gradient(w)
    """
    w = halves(2)
    (w * w).sum().backward()
    w = w - 0.1 * w.grad; w.grad  # fmt: skip  # noqa: B018, E702  # here


# Transforms


def test_a_list_of_numbers_that_the_function_takes_apart():
    assert ag.grad(lambda p: p[0] * p[1])([2.0, 3.0]) == [3.0, 2.0]


LEAVES = [
    (3, "argument 0 is 3"),
    ({"w": np.ones(3), "n": 3}, "argument 0['n'] is 3"),
    ({"conv": [{"w": np.ones(3, int)}]}, "argument 0['conv'][0]['w'] is (3,) int64"),
    ((np.ones(3), "adam"), "argument 0[1] is 'adam'"),
]
NO_GRADIENT = (
    ": only floats have a gradient. Of integers: np.float64(x). Let f have others by keyword, and a Module as an "
    "argument of its own"
)


@pytest.mark.parametrize(("argument", "text"), LEAVES, ids=["number", "key", "path", "word"])
def test_a_leaf_that_has_no_gradient(argument, text):
    with pytest.raises(TypeError) as caught:
        ag.grad(lambda p: 1.0)(argument)
    assert str(caught.value) == text + NO_GRADIENT


@says(TypeError)
def test_a_number_of_a_function():
    r"""
    float(part) would leave the graph. To fill an array: out = ag.Tensor(out), then out[i] = part is recorded. \
    To compute: with part itself, and with ag.sin for math.sin. As a constant: part.item()
    """

    def f(x):
        part = x[0] * 2
        return x.sum() * float(part)

    ag.grad(f)(np.ones(2))


@says(TypeError, cure=lambda: (halves().item(), ag.sqrt(halves())))
def test_a_number_of_a_parameter():
    r"""
    float(w) would leave the graph. To fill an array: out = ag.Tensor(out), then out[i] = w is recorded. \
    To compute: with w itself, and with ag.sin for math.sin. As a constant: w.item()
    """
    w = halves()
    math.sqrt(w)


def test_a_number_of_a_loss_that_was_walked():
    loss = halves(2).sum()
    loss.backward()
    assert float(loss) == 1.0


@says(TypeError)
def test_targets_in_a_list():
    r"""
    gradient: want Tensors that this tensor was computed from, such as model.conv1.w. Those of a list one by one: \
    gradient(*targets)
    """
    a, b = halves(2), halves(2)
    (a * b).sum().gradient([a, b])


@says(TypeError)
def test_a_word_for_requires_grad():
    """Tensor: requires_grad is 'yes', want True or False"""
    Tensor([1.0], requires_grad="yes")
