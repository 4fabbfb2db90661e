"""Names of PyTorch and NumPy that the package does not have, and what the errors recommend instead."""

import math
import re

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.elsewhere import ADVICE
from autograd_cnn.engine.registry import registry
from autograd_cnn.engine.tensor import Tensor
from leaves import halves as leaf


class Empty(ag.nn.Module):
    pass


NAMES = {  # of Tensor and of the package
    "view": ". Here: ag.reshape(x, shape)", "permute": ". Here: ag.transpose(x, axes)",
    "zero_grad": ". Here: x.grad = None, or optimiser.zero_grad()",
    "add_": ". Nothing works in place; outside a graph: x.data[...] = values",
    "byteswap": ". NumPy's, outside the graph: x.data.byteswap",
    "hanning": ". NumPy's, outside the graph: np.hanning(x.data)", "reluu": ". Did you mean 'relu'?", "_repr_png_": "",
    "ones": ". Here: NumPy's, such as ag.Tensor(np.zeros(shape))", "norm": ". Here: ag.linalg.norm(x)",
    "expit": ". Here: ag.special has it",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("owner", "it"), [("Tensor", leaf(2)), ("autograd_cnn", ag)])
def test_names_of_other_packages(owner, it, name):
    with pytest.raises(AttributeError) as caught:
        getattr(it, name)
    assert str(caught.value) == f"{owner} has no {name!r}{NAMES[name]}"


PROGRAMS = {  # and their errors
    "ag.mse_loss": "autograd_cnn has no 'mse_loss'. Did you mean 'mse'?",
    "ag.Conv2d": "autograd_cnn has no 'Conv2d'. Here: ag.nn.Conv2d",
    "ag.fit": "autograd_cnn has no 'fit'. Here: ag.training.fit, ag.training.predict or ag.training.evaluate",
    "ag.float32": "autograd_cnn has no 'float32'. Here: x.astype(dtype), with NumPy's dtypes",
    "ag.custom_vjp": "autograd_cnn has no 'custom_vjp'. Here: @ag.primitive, and f.vjp(x=lambda g, x: ...)",
    "ag.nn.CrossEntropyLoss": "autograd_cnn.nn has no 'CrossEntropyLoss'. Did you mean 'ag.cross_entropy'?",
    "ag.nn.CosineSimilarity": "autograd_cnn.nn has no 'CosineSimilarity'. Did you mean 'ag.cosine_similarity'?",
    "ag.nn.Conv2D": "autograd_cnn.nn has no 'Conv2D'. Did you mean 'Conv2d'?",
    "ag.nn.Dense": "autograd_cnn.nn has no 'Dense'. Here: ag.nn.Linear(in_features, out_features)",
    "ag.data.load_shape": "autograd_cnn.data has no 'load_shape'. Did you mean 'load_shapes'?",
    "ag.training.fitt": "autograd_cnn.training has no 'fitt'. Did you mean 'fit'?",
    "ag.plots.los_curve": "autograd_cnn.plots has no 'los_curve'. Did you mean 'loss_curve'?",
    "ag.nn.SmoothL1Loss": "autograd_cnn.nn has no 'SmoothL1Loss'. Here: ag.huber_loss(p, y, delta=beta) / beta",
    "ag.step_decay": "autograd_cnn has no 'step_decay'. Here: ag.optim.step_decay",
    "ag.nn.Sequential().append": "Sequential has no 'append'. Here: a new one: ag.nn.Sequential(*layers, layer)",
    "Empty().weight": "Empty has no 'weight'. Here: layer.w and layer.b",
    "Empty().copy": "Empty has no 'copy'",
    "Empty().state_dic": "Empty has no 'state_dic'. Did you mean 'state_dict'?",
    "Empty()(1)": "Empty has no 'forward'. Here: define it in the class: def forward(self, x): ...",
    "ag.odeint(abs, 1.0, [0.0, 1.0], adjoint=True)": (
        "odeint: has no parameter 'adjoint'. Where memory is short: ag.checkpoint(ag.odeint, func, y0, t, *args)"
    ),
    "ag.sum(x, dim=0)": "sum: has no parameter 'dim'. Here: axis=",
    "x.flatten(order='F')": "flatten: has no parameter 'order'. Here: x.ravel(order)",
    "ag.quantile(x, 0.5, dim=0)": "quantile: has no parameter 'dim'. Here: axis=",
    "ag.Tensor(1.0, device=0)": "Tensor: has no parameter 'device'. Here: leave it out, there are no devices",
    "ag.nn.Conv2d(3, 8, 3, pad=1)": "Conv2d: has no parameter 'pad'. Did you mean 'padding'?",
    "ag.nn.Linear(3, 2, seed=0)": "Linear: has no parameter 'seed'. Here: rng=np.random.default_rng(0)",
    "ag.optim.SGD(params=[x], lr=1)": "SGD: has no parameter 'params'. Here: parameters=",
    "ag.training.fit(epoch=1)": "fit: has no parameter 'epoch'. Did you mean 'epochs'?",
    "ag.grad(len, argnum=0)": "grad: has no parameter 'argnum'. Did you mean 'argnums'?",
    "ag.scope()": "scope: missing a required argument: 'name'; its parameters are (name)",
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_error_names_what_to_write(program):
    with pytest.raises((AttributeError, TypeError)) as caught:
        eval(program, {"ag": ag, "x": leaf(2), "Empty": Empty})
    assert str(caught.value) == PROGRAMS[program]


GUESSES = """
    Bilinear=ag.nn Conv4d=ag.nn LazyLinear=ag.nn Softmax2d=ag.nn pmap=ag flax=ag adam=ag stax=ag detach=ag loss=ag
    experimental=ag models=ag layers=ag unsqueez=ag
"""


@pytest.mark.parametrize("case", GUESSES.split())
def test_a_name_that_is_near_to_none_gives_no_guess(case):
    """A name that comes into the package leaves `GUESSES`."""
    name, room = case.split("=")
    with pytest.raises(AttributeError, match=f"has no '{name}'$"):
        getattr({"ag": ag, "ag.nn": ag.nn}[room], name)


@pytest.mark.parametrize("name", ["random", "GradientTape", "detect_anomaly", "tree_map", "Variable", "Conv3d"])
@pytest.mark.parametrize("room", [ag, ag.nn, ag.optim])
def test_names_of_other_libraries_have_a_cure(room, name):
    with pytest.raises(AttributeError, match=f"has no '{name}'. Here: {re.escape(ADVICE[name])}$"):
        getattr(room, name)


def test_numbers_types_and_modules_of_numpy_are_not_called():
    for name in ("pi", "int8", "polynomial", "ma"):
        with pytest.raises(AttributeError, match=rf"has no '{name}'. NumPy's, outside the graph: np.{name}$"):
            getattr(ag, name)


def test_cures_work():
    """Those that are statements of this package, pasted behind a step of the usual names."""
    model, x = ag.nn.Sequential(ag.nn.Linear(3, 2), ag.nn.LayerNorm(2)), leaf(4, 3)
    parameters, limit, tree, f, d_model, nhead = [*model.parameters()], 0.001, {"w": np.ones(2)}, np.sin, 8, 2
    (model(x + np.arange(12).reshape(4, 3)) * [900, 1]).sum().backward()
    scope = {**globals(), **locals(), "nn": ag.nn}
    for name in ("clip_grad_value_", "tree_map", "TransformerEncoder", "Variable"):
        cure = re.split(r", or | then ", ADVICE[name].replace("array", "np.ones(2)"))
        for statement in cure:
            exec(statement.strip(", "), scope)
    assert abs(model[0].w.grad).max() == np.float32(0.001)


def computed(name, **scope):
    """Run the recommended code: statements, and an expression behind ``then``, whose value it returns."""
    *statements, last = ADVICE[name].partition(", for ")[0].split(", then ")
    scope |= {"ag": ag, "np": np}
    for statement in statements:
        exec(statement, scope)
    return eval(last, scope)


def test_formulas_of_halves_matrices_and_windows(torch):
    x = np.random.default_rng(0).normal(size=(3, 4))
    np.testing.assert_allclose(computed("glu", x=x), torch.nn.functional.glu(torch.tensor(x)))
    series = sum(np.linalg.matrix_power(x[:, :3], k) / math.factorial(k) for k in range(30))
    np.testing.assert_allclose(computed("expm", x=x[:, :3]), series)
    images = computed("fold", rows=np.ones((1, 4, 4)), kernel_size=2, shape=(1, 3, 3, 1))
    np.testing.assert_array_equal(images[0, ..., 0], [[1, 2, 1], [2, 4, 2], [1, 2, 1]])


LOSSES = """
    CrossEntropyLoss MSELoss BCELoss BCEWithLogitsLoss L1Loss HuberLoss KLDivLoss
"""


@pytest.mark.parametrize("name", LOSSES.split())
def test_a_class_of_a_loss_recommends_the_function(name):
    for room, owner, prefix in ((ag, "autograd_cnn", ""), (ag.nn, "autograd_cnn.nn", "ag.")):
        with pytest.raises(AttributeError) as caught:
            getattr(room, name)
        function = re.fullmatch(rf"{owner} has no '{name}'. Did you mean '{prefix}(\w+)'\?", str(caught.value))[1]
        assert function.replace("_", "").removesuffix("loss") == name.lower().removesuffix("loss")
        assert function in ag.__all__


def test_the_recommended_names_exist():
    for name, cure in ADVICE.items():
        assert name not in [*registry, *vars(Tensor)]
        assert all(hasattr(ag, known) for known in re.findall(r"\bag\.(\w+)", cure)), cure
        assert all(hasattr(leaf(2, 2), known) for known in re.findall(r"\bx\.(\w+)", cure)), cure


def test_no_private_name_is_suggested():
    with pytest.raises(AttributeError) as caught:
        _ = leaf(2).in_place
    assert "_in_place" not in str(caught.value)
