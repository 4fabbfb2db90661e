"""The errors of calls and rules, the user's own included, word for word."""

import traceback
from functools import partial

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.engine.observe import own_operations, primitives
from autograd_cnn.engine.primitive import Primitive
from leaves import halves
from wording import says, spelled

# Calls


@says(ValueError)
def test_shapes_that_do_not_broadcast():
    """
    add: x (2,) and y (3,) do not broadcast
      x (2,) float32    y (3,) float32
      at {here}
      Shapes are compared from the right; each pair must be equal or contain a 1.
    """
    halves(2) + halves(3)  # here


@says(ValueError)
def test_large_shapes_that_do_not_broadcast():
    """
    add: x (1000, 1000) and y (300, 1000) do not broadcast
      x (1000, 1000) float32    y (300, 1000) float32
      at {here}
      Shapes are compared from the right; each pair must be equal or contain a 1.
    """
    halves(1000, 1000) + halves(300, 1000)  # here


@says(ValueError, cure=lambda: halves(64, 10) + halves(64).reshape(64, 1))
def test_a_column_meant_and_a_row_given():
    """
    add: h (64, 10) and b (64,) do not broadcast
      x h (64, 10) float32    y b (64,) float32
      at {here}
      b.reshape(64, 1)?
    """
    halves(64, 10, name="h") + halves(64, name="b")  # here


@says(ValueError)
def test_a_shape_of_another_size():
    """
    reshape: cannot reshape array of size 6 into shape (5,-1)
      x (2, 3) float32
      at {here}
    """
    ag.reshape(halves(2, 3), (5, -1))  # here


@says(TypeError)
def test_a_padding_that_is_an_array():
    """
    conv2d: padding is array([1, 1]), want an int, or a pair of ints (height, width)
      x (1, 4, 4, 1) float32    w (3, 3, 1, 1) float32    padding (2,) int64
      at {here}
    """
    ag.conv2d(halves(1, 4, 4, 1), halves(3, 3, 1, 1), padding=np.array([1, 1]))  # here


@says(TypeError)
def test_an_option_misspelled():
    """conv2d: has no parameter 'strid'. Did you mean 'stride'?"""
    ag.conv2d(halves(1, 4, 4, 3), halves(1, 1, 3, 4), strid=2)


@says(TypeError)
def test_concatenate_of_one_tensor():
    """concatenate: tensors is a list of tensors, not (2,) float32"""
    ag.concatenate(halves(2))


def test_a_traceback_has_no_second_error_that_says_the_same():
    with pytest.raises(ValueError, match="do not broadcast") as caught:
        halves(2) + halves(3)
    lines = "".join(traceback.format_exception(caught.value)).splitlines()
    assert len([line for line in lines if line.startswith("Traceback")]) == 1
    assert "could not be broadcast" in str(caught.value.__context__)


def test_the_error_in_a_primitive_of_the_user_is_kept_as_the_cause():
    @ag.primitive
    def shifted(x):
        return x + np.ones(3)

    with pytest.raises(ValueError, match="shifted: operands could not be broadcast") as caught:
        shifted(halves(2))
    assert caught.value.__cause__.__traceback__.tb_next.tb_frame.f_code.co_name == "shifted"


@says(TypeError)
def test_an_operand_that_a_function_did_not_return():
    """
    matmul: x is None
      y w (2, 2) float32
      at {here}
      Does the function that computes it end with `return ...`?
    """

    def hidden(x):
        ag.relu(x)

    hidden(halves(1, 2)) @ halves(2, 2, name="w")  # here


def test_an_operand_that_is_none_without_a_tensor():
    for f, args, operand in (
        (ag.cross_entropy, (None, np.array([0])), "logits"),
        (ag.mse, (None, np.ones(2)), "p"),
        (ag.relu, (None,), "x"),
    ):
        with pytest.raises(TypeError, match=rf"{f.__name__}: {operand} is None\n"):
            f(*args)


def test_none_in_an_option_is_not_to_blame():
    with pytest.raises(ValueError, match="conv2d: x has 3 channels"):
        ag.conv2d(halves(1, 4, 4, 3), halves(1, 1, 2, 2), None)


@says(TypeError)
def test_the_word_of_pytorch_for_an_axis():
    """sum: has no parameter 'dim'. Here: axis="""
    halves(2).sum(dim=0)


@says(TypeError)
def test_the_word_of_pytorch_for_the_divisor():
    """var: has no parameter 'unbiased'. Here: ddof=1, or 0 if it is False"""
    halves(2).var(unbiased=True)


def test_messages_find_the_line_through_layers_of_the_package():
    """The error arises inside the package; the message names the user's line."""

    def program():
        return ag.jacobian(lambda x: x @ np.ones((4, 2)))(np.ones(3))  # here

    with pytest.raises(ValueError, match=spelled("{here}", program)):
        program()


def test_lists_are_arrays_with_and_without_a_tensor():
    expected = ag.cross_entropy(np.array([[1.0, 2.0]]), np.array([0]))
    assert ag.cross_entropy([[1.0, 2.0]], [0]) == expected
    assert (ag.add([1, 2], [3, 4]) == [4, 6]).all()
    assert (ag.concatenate([[1.0, 2.0], [3.0]]) == [1, 2, 3]).all()
    assert ag.multiply([1.0, 2.0], halves(2)).dtype == np.float32


# Rules


def test_an_error_inside_a_rule_says_where_it_was():
    @ag.primitive
    def faulty(x):
        return x * 1

    faulty.vjp(x=lambda g: g.no_such_attribute)

    def program():
        h = faulty(halves(2))  # forward
        h.sum().backward()

    with pytest.raises(AttributeError) as caught:
        program()
    note = spelled("while differentiating faulty ({forward}) for x", program)
    assert caught.value.__notes__ == [note]


def user_softplus():
    @ag.primitive
    def my_softplus(x):
        return np.log1p(np.exp(x))

    return my_softplus


@says(TypeError, cure=lambda: user_softplus().vjp(x=lambda g, out: g * (1 - np.exp(-out))))
def test_a_rule_that_asks_for_an_unknown_name():
    """my_softplus.vjp(x): the rule has an unknown parameter 'ouput'. It can have g, out, x, x_shape, out_shape."""
    user_softplus().vjp(x=lambda g, ouput: g)


@says(TypeError)
def test_a_rule_for_an_unknown_input():
    """my_softplus.vjp: y is not an input. It has x"""
    user_softplus().vjp(y=lambda g: g)


def user_blur():
    @ag.primitive
    def blur(x, sigma):
        return x * sigma

    blur.vjp(x=lambda g, sigma: g * sigma)
    return blur


@says(TypeError, cure=lambda: user_blur()(halves(2), halves(2).detach()).sum().backward())
def test_an_input_without_a_rule():
    """blur: no rule for sigma, which requires a gradient. blur.vjp(sigma=lambda g, ...: ...), or pass sigma.detach()"""
    user_blur()(halves(2), halves(2, name="sigma"))


@says(ValueError)
def test_a_rule_that_returns_another_shape():
    """my_softplus: the rule for x ({rule}) returned (3,), x is (4, 3)"""
    my_softplus = user_softplus()
    my_softplus.vjp(x=lambda g, x: g[0])  # rule
    my_softplus(halves(4, 3)).sum().backward()


@says(TypeError)
def test_a_rule_that_returns_nothing():
    """my_softplus: the rule for x returned None: is there a return?"""
    my_softplus = user_softplus()
    my_softplus.vjp(x=lambda g, x: None)
    my_softplus(halves(2)).sum().backward()


@says(TypeError)
def test_a_rule_that_returns_another_dtype():
    """
    my_softplus: the rule for x returned float64 for a float32 gradient: a NumPy scalar, or np.zeros without dtype?
    """
    my_softplus = user_softplus()
    my_softplus.vjp(x=lambda g, x: np.zeros(2))
    my_softplus(halves(2)).sum().backward()


@says(ValueError)
def test_a_name_that_is_taken():
    """primitive: relu is the package's own. Rename it, or @ag.primitive(private=True)"""

    @ag.primitive
    def relu(x):
        return x


def test_a_private_primitive_may_have_a_name_that_is_taken():
    with own_operations():

        @ag.primitive(private=True)
        def relu(x):
            return 2 * x

        relu.vjp(x=lambda g: 2 * g)
        x = halves(2)
        relu(x).sum().backward()
        assert x.grad.tolist() == [2, 2]
        assert x.relu().data.tolist() == np.maximum(x.data, 0).tolist()
        assert relu in primitives()  # so that `python -m autograd_cnn check` finds it


def test_a_primitive_of_code_without_a_module_is_defined_again():
    for factor in (2, 3):
        names = {"ag": ag, "factor": factor}
        exec("@ag.primitive\ndef scaled(x):\n    return factor * x", names)
        assert names["scaled"](1.0) == factor


def test_flops_with_an_unknown_parameter():
    with pytest.raises(TypeError) as error:
        Primitive(lambda x, w: x @ w, flops=lambda out_shape, v_shape: 1)
    assert str(error.value) == (
        "<lambda>: flops has an unknown parameter 'v_shape'. It can have out_shape, x_shape, w_shape, x, w."
    )


def test_a_primitive_with_complex_numbers_that_does_not_declare_them():
    def spectrum(x):
        return np.fft.fft(x)

    transformed = ag.primitive(spectrum)
    transformed.vjp(x=lambda g: np.fft.fft(g))
    cure = "If its rules hold for complex numbers: @ag.primitive(complex=True)"
    for x, problem in (halves(4, dtype=np.float64), "out is complex128"), (halves(4) * 1j, "x is complex"):
        with pytest.raises(TypeError, match=rf"spectrum: {problem}.*, and spectrum is for real numbers") as caught:
            transformed(x)
        assert cure in str(caught.value)
    declared = ag.primitive(complex=True)(spectrum)
    declared.vjp(x=lambda g: declared(g))
    x = halves(4, dtype=np.float64)
    (abs(declared(x)) ** 2).sum().backward()
    np.testing.assert_allclose(x.grad, 2 * 4 * x.data)


def test_a_complex_operand_of_a_rule_with_a_real_result():
    length = ag.primitive(lambda x: np.abs(x).sum())
    length.vjp(x=lambda g, x: g * np.sign(x))
    with pytest.raises(TypeError, match="x is complex128, and <lambda> is for real numbers"):
        length(halves(4, dtype=np.float64) * 1j).backward()


def test_a_primitive_that_gives_integers_lets_no_gradient_through():
    steps = ag.primitive(lambda x: np.rint(x).astype(int))
    steps.vjp(x=lambda g: g)
    with pytest.raises(TypeError, match=r"gives int64, and only floats have a gradient"):
        (steps(halves(4)) * halves(4)).sum().backward()


@pytest.mark.parametrize("name", ["matrix", "masked"])
def test_a_rule_that_returns_an_array_of_another_class(name):
    wrap = {"matrix": lambda a: a.view(np.matrix), "masked": np.ma.asarray}[name]
    double = ag.primitive(lambda x: 2 * x)
    double.vjp(x=lambda g: wrap(2 * g))
    x = halves(2, 2)
    if name == "masked":
        with pytest.raises(TypeError, match=r"the gradient of x, from its rule in <lambda>, is a masked array"):
            double(x).sum().backward()
    else:
        double(x).sum().backward()
        assert type(x.grad) is np.ndarray
        np.testing.assert_array_equal(x.grad, [[2, 2], [2, 2]])


# Tensors that are not arguments


def rounded(params):
    """Compute with plain arrays, so that only the rule could give a gradient."""
    values = params.values() if isinstance(params, dict) else params
    return np.greater(next(iter(values)), 0)


def own(function):
    made = Primitive(function)
    made.vjp(**{made.parameters[-1]: lambda g: 50 * g})
    return made


class Layer(ag.nn.Module):
    def __init__(self):
        self.w = halves(2)


HOLDERS = {
    "a dict": lambda: {"w": halves(2)}, "a list": lambda: [halves(2), 1.0], "a tuple": lambda: (1.0, halves(2)),
    "a list of lists": lambda: [[1.0, halves(2)]], "a list of dicts": lambda: [{"w": halves(2)}],
}  # fmt: skip


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize(
    "first", [(), (halves(2),), (np.ones(2),)], ids=["alone", "beside a Tensor", "beside an array"]
)
def test_a_primitive_does_not_ignore_its_rule_for_a_tensor_inside_of_an_argument(holder, first):
    function = (lambda x, params: x * rounded(params)) if first else rounded
    with pytest.raises(TypeError, match="params has a Tensor inside of it, where no rule reaches it\n"):
        own(function)(*first, HOLDERS[holder]())


def test_a_primitive_takes_arrays_inside_of_an_argument():
    scaled = own(lambda params, x: x * params["w"])
    x = halves(2)
    scaled({"w": np.full(2, 3.0), "note": halves(2).detach()}, x).sum().backward()
    assert x.grad.tolist() == [50, 50]


def test_a_tensor_that_a_primitive_closes_over_is_refused():
    w, layer = halves(2), Layer()
    for x in (np.ones(2, np.float32), halves(2)):
        for f in (own(lambda x: x * w), partial(own(lambda layer, x: x * layer.w), layer)):
            with pytest.raises(TypeError, match="the function computes with a Tensor that is not one of its arguments"):
                f(x)


@says(TypeError)
def test_nested_lists_of_tensors():
    """
    stack: tensors has a Tensor inside of it, where no rule reaches it
      at {here}
      Pass each Tensor as an argument, or join them: ag.stack(list), ag.ravel_pytree(tree)[0]
    """
    a, b, c = halves(), halves(), halves()
    ag.stack([[a, 1.0], [b, c]])  # here


@says(TypeError)
def test_a_list_with_a_tensor_as_an_operand():
    """
    multiply: y has a Tensor inside of it, where no rule reaches it
      x (2,) float32
      at {here}
      Pass each Tensor as an argument, or join them: ag.stack(list), ag.ravel_pytree(tree)[0]
    """
    _ = halves(2) * [1.0, halves()]  # here


def test_the_cures_of_nested_lists_work():
    a, b, c = (ag.Tensor(float(i), requires_grad=True) for i in (1, 2, 3))
    ag.sum(ag.stack([ag.stack([a, 1.0]), ag.stack([b, c])]) * [[1.0, 2.0], [3.0, 4.0]]).backward()
    assert [t.grad for t in (a, b, c)] == [1, 3, 4]


# Results that are no arrays


@pytest.mark.parametrize(("result", "message"), [
    (lambda x: None, "the function returned NoneType, which is not an array of numbers"),
    (lambda x: (y for y in x), "the function returned generator, which is not an array of numbers"),
    (lambda x: "text", "the function returned str, which is not an array of numbers"),
    (lambda x: np.ma.masked_array(x, [0, 1]), "the function returned MaskedArray, which is a masked array"),
    (lambda x: (x * 2, x > 0), r"the function returns a tuple of 2, want one array\n.*\n.*\n  Return np.con"),
    (lambda x: {"double": x * 2}, r"the function returns a dict of 1, want one array\n.*\n.*\n  Return np.con"),
])  # fmt: skip
def test_a_result_that_is_no_array_is_refused(result, message):
    with pytest.raises(TypeError, match=message):
        own(result)(halves(2))


def test_a_rule_that_computes_with_a_tensor_of_its_own_is_refused():
    x, w = halves(2), halves(2)
    scaled = Primitive(lambda x: x * w.data)
    scaled.vjp(x=lambda g: g * w)
    with pytest.raises(TypeError, match="the rule for x returned a Tensor: it computes with one that is not among its"):
        scaled(x).sum().backward()
    assert x.grad is None
