"""The engine's errors, word for word, with the user's numbers, names and lines; and that their cures work."""

import operator

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.registry import registry
from autograd_cnn.engine.tensor import Tensor
from leaves import halves, named
from wording import says

JOIN = "array" if "array" in registry else "stack"  # without the vocabulary


# Backward and gradient


@says(
    ValueError,
    cure=lambda: ((halves(64, 1) * 2).mean().backward(), (halves(64, 1) * 2).backward(grad=np.ones((64, 1)))),
)
def test_backward_of_many_numbers():
    r"""
    backward: probs (64, 1) has 64 numbers, want one. Reduce it: .mean() or .sum(); or pass weights: \
    backward(grad=array of shape (64, 1))
    """
    named(halves(64, 1) * 2, "probs").backward()


@says(ValueError)
def test_backward_where_nothing_was_recorded():
    r"""
    backward: loss has no history. It was made under no_grad(), or detached, or by a step such as np.round, or no \
    input requires a gradient
    """
    with ag.no_grad():
        loss = named(halves(3).sum(), "loss")
    loss.backward()


@says(ValueError)
def test_backward_with_a_weight_of_another_shape():
    """backward: grad is (2,), h is (3,)"""
    named(halves(3) * 2, "h").backward(np.ones(2))


@says(RuntimeError)
def test_backward_twice():
    r"""
    backward: this graph was walked before ({earlier}), and the arrays of sum ({forward}) were freed. Run the forward \
    code again, or keep them: backward(retain_graph=True)
    """
    loss = (halves(3) ** 2).sum()  # forward
    loss.backward()  # earlier
    loss.backward()


@says(RuntimeError)
def test_backward_twice_although_nothing_was_saved():
    r"""
    backward: this graph was walked before ({earlier}), and the arrays of add ({forward}) were freed. Run the forward \
    code again, or keep them: backward(retain_graph=True)
    """
    loss = halves() + halves()  # forward
    loss.backward()  # earlier
    loss.backward()


@says(RuntimeError)
def test_backward_after_one_that_failed_in_the_first_rule():
    r"""
    backward: this graph was walked before ({earlier}), and that walk did not end. Run the forward code again, or keep \
    them: backward(retain_graph=True)
    """
    broken = ag.primitive(private=True)(lambda x: x * 1)
    broken.vjp(x=lambda g, x: 1 // 0)
    loss = broken(halves())
    with pytest.raises(ZeroDivisionError):
        loss.backward()  # earlier
    loss.backward()


@says(RuntimeError)
def test_backward_of_a_fresh_loss_joined_with_a_walked_one():
    r"""
    backward: this graph was walked before ({earlier}), and the arrays of multiply ({forward}) were freed. Run the \
    forward code again, or keep them: backward(retain_graph=True)
    """
    h = halves() * 2  # forward
    h.backward()  # earlier
    (h + halves()).backward()


@says(ValueError)
def test_gradient_of_what_the_loss_does_not_use():
    """gradient: loss does not depend on w (2,)"""
    named(halves(3).sum(), "loss").gradient(halves(2, name="w"))


@pytest.mark.parametrize("target", ["w", np.ones(2)])
def test_gradient_of_what_is_no_tensor(target):
    with pytest.raises(TypeError) as caught:
        named(halves(3).sum(), "loss").gradient(target)
    assert str(caught.value).startswith("gradient: want Tensors that loss was computed from, such as model.conv1.w. ")


@says(ValueError)
def test_gradient_of_what_requires_none():
    """gradient: loss does not depend on x (2,), which does not require a gradient"""
    x = Tensor([1.0, 2.0], name="x")
    named((halves(2, dtype=float) * x).sum(), "loss").gradient(x)


def test_repr_says_why_there_is_no_gradient():
    used, unused = halves(2), halves(2)
    assert "grad=None (no backward yet)" in repr(used)
    h = used * 2
    h.sum().backward()
    assert "grad=(2,)" in repr(used)
    assert "grad=None (backward ran and did not reach it)" in repr(unused)
    assert repr(h) == "Tensor([1., 1.], float32, from multiply)"
    assert "grad" not in repr(Tensor([1.0]))


# Assignment, copies


@says(RuntimeError, cure=lambda: halves(2).copy().__setitem__(0, 0.0))
def test_assignment_into_a_parameter():
    """w[...] = v: w is a parameter. Assign to a copy: w = w.copy()"""
    halves(2, name="w")[0] = 0.0


@pytest.mark.parametrize(
    "sign", [operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ifloordiv, operator.imod,
             operator.ipow, operator.imatmul],
)  # fmt: skip
def test_no_operator_replaces_a_parameter_and_each_makes_a_new_result_of_others(sign):
    w, h = halves(2, 2, name="w"), halves(2, 2) * 2.0
    with pytest.raises(TypeError, match=r"w \S+= ... would replace the parameter by a result"):
        sign(w, 2 * np.ones((2, 2), np.float32))
    before = h.data
    assert sign(h, 2 * np.ones((2, 2), np.float32)) is not h
    assert h.data is before and before.tolist() == [[1, 1], [1, 1]]


BUFFER_AND_SOURCE = {  # a write of a recorded Tensor into the memory of a Tensor that is not recorded
    "a nested list": lambda b, x: b.__setitem__(np.newaxis, [[x[0], (x[1])]]),
    "an array": lambda b, x: b.data.__setitem__(slice(None), x),
    "data": lambda b, x: setattr(b, "data", x * 2),
    "data of a list": lambda b, x: setattr(b, "data", [x[0], x[1]]),
    "into data": lambda b, x: operator.iadd(b.data, x),
    "a copy": lambda b, x: Tensor(x * 2),
    "a list of them": lambda b, x: Tensor([x[0], x[1]]),
}


@pytest.mark.parametrize("name", BUFFER_AND_SOURCE)
@pytest.mark.parametrize("inside", [lambda f: f, lambda f: lambda b, x: ag.grad(lambda x: f(b, x))(x.data)])
def test_a_recorded_tensor_does_not_enter_the_memory_of_another_in_silence(name, inside):
    b = Tensor(np.zeros(2))
    with pytest.raises(
        TypeError, match="would leave the graph|with out= is not recorded|cannot take a result|has a Tensor inside"
    ):
        inside(BUFFER_AND_SOURCE[name])(b, Tensor([1.0, 2.0], requires_grad=True))
    assert b.tolist() == [0, 0]


def test_a_tensor_that_is_not_recorded_is_an_array_to_write_into():
    b, x = Tensor(np.zeros(2)), Tensor([1.0, 2.0], requires_grad=True)
    b[0] = 5
    b[1:] = [Tensor(6.0)]
    with ag.no_grad():
        b[0] += x[0] * 2
    assert b.tolist() == [7, 6]
    b[:] = (x * 2).detach()
    assert Tensor(x).tolist() == [1, 2]
    h = Tensor(x * 2, requires_grad=True)  # a new leaf
    (h * h).sum().backward()
    assert h.grad.tolist() == [4, 8]
    assert x.grad is None


@says(TypeError)
def test_a_copy_of_a_result():
    """
    Tensor: h is the result of multiply ({here}), and a copy would leave the graph. Use h, or h.detach() without history
    """
    h = halves(2) * 2  # here
    h.name = "h"
    Tensor(h)


def cured_step():
    w = halves(2)
    (w * w).sum().backward()
    w.data -= 0.1 * w.grad
    assert w.requires_grad
    np.testing.assert_allclose(w.data, 0.4, rtol=1e-6)


@says(TypeError, cure=cured_step)
def test_a_step_in_place():
    r"""
    w -= ... would replace the parameter by a result. Use optimiser.step(), or change its array after backward(): \
    w.data -= ...
    """
    w = halves(2, name="w")
    w -= 0.1 * np.ones(2, np.float32)


@says(ValueError)
def test_data_of_another_shape():
    """w.data = ...: got (3,) float32, want (2,) float32. For others, make a new Tensor"""
    halves(2, name="w").data = np.ones(3, np.float32)


@pytest.mark.parametrize(("grad", "description"), [(0, "0"), ([0, 0], "[0, 0]"), (np.zeros(3), "(3,) float64")])
def test_gradient_of_something_else(grad, description):
    @says(ValueError, f"w.grad = ...: got {description}, want (2,) float32, or None to clear it")
    def program():
        halves(2, name="w").grad = grad

    program()


@says(ValueError)
def test_gradient_of_another_dtype():
    """w.grad = ...: got (2,) float64, want (2,) float32, or None to clear it"""
    halves(2, name="w").grad = np.ones(2)


@says(
    TypeError,
    cure=lambda: [
        Tensor(np.float32(labels), requires_grad=True) for labels in (np.arange(3), Tensor([1, 2]), [1, 2], 3)
    ],
)
def test_gradient_of_integers():
    """Tensor: labels is int64: only floats have a gradient. Tensor(np.float64(labels), requires_grad=True)"""
    Tensor(np.arange(3, dtype=np.int64), requires_grad=True, name="labels")


@pytest.mark.parametrize(("data", "cure"), [
    ([None], ". For a list of tensors: ag.stack([...])"),
    *((text, "\nFrom names: classes, labels = np.unique(labels, return_inverse=True)") for text in ("abc", b"abc")),
])  # fmt: skip
def test_a_tensor_of_objects(data, cure):
    @says(TypeError, f"Tensor: data is not an array of numbers{cure}")
    def program():
        Tensor(data)

    program()


@pytest.mark.parametrize("kind", [float, int, bool, Tensor.item, "{:.3f}".format])
def test_a_tensor_of_many_numbers_is_not_one_number(kind):
    who = getattr(kind, "__name__", "")
    cure = ".data.any() or .data.all()" if kind is bool else ".mean() or .sum(); or take one: [0, 0]"

    @says(ValueError, f"{who}: h (2, 3) has 6 numbers, want one. Reduce it: {cure}")
    def program():
        kind(named(halves(2, 3) * 2, "h"))

    program()
    assert kind(Tensor([[2.5]])) == kind(2.5) if kind is not Tensor.item else Tensor([[2.5]]).item() == 2.5


def test_a_tensor_without_a_format_is_its_repr():
    t = Tensor([1.0, 2.0])
    assert f"{t}" == repr(t)


@says(TypeError)
def test_a_subclass():
    """Tensor is final: hold one as an attribute, or write a function of tensors"""

    class Parameter(Tensor):
        pass


# NumPy


@says(TypeError, cure=lambda: np.nextafter(halves(2).data, 1.0))
def test_a_ufunc_without_a_rule():
    """
    np.nextafter has no derivative here. Leave the graph: np.nextafter(t.data, ...); or write it: @ag.primitive
      at {here}
    """
    np.nextafter(halves(2), 1.0)  # here


@says(TypeError, cure=lambda: pytest.importorskip("scipy.special").zeta(halves(2).data))
def test_a_ufunc_behind_a_function_of_scipy():
    """
    _riemann_zeta has no derivative here. Leave the graph: pass t.data; or write it: @ag.primitive
      at {here}
    """
    special = pytest.importorskip("scipy.special")
    special.zeta(halves(2))  # here


@says(TypeError, cure=lambda: np.i0(halves(2).data))
def test_a_function_without_a_rule():
    """
    np.i0 has no derivative here. Leave the graph: np.i0(t.data, ...); or write it: @ag.primitive
      at {here}
    """
    np.i0(halves(2))  # here


@says(TypeError, cure=lambda: halves(2).copy().__setitem__(0, 1.0))
def test_a_function_that_is_called_otherwise_here():
    """np.put is not recorded. Here: x[index] = values"""
    np.put(halves(2), 0, 1.0)


@says(TypeError)
def test_a_method_of_a_ufunc():
    r"""
    np.subtract.reduce has no derivative here. Leave the graph: np.subtract.reduce(t.data, ...); or write it: \
    @ag.primitive
      at {here}
    """
    np.subtract.reduce(halves(2))  # here


# Transforms


@says(TypeError)
def test_an_argument_that_was_not_given():
    r"""
    f: cannot differentiate argument 1, counted from 0: 1 positional arguments were passed. Arguments by keyword are \
    constants
    """

    def f(x, y):
        return x * y

    ag.grad(f, 1)(2.0, y=3.0)


@pytest.mark.parametrize("transform", [ag.jvp, ag.hvp])
@pytest.mark.parametrize(("args", "tangents"), [(1.0, 1.0), ((1.0,), ()), (np.ones(2), np.ones(2))])
def test_tangents_come_in_a_tuple(transform, args, tangents):
    who = transform.__name__

    @says(TypeError, f"{who}: want as many tangents as arguments, both in tuples: ag.{who}(f, (x,), (dx,))")
    def program():
        transform(lambda x: x * x, args, tangents)

    program()


@says(RuntimeError)
def test_checkpoint_of_something_random():
    r"""
    checkpoint: f gave another result in backward. Does it draw random numbers itself, or did a parameter change? Draw \
    outside, or pass the generator: checkpoint(f, x, rng)
    """
    hidden = [np.random.default_rng(0)]
    ag.checkpoint(lambda x: x * hidden[0].normal(size=2), halves(2)).sum().backward()
