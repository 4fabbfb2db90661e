"""Rules that are differentiated themselves: what they hold constant, on purpose or not, and what is refused."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.tensor import Tensor

W = Tensor(2.0, requires_grad=True)


def half_square(rule):
    made = ag.primitive(private=True)(lambda x: x * x / 2)
    made.vjp(x=rule)
    made.name = "half_square"
    return made


def of_tensor(take):
    return lambda g, x: g * (take(x) if isinstance(x, Tensor) else x)


RULES = {  # the rule of half the square, and its second derivative
    "operators": (lambda g, x: g * x, 1),
    "comparisons": (lambda g, x: g * x * (x > 0) * np.sign(abs(x)) + 0 * np.argmax(x), 1),  # constant around x
    "another Tensor": (lambda g, x: g * x * W.data / 2, 1),  # a constant of the function
    "stop_gradient": (lambda g, x: g * ag.stop_gradient(x), 0),
    "its array": (lambda g, x: g * np.asarray(ag.stop_gradient(x)), 0),
    "data": (of_tensor(lambda x: x.data), 0),
    "data of a result": (of_tensor(lambda x: (2 * x).data / 2), 0),
    "numpy": (of_tensor(Tensor.numpy), 0),
    "item": (lambda g, x: g * x.item(), 0),
    "tolist": (lambda g, x: g * np.array(x.tolist()), 0),
}
DIFFERENTIATED = [
    lambda f: ag.hessian(f)(np.array(3.0)),
    lambda f: ag.hvp(f, (np.array(3.0),), (np.array(1.0),))[0],
    lambda f: f(x := Tensor(3.0, requires_grad=True)).gradient(x, create_graph=True).gradient(x),
]


@pytest.mark.parametrize("name", RULES)
def test_a_rule_holds_constant_what_a_function_does_and_the_check_finds_it(name):
    rule, second = RULES[name]
    f = half_square(rule)
    assert ag.grad(f)(3.0) == 3.0
    if second:
        assert [differentiate(f) for differentiate in DIFFERENTIATED] == [1, 1, 1]
        assert ag.check_gradients(f, np.array(3.0), order=2) < 1e-6
    else:
        assert [differentiate(f) for differentiate in DIFFERENTIATED[:2]] == [0, 0]
        with pytest.raises(ValueError, match="does not depend on|has no history"):
            DIFFERENTIATED[2](f)
        with pytest.raises(
            AssertionError, match=r"the derivative of half_square, input 0\[\]: rule 0, differences 0.6"
        ):
            ag.check_gradients(f, np.array(3.0), order=2)


@pytest.mark.parametrize("differentiate", DIFFERENTIATED)
@pytest.mark.parametrize("take", [float, np.asarray])
def test_a_rule_that_asks_for_numbers_as_a_library_does_is_refused(take, differentiate):
    f = half_square(lambda g, x: g * take(x))
    assert ag.grad(f)(3.0) == 3.0
    with pytest.raises(TypeError, match="would leave the graph"):
        differentiate(f)


def test_a_users_function_that_a_rule_of_the_package_runs_again_may_leave_the_graph():
    x = np.array([0.5, 1.0])
    hessian = ag.hessian(lambda x: ag.checkpoint(lambda t: t * t * t.data, x).sum())(x)
    np.testing.assert_allclose(hessian, np.diag(2 * x))
