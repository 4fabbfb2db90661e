"""NumPy's names of functions of the vocabulary, around a Tensor."""

import inspect

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor
from wording import says


def leaf(data):
    return Tensor(np.array(data), requires_grad=True)


@pytest.mark.parametrize("f", [np.acos, np.linalg.trace, lambda x: np.mod(x, 2.0), lambda x: x.real])
def test_another_name_is_recorded(f):
    x = leaf([[0.1, 0.2], [0.3, 0.4]])
    out = f(x)
    assert type(out) is Tensor
    assert out is not x
    assert out.requires_grad


def test_a_badly_shaped_argument_is_an_error_as_in_numpy():
    x = leaf([[1.0, 2.0], [3.0, 4.0]])
    for program in (
        lambda: np.bincount([0, 1], x[0, :1]),
        lambda: np.select([x > 0], [x, x]),
        lambda: np.interp(x, [0, 1], [1, 2, 3]),
        lambda: np.interp(0.5, [0, 1], x),
        lambda: np.diff(x, n=-1),
    ):
        with pytest.raises(ValueError):
            program()


@says(ValueError)
def test_a_function_that_is_made_of_primitives():
    """
    quantile: Quantiles must be in the range [0, 1]
      x (3,) float64    q=1.5
      at {here}
    """
    np.quantile(leaf([1.0, 2.0, 3.0]), 1.5)  # here


def test_the_signature_of_pad_is_frozen():
    parameters = inspect.signature(ag.pad).parameters.values()
    assert [(p.name, p.default) for p in parameters][1:] == [
        ("pad_width", inspect.Parameter.empty), ("constant_values", 0), ("mode", "constant"),
    ]  # fmt: skip
