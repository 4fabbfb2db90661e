"""What the engine says, word for word, with the user's numbers, names and lines; and that its cures work.

A test is the program of a user who stumbles; a comment such as ``# here`` marks the line that the message must name,
as ``{here}``.
"""

import copy
import functools
import inspect
import math
import pickle
import re
import warnings

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.elsewhere import ADVICE
from autograd_cnn.engine.registry import registry
from autograd_cnn.engine.tensor import Tensor

FILE = "test_messages.py"


def lines_of(case):
    """{mark: line number} of the comments in a function."""
    source, first = inspect.getsourcelines(case)
    marks = ((re.search(r"# (\w+)$", line.rstrip()), first + i) for i, line in enumerate(source))
    return {found[1]: number for found, number in marks if found}


def spelled(text, case):
    places = {mark: f"{FILE}:{number}" for mark, number in lines_of(case).items()}
    return inspect.cleandoc(text).format(**places)


def says(kind, text, cure=None):
    """The decorated program ends in an error of exactly this kind and text; the cure does not."""

    def decorate(case):
        @functools.wraps(case)
        def test():
            with pytest.raises(kind) as caught:
                case()
            assert str(caught.value) == spelled(text, case)
            assert type(caught.value) is kind
            if cure is not None:
                cure()

        return test

    return decorate


def warns(category, text, cure=None):
    """The program warns exactly once however often it runs, at the line marked ``# here``; the cure does not."""

    def decorate(case):
        @functools.wraps(case)
        def test():
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("default")
                for _ in range(3):
                    case()
            assert [str(w.message) for w in told] == [spelled(text, case)]
            assert [(w.category, w.filename, w.lineno) for w in told] == [(category, __file__, lines_of(case)["here"])]
            if cure is not None:
                cure()  # under warnings as errors

        return test

    return decorate


def leaf(*shape, name=None, dtype=np.float32):
    return Tensor(np.full(shape, 0.5, dtype), requires_grad=True, name=name)


def named(tensor, name):
    tensor.name = name
    return tensor


# Backward, and what it leaves behind


@says(
    ValueError,
    "backward: starts from one number; probs (64, 1) has 64. Reduce it: .mean() or .sum(); or weigh it: "
    "backward(grad=array of shape (64, 1))",
    cure=lambda: ((leaf(64, 1) * 2).mean().backward(), (leaf(64, 1) * 2).backward(grad=np.ones((64, 1)))),
)
def test_backward_of_many_numbers():
    named(leaf(64, 1) * 2, "probs").backward()


@says(
    ValueError,
    "backward: loss has no history. It was made under no_grad(), or detached, or none of its inputs requires a "
    "gradient",
)
def test_backward_where_nothing_was_recorded():
    with ag.no_grad():
        loss = named(leaf(3).sum(), "loss")
    loss.backward()


@says(ValueError, "backward: grad is (2,), h is (3,)")
def test_backward_with_a_weight_of_another_shape():
    named(leaf(3) * 2, "h").backward(np.ones(2))


@says(
    RuntimeError,
    "backward: this graph was walked before ({earlier}) and sum ({forward}) has let go of its arrays. "
    "Run the forward code again, or keep them: backward(retain_graph=True)",
)
def test_backward_twice():
    loss = (leaf(3) ** 2).sum()  # forward
    loss.backward()  # earlier
    loss.backward()


@says(
    RuntimeError,
    "backward: this graph was walked before ({earlier}) and add ({forward}) has let go of its arrays. "
    "Run the forward code again, or keep them: backward(retain_graph=True)",
)
def test_backward_twice_although_nothing_was_saved():
    loss = leaf() + leaf()  # forward
    loss.backward()  # earlier
    loss.backward()


@says(
    RuntimeError,
    "backward: this graph was walked before ({earlier}) and multiply ({forward}) has let go of its arrays. "
    "Run the forward code again, or keep them: backward(retain_graph=True)",
)
def test_backward_of_a_fresh_loss_joined_with_a_walked_one():
    h = leaf() * 2  # forward
    h.backward()  # earlier
    (h + leaf()).backward()


@says(ValueError, "gradient: loss does not depend on w (2,)")
def test_gradient_of_what_the_loss_does_not_use():
    named(leaf(3).sum(), "loss").gradient(leaf(2, name="w"))


@pytest.mark.parametrize("target", ["w", np.ones(2)])
def test_gradient_of_what_is_no_tensor(target):
    with pytest.raises(TypeError) as caught:
        named(leaf(3).sum(), "loss").gradient(target)
    assert str(caught.value) == "gradient: wants Tensors on the way to loss: h, or model.conv1.w"


@says(ValueError, "gradient: loss does not depend on x (2,), which does not require a gradient")
def test_gradient_of_what_requires_none():
    x = Tensor([1.0, 2.0], name="x")
    named((leaf(2, dtype=float) * x).sum(), "loss").gradient(x)


def test_repr_says_why_there_is_no_gradient():
    used, unused = leaf(2), leaf(2)
    assert "grad=None (no backward yet)" in repr(used)
    h = used * 2
    h.sum().backward()
    assert "grad=(2,)" in repr(used)
    assert "grad=None (backward ran and did not reach it)" in repr(unused)
    assert repr(h) == "Tensor([1., 1.], float32, from multiply)"
    assert "grad" not in repr(Tensor([1.0]))


@warns(
    UserWarning,
    "total += loss: loss was walked by backward() already ({earlier}). For a running total: total += loss.item()",
    cure=lambda: 0.0 + leaf().item(),
)
def test_a_running_total_of_walked_losses():
    total = Tensor(0.0)
    for _ in range(3):
        loss = named(leaf(3).sum(), "loss")
        loss.backward()  # earlier
        total += loss  # here
    assert total.item() == 4.5
    assert not total.requires_grad


@warns(
    UserWarning,
    "total += loss: a sum of 100 losses keeps every graph alive. For a running total: total += loss.item()",
)
def test_a_running_total_that_is_never_walked():
    total = Tensor(0.0)
    for _ in range(150):
        total += named(leaf(3).sum(), "loss")  # here


@says(
    TypeError,
    "h[...] = v would overwrite what backward needs (relu ({forward})). Build a new tensor: ag.where(mask, v, h), "
    "ag.stack([...]), ag.concatenate([...])",
    cure=lambda: ag.where(np.array([True, False]), 0.0, ag.relu(leaf(2))).sum().backward(),
)
def test_assignment_into_a_result():
    h = named(ag.relu(leaf(2)), "h")  # forward
    h[0] = 0.0


@says(
    TypeError,
    "w[...] = v would overwrite a parameter. Build a new tensor: ag.where(mask, v, w), ag.stack([...]), "
    "ag.concatenate([...])",
)
def test_assignment_into_a_parameter():
    leaf(2, name="w")[0] = 0.0


def cured_step():
    w = leaf(2)
    (w * w).sum().backward()
    w.data -= 0.1 * w.grad
    assert w.requires_grad
    np.testing.assert_allclose(w.data, 0.4, rtol=1e-6)


@says(
    TypeError,
    "w -= ... would replace the parameter by a result. Use optimiser.step(), or change its array: w.data -= ...",
    cure=cured_step,
)
def test_a_step_in_place():
    w = leaf(2, name="w")
    w -= 0.1 * np.ones(2, np.float32)


@says(ValueError, "w.data = ...: got (3,) float32, it is (2,) float32. Another shape or dtype is another Tensor")
def test_data_of_another_shape():
    leaf(2, name="w").data = np.ones(3, np.float32)


@pytest.mark.parametrize(("grad", "told"), [(0, "0"), ([0, 0], "[0, 0]"), (np.zeros(3), "(3,) float64")])
def test_gradient_of_something_else(grad, told):
    @says(ValueError, f"w.grad = ...: got {told}, want (2,) float32, or None to clear it")
    def program():
        leaf(2, name="w").grad = grad

    program()


@says(ValueError, "w.grad = ...: got (2,) float64, want (2,) float32, or None to clear it")
def test_gradient_of_another_dtype():
    leaf(2, name="w").grad = np.ones(2)


@pytest.mark.parametrize("copying", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_result_is_not_copied_with_its_history(copying):
    @says(
        TypeError,
        "deepcopy: h is the result of relu ({forward}) and owns a history. Copy h.detach()",
        cure=lambda: copying(ag.relu(leaf(2)).detach()),
    )
    def program():
        h = named(ag.relu(leaf(2)), "h")  # forward
        copying(h)

    program()


def test_an_error_inside_a_rule_says_where_it_was():
    @ag.primitive
    def faulty(x):
        return x * 1

    faulty.vjp(x=lambda g: g.no_such_attribute)

    def program():
        h = faulty(leaf(2))  # forward
        h.sum().backward()

    with pytest.raises(AttributeError) as caught:
        program()
    note = f"while differentiating faulty ({FILE}:{lines_of(program)['forward']}) for x"
    assert getattr(caught.value, "__notes__", [note]) == [note]  # Python 3.10 has none


# NumPy and dtypes


@says(
    TypeError,
    "np.arctan2: no derivative here. Leave the graph: np.arctan2(t.data, ...); or write it: @ag.primitive",
    cure=lambda: np.arctan2(leaf(2).data, 1.0),
)
def test_a_ufunc_without_a_rule():
    np.arctan2(leaf(2), 1.0)


@says(
    TypeError,
    "np.linalg.norm: no derivative here. Leave the graph: np.linalg.norm(t.data, ...); or write it: @ag.primitive",
    cure=lambda: np.linalg.norm(leaf(2).data),
)
def test_a_function_without_a_rule():
    np.linalg.norm(leaf(2))


@says(TypeError, "np.add with .reduce is not recorded. Use ag.add, or leave the graph: .data")
def test_a_method_of_a_ufunc():
    np.add.reduce(leaf(2))


@says(TypeError, "np.multiply with out= is not recorded. Use ag.multiply, or leave the graph: .data")
def test_an_array_times_equals_a_tensor():
    array = np.ones(2, np.float32)
    array *= leaf(2)


@says(
    TypeError,
    "np.asarray(loss) would leave the graph: loss.data. For a list of tensors: ag.stack([...])",
    cure=lambda: np.asarray(leaf(2).data),
)
def test_asarray_of_a_result():
    np.asarray(named(leaf(2) * 2, "loss"))


@says(
    TypeError,
    "np.asarray(a) would leave the graph: a.data. For a list of tensors: ag.stack([...])",
    cure=lambda: ag.stack([leaf(2), leaf(2)]).sum().backward(),
)
def test_an_array_of_tensors():
    np.array([leaf(2, name="a"), leaf(2, name="b")])


@pytest.mark.parametrize("data", [[None], "abc", b"abc"])
def test_a_tensor_of_objects(data):
    @says(TypeError, "Tensor: data is not an array of numbers. For a list of tensors: ag.stack([...])")
    def program():
        Tensor(data)

    program()


@warns(UserWarning, "float(loss) leaves the graph; if meant: loss.item()", cure=lambda: leaf().item())
def test_float_of_a_live_tensor():
    loss = named(leaf(2).sum(), "loss")
    assert float(loss) == 1.0  # here


@warns(UserWarning, "float(w) leaves the graph; if meant: w.item()", cure=lambda: leaf().item())
def test_float_of_a_variable():
    math.sin(leaf(name="w"))  # here


@warns(UserWarning, "float(loss) leaves the graph; if meant: loss.item()")
def test_an_element_set_to_a_live_tensor():
    history = np.zeros(2)
    history[1] = named(leaf(2).sum(), "loss")  # here
    assert history[1] == 1


@pytest.mark.parametrize("kind", [float, int, bool, Tensor.item, "{:.3f}".format])
def test_of_many_numbers_none_is_chosen(kind):
    who = getattr(kind, "__name__", "")
    cure = ".data.any() or .data.all()" if kind is bool else ".mean() or .sum(); or take one: [0, 0]"

    @says(ValueError, f"{who}: wants one number; h (2, 3) has 6. Reduce it: {cure}")
    def program():
        kind(named(leaf(2, 3) * 2, "h"))

    program()
    assert kind(Tensor([[2.5]])) == kind(2.5) if kind is not Tensor.item else Tensor([[2.5]]).item() == 2.5


def test_a_tensor_without_a_format_is_its_repr():
    t = Tensor([1.0, 2.0])
    assert f"{t}" == repr(t)


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("view", ". Here: ag.reshape(x, shape)"),
        ("permute", ". Here: ag.transpose(x, axes)"),
        ("zero_grad", ". Here: x.grad = None, or optimiser.zero_grad()"),
        ("add_", ". Nothing works in place; outside a graph: x.data[...] = values"),
        ("prod", ". NumPy's, outside the graph: x.data.prod"),
        ("tril", ". NumPy's, outside the graph: np.tril(x.data)"),
        ("reluu", ". Did you mean 'relu'?"),
        ("_repr_png_", ""),
    ],
)
@pytest.mark.parametrize(("owner", "it"), [("Tensor", leaf(2)), ("autograd_cnn", ag)])
def test_names_of_other_packages(owner, it, name, rest):
    with pytest.raises(AttributeError) as caught:
        getattr(it, name)
    assert str(caught.value) == f"{owner} has no {name!r}{rest}"


class Empty(ag.nn.Module):
    pass


@pytest.mark.parametrize(
    ("it", "text"),
    [
        (ag, "autograd_cnn has no 'mse_loss'. Did you mean 'mse'?"),
        (ag, "autograd_cnn has no 'Conv2d'. Here: ag.nn has it"),
        (ag.nn, "autograd_cnn.nn has no 'CrossEntropyLoss'. Did you mean 'ag.cross_entropy'?"),
        (ag.nn, "autograd_cnn.nn has no 'LogSoftmax'. Did you mean 'ag.log_softmax'?"),
        (ag.nn, "autograd_cnn.nn has no 'Conv2D'. Did you mean 'Conv2d'?"),
        (
            ag.nn,
            "autograd_cnn.nn has no 'functional'. "
            "Here: functions are ag's own, as ag.relu(x) and ag.cross_entropy(logits, labels)",
        ),
        (
            ag.optim,
            "autograd_cnn.optim has no 'lr_scheduler'. "
            "Here: schedule = ag.optim.cosine(lr, steps), then optimiser.lr = schedule(step)",
        ),
        (Empty(), "Empty has no 'weight'. Here: layer.w"),
        (Empty(), "Empty has no 'copy'"),
        (Empty(), "Empty has no 'state_dic'. Did you mean 'state_dict'?"),
    ],
)
def test_names_of_layers_losses_and_schedules(it, text):
    with pytest.raises(AttributeError) as caught:
        getattr(it, text.split("'")[1])
    assert str(caught.value) == text


@says(AttributeError, "Empty has no 'forward'. Here: the class computes with def forward(self, x): ...")
def test_a_module_without_forward():
    Empty()(1)


def test_what_is_said_of_a_missing_name_exists():
    for name, cure in ADVICE.items():
        assert name not in [*registry, *vars(Tensor)]
        assert all(hasattr(ag, known) for known in re.findall(r"\bag\.(\w+)", cure)), cure
        assert all(hasattr(Tensor, known) for known in re.findall(r"\bx\.(\w+)", cure)), cure


@says(TypeError, "np.hstack is not recorded. Here: ag.concatenate([x, y], axis)")
def test_a_function_that_is_called_otherwise_here():
    np.hstack([leaf(2), leaf(2)])


@says(
    TypeError,
    "labels is int64: only floats have a gradient. Tensor(np.float32(labels), requires_grad=True)",
    cure=lambda: [
        Tensor(np.float32(labels), requires_grad=True) for labels in (np.arange(3), Tensor([1, 2]), [1, 2], 3)
    ],
)
def test_gradient_of_integers():
    Tensor(np.arange(3, dtype=np.int64), requires_grad=True, name="labels")


@says(
    TypeError,
    """
    conv2d: images is uint8 (0..255)
      x images (2, 4, 4, 3) uint8    w (3, 3, 3, 8) float32
      at {here}
      Convert once: images.astype(np.float32) / 255, or ag.data.as_float32(images)
    """,
    cure=lambda: ag.conv2d(np.zeros((2, 4, 4, 3), np.uint8).astype(np.float32) / 255, leaf(3, 3, 3, 8)),
)
def test_bytes_into_a_convolution():
    images = Tensor(np.zeros((2, 4, 4, 3), np.uint8), name="images")
    ag.conv2d(images, leaf(3, 3, 3, 8))  # here


@says(
    TypeError,
    """
    linear: x is int64
      x (2, 3) int64    w (3, 2) float32
      at {here}
      Convert once: x.astype(np.float32)
    """,
    cure=lambda: ag.linear(np.zeros((2, 3), np.int64).astype(np.float32), leaf(3, 2)),
)
def test_integers_into_linear():
    ag.linear(np.zeros((2, 3), np.int64), leaf(3, 2))  # here


@warns(
    UserWarning,
    "linear: x is float64 beside float32: computing in float64. x.astype(np.float32) is twice as fast",
    cure=lambda: ag.linear(np.ones((2, 3)).astype(np.float32), leaf(3, 2)),
)
def test_float64_beside_float32():
    w = leaf(3, 2)
    out = ag.linear(np.ones((2, 3)), w)  # here
    out.sum().backward()
    assert out.dtype == np.float64
    assert w.grad.dtype == np.float32


@pytest.mark.parametrize(
    ("f", "x"), [(ag.log, 0.0), (ag.exp, 1000.0), (lambda x: x / 0, 1.0), (lambda x: x**-1, 0.0), (ag.sqrt, -1.0)]
)
def test_numpy_warns_once_in_the_forward_and_the_walk_is_silent(f, x):
    with pytest.warns(RuntimeWarning, match="encountered") as told:
        out = f(Tensor([x], requires_grad=True))
    assert len(told) == 1
    out.backward(np.ones(1))


# Shapes and labels


@says(
    ValueError,
    """
    mse: predictions (64, 1) and targets (64,) would broadcast to (64, 64)
      p (64, 1) float32    y targets (64,) float32
      at {here}
      targets.reshape(64, 1)?
    """,
    cure=lambda: ag.mse(leaf(64, 1), np.ones(64, np.float32).reshape(64, 1)),
)
def test_a_column_against_a_row():
    ag.mse(leaf(64, 1), Tensor(np.ones(64, np.float32), name="targets"))  # here


@pytest.mark.parametrize("loss", [ag.mse, ag.bce, ag.bce_with_logits])
def test_every_loss_wants_equal_shapes(loss):
    for shape in ((1, 4), (4, 1), (), (3,)):
        with pytest.raises(ValueError, match=r"predictions .* and targets"):
            loss(leaf(4), np.ones(shape, np.float32))


@says(
    ValueError,
    """
    cross_entropy: label 10 at [1], but logits (3, 10) have classes 0..9
      logits (3, 10) float32    labels (3,) int64
      at {here}
      Labels that start at 1: labels - 1
    """,
    cure=lambda: ag.cross_entropy(leaf(3, 10), np.array([1, 10, 3]) - 1),
)
def test_labels_that_start_at_1():
    ag.cross_entropy(leaf(3, 10), np.array([1, 10, 3]))  # here


@says(
    ValueError,
    """
    cross_entropy: label -1 at [2], but logits (3, 10) have classes 0..9
      logits (3, 10) float32    labels (3,) int64
      at {here}
    """,
)
def test_a_label_below_0():
    ag.cross_entropy(leaf(3, 10), np.array([0, 9, -1]))  # here


@says(
    ValueError,
    """
    cross_entropy: labels (4, 1), logits (4, 10)
      logits (4, 10) float32    labels (4, 1) int64
      at {here}
      labels[:, 0]?
    """,
    cure=lambda: ag.cross_entropy(leaf(4, 10), np.zeros((4, 1), np.int64)[:, 0]),
)
def test_labels_in_a_column():
    ag.cross_entropy(leaf(4, 10), np.zeros((4, 1), np.int64))  # here


@says(
    ValueError,
    """
    cross_entropy: labels (3, 3), logits (3, 3)
      logits (3, 3) float32    labels (3, 3) int64
      at {here}
      One integer a row: (3,), labels.argmax(-1); or probabilities, labels.astype(np.float32)
    """,
    cure=lambda: [ag.cross_entropy(leaf(3, 3), y) for y in (np.eye(3).argmax(-1), np.eye(3).astype(np.float32))],
)
def test_one_hot_labels_of_integers():
    ag.cross_entropy(leaf(3, 3), np.eye(3, dtype=np.int64))  # here


@says(
    ValueError,
    """
    cross_entropy: labels (2,), logits (2, 8, 8, 3)
      logits (2, 8, 8, 3) float32    labels (2,) int64
      at {here}
      One integer a row: (2, 8, 8). One an image: ag.flatten(x, 1) before the last layer
    """,
    cure=lambda: ag.cross_entropy(ag.flatten(leaf(2, 8, 8, 3), 1), np.zeros(2, np.int64)),
)
def test_labels_of_images_that_nobody_flattened():
    ag.cross_entropy(leaf(2, 8, 8, 3), np.zeros(2, np.int64))  # here


def test_lists_are_arrays_with_and_without_a_tensor():
    expected = ag.cross_entropy(np.array([[1.0, 2.0]]), np.array([0]))
    assert ag.cross_entropy([[1.0, 2.0]], [0]) == expected
    assert (ag.add([1, 2], [3, 4]) == [4, 6]).all()
    assert (ag.concatenate([[1.0, 2.0], [3.0]]) == [1, 2, 3]).all()
    assert ag.multiply([1.0, 2.0], leaf(2)).dtype == np.float32


@says(
    ValueError,
    """
    cross_entropy: labels (4,) float32
      logits (4, 10) float32    labels (4,) float32
      at {here}
      Integers (4,), or probabilities (4, 10)
    """,
)
def test_labels_of_floats():
    ag.cross_entropy(leaf(4, 10), np.zeros(4, np.float32))  # here


@says(
    ValueError,
    """
    bce_with_logits: targets reach 9, must lie in [0, 1]
      z (2,) float32    y (2,) int64
      at {here}
      Class ids: cross_entropy(logits, labels), or np.eye(10, dtype=np.float32)[labels]
    """,
    cure=lambda: ag.bce_with_logits(leaf(2, 10), np.eye(10, dtype=np.float32)[np.array([9, 1])]),
)
def test_class_ids_into_a_binary_loss():
    ag.bce_with_logits(leaf(2), np.array([9, 1]))  # here


@says(
    ValueError,
    """
    bce: p runs from 0.5 to 1.5, must lie in [0, 1]
      p (2,) float64    y (2,) float64
      at {here}
      Of logits: bce_with_logits(z, y)
    """,
)
def test_logits_into_a_loss_of_probabilities():
    ag.bce(Tensor([0.5, 1.5], requires_grad=True), np.ones(2))  # here


@warns(
    UserWarning,
    "bce: 1 of 2 probabilities are exactly 0 or 1; their gradient is clipped. Keep the logits: bce_with_logits",
)
def test_a_probability_of_exactly_1():
    ag.bce(Tensor([0.5, 1.0], requires_grad=True), np.ones(2))  # here


@says(
    ValueError,
    """
    conv2d: x has 3 channels, w expects 1
      x images (8, 32, 32, 3) float32    w conv1.w (3, 3, 1, 16) float32
      at {here}
      Channels are x's last axis (NHWC) and w's third (HWIO). Should w be (3, 3, 3, 16)?
    """,
    cure=lambda: ag.conv2d(leaf(8, 32, 32, 3), leaf(3, 3, 3, 16)),
)
def test_channels_that_differ():
    ag.conv2d(leaf(8, 32, 32, 3, name="images"), leaf(3, 3, 1, 16, name="conv1.w"))  # here


@says(
    ValueError,
    """
    conv2d: x has 32 channels, w expects 3
      x (8, 3, 32, 32) float32    w (3, 3, 3, 16) float32
      at {here}
      Channels are x's last axis (NHWC) and w's third (HWIO). x looks like NCHW: x.transpose(0, 2, 3, 1)
    """,
    cure=lambda: ag.conv2d(leaf(8, 3, 32, 32).transpose(0, 2, 3, 1), leaf(3, 3, 3, 16)),
)
def test_images_with_their_channels_first():
    ag.conv2d(leaf(8, 3, 32, 32), leaf(3, 3, 3, 16))  # here


@pytest.mark.parametrize(
    ("x", "w", "cure"),
    [
        ((8, 32, 32, 3), (16, 3, 5, 5), "w looks like OIHW: w.transpose(2, 3, 1, 0)"),
        (
            (8, 3, 32, 32),
            (16, 3, 3, 3),
            "x looks like NCHW: x.transpose(0, 2, 3, 1); w looks like OIHW: w.transpose(2, 3, 1, 0)",
        ),
        ((8, 32, 32, 3), (3, 3, 16, 16), "Should w be (3, 3, 3, 16)?"),  # its first axes are a square kernel
        ((8, 32, 32, 3), (5, 3, 4, 16), "Should w be (5, 3, 3, 16)?"),
    ],
)
def test_weights_in_another_order(x, w, cure):
    with pytest.raises(ValueError, match="conv2d: x has") as caught:
        ag.conv2d(leaf(*x), leaf(*w))
    assert str(caught.value).endswith(f"(HWIO). {cure}")


@says(
    ValueError,
    """
    conv2d: b is (16,), want (3,): one number an output channel
      x (8, 32, 32, 3) float32    w (16, 3, 3, 3) float32    b (16,) float32
      at {here}
      w looks like OIHW: w.transpose(2, 3, 1, 0)
    """,
    cure=lambda: ag.conv2d(leaf(8, 32, 32, 3), leaf(16, 3, 3, 3).transpose(2, 3, 1, 0), leaf(16)),
)
def test_weights_whose_other_order_only_the_bias_betrays():
    ag.conv2d(leaf(8, 32, 32, 3), leaf(16, 3, 3, 3), leaf(16))  # here


@says(
    ValueError,
    """
    linear: x (4, 3) @ w (10, 3): 3 is not 10
      x (4, 3) float32    w (10, 3) float32
      at {here}
      x's last axis counts what w's first one does. w looks like (out, in): w.T
    """,
    cure=lambda: ag.linear(leaf(4, 3), leaf(10, 3).T),
)
def test_weights_of_a_linear_layer_in_another_order():
    ag.linear(leaf(4, 3), leaf(10, 3))  # here


@says(
    ValueError,
    """
    conv2d: groups=2 does not divide 3 channels and 4 outputs
      x (1, 4, 4, 3) float32    w (1, 1, 1, 4) float32
      at {here}
    """,
)
def test_groups_that_do_not_divide():
    ag.conv2d(leaf(1, 4, 4, 3), leaf(1, 1, 1, 4), groups=2)  # here


@says(
    ValueError,
    """
    conv2d: height 3 + 0 + 0 padding < kernel 5 (dilation 1)
      x (1, 3, 3, 1) float32    w (5, 5, 1, 1) float32
      at {here}
      Output (3 + 0 + 0 - 1*(5 - 1) - 1) // 1 + 1 = -1. More padding, or a smaller kernel
    """,
    cure=lambda: ag.conv2d(leaf(1, 3, 3, 1), leaf(5, 5, 1, 1), padding=1),
)
def test_a_kernel_larger_than_the_image():
    ag.conv2d(leaf(1, 3, 3, 1), leaf(5, 5, 1, 1))  # here


@says(
    ValueError,
    """
    linear: x (64, 400) @ w (512, 10): 400 is not 512
      x (64, 400) float32    w fc.w (512, 10) float32
      at {here}
      x's last axis counts what w's first one does
      x is flatten ({flat}) of (64, 5, 5, 16), and 5*5*16 = 400
    """,
    cure=lambda: ag.linear(leaf(64, 5, 5, 16).flatten(1), leaf(400, 10)),
)
def test_linear_after_flatten():
    x = leaf(64, 5, 5, 16).flatten(1)  # flat
    ag.linear(x, leaf(512, 10, name="fc.w"))  # here


@says(
    ValueError,
    """
    matmul: (4, 3) @ (4, 3): 3 is not 4
      x (4, 3) float32    y (4, 3) float32
      at {here}
    """,
)
def test_matrices_that_do_not_fit():
    leaf(4, 3) @ leaf(4, 3)  # here


@says(
    ValueError,
    """
    add: h (64, 10) and b (64,) do not broadcast
      x h (64, 10) float32    y b (64,) float32
      at {here}
      b.reshape(64, 1)?
    """,
    cure=lambda: leaf(64, 10) + leaf(64).reshape(64, 1),
)
def test_a_column_meant_and_a_row_given():
    leaf(64, 10, name="h") + leaf(64, name="b")  # here


@says(
    ValueError,
    """
    add: x (2,) and y (3,) do not broadcast
      x (2,) float32    y (3,) float32
      at {here}
      Shapes are compared from the right; each pair must be equal or contain a 1.
    """,
)
def test_shapes_that_do_not_broadcast():
    leaf(2) + leaf(3)  # here


@says(
    TypeError,
    "conv2d: has no parameter 'strid', only (x, w, b=None, stride=1, padding=0, dilation=1, groups=1). "
    "Did you mean 'stride'?",
)
def test_an_option_misspelled():
    ag.conv2d(leaf(1, 4, 4, 3), leaf(1, 1, 3, 4), strid=2)


@says(TypeError, "concatenate: tensors is a list of tensors, not (2,) float32")
def test_concatenate_of_one_tensor():
    ag.concatenate(leaf(2))


def test_the_error_of_numpy_is_kept_as_the_cause():
    with pytest.raises(ValueError, match="do not broadcast") as caught:
        leaf(2) + leaf(3)
    assert "could not be broadcast" in str(caught.value.__cause__)


def test_messages_find_the_line_through_layers_of_the_package():
    """`mean` calls what is inside the package; the line named is the user's."""

    def program():
        return ag.jacobian(lambda x: x @ np.ones((4, 2)))(np.ones(3))  # here

    with pytest.raises(ValueError, match=f"{FILE}:{lines_of(program)['here']}"):
        program()


def test_einsum_is_told_in_numpy_s_words():
    with pytest.raises(ValueError, match="einsum: operands could not be broadcast together with remapped shapes"):
        ag.einsum("ij,jk", leaf(2, 3), leaf(2, 3))


@says(
    TypeError,
    "f: argument 1, counted from 0, is to be differentiated, and 1 were given; arguments by keyword are constants",
)
def test_an_argument_that_was_not_given():
    def f(x, y):
        return x * y

    ag.grad(f, 1)(2.0, y=3.0)


@pytest.mark.parametrize("transform", [ag.jvp, ag.hvp])
@pytest.mark.parametrize(("args", "tangents"), [(1.0, 1.0), ((1.0,), ()), (np.ones(2), np.ones(2))])
def test_tangents_come_in_a_tuple(transform, args, tangents):
    who = transform.__name__

    @says(TypeError, f"{who}: wants as many tangents as arguments, both in tuples: ag.{who}(f, (x,), (dx,))")
    def program():
        transform(lambda x: x * x, args, tangents)

    program()


# Numbers


@warns(RuntimeWarning, "loss is nan. First in sqrt ({forward}): 1 of 3")
def test_nan_is_traced_to_the_operation_that_saved_it():
    with np.errstate(all="ignore"):
        loss = named(ag.sqrt(Tensor([-1.0, 1.0, 4.0], requires_grad=True)).sum(), "loss")  # forward
    loss.backward()  # here


@warns(RuntimeWarning, "loss is nan. It arose in log ({forward}) or after it")
def test_nan_is_bracketed_where_it_was_not_saved():
    with np.errstate(all="ignore"):
        loss = named(ag.log(Tensor([-1.0, 1.0, 4.0], requires_grad=True)).sum(), "loss")  # forward
    loss.backward()  # here


def test_an_operation_is_not_blamed_for_a_nan_that_it_was_given():
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning) as told:
        ag.exp(ag.log(Tensor([-1.0], requires_grad=True))).sum().backward()
    assert "log" in str(told[0].message)
    assert "First in exp" not in str(told[0].message)


def test_nothing_is_said_of_nan_with_an_explicit_gradient():
    with np.errstate(all="ignore"):
        ag.sqrt(Tensor([-1.0], requires_grad=True)).backward(np.ones(1))


# One's own primitive


def softplus_of_ones_own():
    @ag.primitive
    def my_softplus(x):
        return np.log1p(np.exp(x))

    return my_softplus


@says(
    TypeError,
    "my_softplus.vjp(x): asks for 'ouput'. It can have g, out, x, x_shape, out_shape. Did you mean 'out'?",
    cure=lambda: softplus_of_ones_own().vjp(x=lambda g, out: g * (1 - np.exp(-out))),
)
def test_a_rule_that_asks_for_an_unknown_name():
    softplus_of_ones_own().vjp(x=lambda g, ouput: g)


@says(TypeError, "my_softplus.vjp: y is not an input. It has x")
def test_a_rule_for_an_unknown_input():
    softplus_of_ones_own().vjp(y=lambda g: g)


def blur_of_ones_own():
    @ag.primitive
    def blur(x, sigma):
        return x * sigma

    blur.vjp(x=lambda g, sigma: g * sigma)
    return blur


@says(
    TypeError,
    "blur: no rule for sigma, which requires a gradient. blur.vjp(sigma=lambda g, ...: ...), or pass sigma.detach()",
    cure=lambda: blur_of_ones_own()(leaf(2), leaf(2).detach()).sum().backward(),
)
def test_an_input_without_a_rule():
    blur_of_ones_own()(leaf(2), leaf(2, name="sigma"))


@says(ValueError, "my_softplus: the rule for x ({rule}) returned (3,), x is (4, 3)")
def test_a_rule_that_returns_another_shape():
    my_softplus = softplus_of_ones_own()
    my_softplus.vjp(x=lambda g, x: g[0])  # rule
    my_softplus(leaf(4, 3)).sum().backward()


@says(TypeError, "my_softplus: the rule for x returned None: is there a return?")
def test_a_rule_that_returns_nothing():
    my_softplus = softplus_of_ones_own()
    my_softplus.vjp(x=lambda g, x: None)
    my_softplus(leaf(2)).sum().backward()


@says(
    TypeError,
    "my_softplus: the rule for x returned float64 for a float32 gradient: a NumPy scalar, or np.zeros without dtype?",
)
def test_a_rule_that_returns_another_dtype():
    my_softplus = softplus_of_ones_own()
    my_softplus.vjp(x=lambda g, x: np.zeros(2))
    my_softplus(leaf(2)).sum().backward()


@says(ValueError, "primitive: relu is one of the package's own operations. Choose another name")
def test_a_name_that_is_taken():
    @ag.primitive
    def relu(x):
        return x


@says(TypeError, "Tensor is final: hold one as an attribute, or write a function of tensors")
def test_a_subclass():
    class Parameter(Tensor):
        pass


@says(
    RuntimeError,
    "checkpoint: f gave another result when it was run again. Does it draw random numbers, or did a parameter change "
    "since? Draw outside, and pass what was drawn",
)
def test_checkpoint_of_something_random():
    rng = np.random.default_rng(0)
    ag.checkpoint(lambda x: x * rng.normal(size=2), leaf(2)).sum().backward()
