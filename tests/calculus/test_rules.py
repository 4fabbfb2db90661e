"""A rule that is differentiated itself must not take numbers out of the graph."""

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


TAKEN = {
    "data": of_tensor(lambda x: x.data), "numpy": of_tensor(Tensor.numpy), "item": lambda g, x: g * x.item(),
    "tolist": lambda g, x: g * np.array(x.tolist()), "float": lambda g, x: g * float(x),
    "asarray": lambda g, x: g * np.asarray(x), "of a result": of_tensor(lambda x: (2 * x).data / 2),
}  # fmt: skip


@pytest.mark.parametrize("rule", TAKEN.values(), ids=TAKEN)
@pytest.mark.parametrize("differentiate", [
    lambda f: ag.hessian(f)(np.array(3.0)),
    lambda f: ag.hvp(f, (np.array(3.0),), (np.array(1.0),)),
    lambda f: f(Tensor(3.0, requires_grad=True)).backward(create_graph=True),
    lambda f: ag.check_gradients(f, np.array(3.0), order=2),
], ids=["hessian", "hvp", "create_graph", "check_gradients"])  # fmt: skip
def test_numbers_that_the_second_derivative_would_lack_are_refused(rule, differentiate):
    f = half_square(rule)
    assert ag.grad(f)(3.0) == 3.0
    with pytest.raises(TypeError, match=r"half_square: a rule that is differentiated .* ag\.stop_gradient\("):
        differentiate(f)


@pytest.mark.parametrize(("rule", "second"), [
    (lambda g, x: g * x, 1),
    (lambda g, x: g * x * (x > 0) * np.sign(abs(x)) + 0 * np.argmax(x), 1),  # constant around each number
    (lambda g, x: g * ag.stop_gradient(x), 0),  # on purpose
    (lambda g, x: g * np.asarray(ag.stop_gradient(x)), 0),
    (lambda g, x: g * x * W.data / 2, 1),  # a constant of the function
], ids=["operators", "comparisons", "stop_gradient", "its array", "another Tensor"])  # fmt: skip
def test_a_rule_may_compute_and_hold_constant_on_purpose(rule, second):
    assert ag.hessian(half_square(rule))(np.array(3.0)) == second


def test_a_function_without_a_derivative_is_not_sent_out_of_the_graph():
    f = half_square(lambda g, x: g * np.i0(x))
    with pytest.raises(TypeError, match=r"np\.i0 has no derivative here\. Write it: @ag\.primitive"):
        ag.hessian(f)(np.array(3.0))


def test_a_users_function_that_a_rule_of_the_package_runs_again_may_leave_the_graph():
    x = np.array([0.5, 1.0])
    hessian = ag.hessian(lambda x: ag.checkpoint(lambda t: t * t * t.data, x).sum())(x)
    np.testing.assert_allclose(hessian, np.diag(2 * x))
