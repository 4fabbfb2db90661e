"""Names of PyTorch and NumPy that the package does not have, and what the errors recommend instead."""

import re

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.elsewhere import ADVICE
from autograd_cnn.engine.registry import registry
from autograd_cnn.engine.tensor import Tensor
from wording import says


def leaf(*shape, name=None, dtype=np.float32):
    return Tensor(np.full(shape, 0.5, dtype), requires_grad=True, name=name)


@pytest.mark.parametrize(
    ("name", "rest"),
    [
        ("view", ". Here: ag.reshape(x, shape)"),
        ("permute", ". Here: ag.transpose(x, axes)"),
        ("zero_grad", ". Here: x.grad = None, or optimiser.zero_grad()"),
        ("add_", ". Nothing works in place; outside a graph: x.data[...] = values"),
        ("byteswap", ". NumPy's, outside the graph: x.data.byteswap"),
        ("hanning", ". NumPy's, outside the graph: np.hanning(x.data)"),
        ("reluu", ". Did you mean 'relu'?"),
        ("_repr_png_", ""),
        ("gather", ". Here: ag.take_along_axis(x, indices, axis)"),
        ("ones", ". Here: NumPy's, ag.Tensor(np.ones(shape))"),
        ("eye", ". Here: NumPy's, ag.Tensor(np.eye(n))"),
        ("randint", ". Here: rng = np.random.default_rng(0), and labels = rng.integers(0, 10, size=n)"),
        ("randn", ". Here: rng = np.random.default_rng(0), and ag.Tensor(rng.normal(size=shape))"),
        ("norm", ". Here: ag.linalg.norm(x)"),
        ("expit", ". Here: ag.special has it"),
        ("polar", ". Here: length * ag.exp(1j * angle)"),
        ("fftfreq", ". Here: NumPy's, np.fft.fftfreq(n, d)"),
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
        (ag, "autograd_cnn has no 'Conv2d'. Here: ag.nn.Conv2d"),
        (ag, "autograd_cnn has no 'step_decay'. Here: ag.optim.step_decay"),
        (
            ag.optim,
            "autograd_cnn.optim has no 'Lookahead'. Here: a part of autograd_cnn.training.quick, whose recipe uses it",
        ),
        (ag, "autograd_cnn has no 'fit'. Here: ag.training.fit"),
        (ag.nn, "autograd_cnn.nn has no 'CrossEntropyLoss'. Did you mean 'ag.cross_entropy'?"),
        (ag.nn, "autograd_cnn.nn has no 'CosineSimilarity'. Did you mean 'ag.cosine_similarity'?"),
        (ag.nn, "autograd_cnn.nn has no 'Conv2D'. Did you mean 'Conv2d'?"),
        (
            ag.nn,
            "autograd_cnn.nn has no 'functional'. "
            "Here: functions are in ag: ag.relu(x), ag.cross_entropy(logits, labels)",
        ),
        (
            ag.optim,
            "autograd_cnn.optim has no 'lr_scheduler'. "
            "Here: schedule = ag.optim.cosine(lr, steps); optimiser.lr = schedule(step)",
        ),
        (ag, "autograd_cnn has no 'as_tensor'. Here: ag.Tensor(array), with requires_grad=True if it is trained"),
        (ag, "autograd_cnn has no 'compile'. Here: nothing to do: operations run as they are called"),
        (ag, "autograd_cnn has no 'autograd'. Here: ag.grad(f), ag.jacobian(f), loss.gradient(x)"),
        (ag, "autograd_cnn has no 'conv'. Here: ag.conv2d(x, w, b)"),
        (
            ag,
            "autograd_cnn has no 'int'. Here: labels are plain arrays of integers: array.astype(np.int64)",
        ),
        (ag, "autograd_cnn has no 'eval'. Here: model.eval()"),
        (ag, "autograd_cnn has no 'linearize'. Here: ag.jvp(f, (x,), (dx,))"),
        (ag, "autograd_cnn has no 'hessian_vector_product'. Here: ag.hvp(f, (x,), (v,))[0]"),
        (ag, "autograd_cnn has no 'optax'. Here: adam = ag.optim.functional(\"Adam\", lr=0.001), with init and update"),
        (ag, "autograd_cnn has no 'float32'. Here: x.astype(dtype), with NumPy's dtypes"),
        (ag, "autograd_cnn has no 'F'. Here: functions are in ag: ag.relu(x), ag.cross_entropy(logits, labels)"),
        (ag, "autograd_cnn has no 'Function'. Here: @ag.primitive, and f.vjp(x=lambda g, x: ...)"),
        (ag, "autograd_cnn has no 'custom_vjp'. Here: @ag.primitive, and f.vjp(x=lambda g, x: ...)"),
        (ag.nn, "autograd_cnn.nn has no 'Dense'. Here: ag.nn.Linear(in_features, out_features)"),
        (
            ag.data,
            "autograd_cnn.data has no 'DataLoader'. Here: ag.data.batches(images, labels, batch_size, rng)",
        ),
        (ag.data, "autograd_cnn.data has no 'load_shape'. Did you mean 'load_shapes'?"),
        (ag.training, "autograd_cnn.training has no 'fitt'. Did you mean 'fit'?"),
        (ag.plots, "autograd_cnn.plots has no 'los_curve'. Did you mean 'loss_curve'?"),
        (ag.optim, "autograd_cnn.optim has no 'Lion'. Here: ag.optim.Adam(parameters, lr), or ag.optim.Optimiser"),
        (
            ag.optim.SGD([leaf(2)], 0.1),
            'SGD has no \'param_groups\'. Here: at the start: SGD([{"parameters": [w], "lr": 0.01}, ...], lr)',
        ),
        (
            ag.nn.Sequential(ag.nn.ReLU()),
            "Sequential has no 'append'. Here: a new one: ag.nn.Sequential(*layers, layer)",
        ),
        (Empty(), "Empty has no 'weight'. Here: layer.w"),
        (Empty(), "Empty has no 'save'. Here: ag.interop.save_weights(path, model)"),
        (Empty(), "Empty has no 'fit'. Here: ag.training.fit"),
        (Empty(), "Empty has no 'copy'"),
        (Empty(), "Empty has no 'state_dic'. Did you mean 'state_dict'?"),
    ],
)
def test_names_of_layers_losses_and_schedules(it, text):
    with pytest.raises(AttributeError) as caught:
        getattr(it, text.split("'")[1])
    assert str(caught.value) == text


GUESSES = """
    Bilinear=ag.nn Conv4d=ag.nn LazyLinear=ag.nn Softmax2d=ag.nn pmap=ag flax=ag adam=ag stax=ag detach=ag loss=ag
    experimental=ag models=ag layers=ag unsqueez=ag
"""


@pytest.mark.parametrize("case", GUESSES.split())
def test_a_name_that_is_near_to_none_gives_no_guess(case):
    name, room = case.split("=")
    with pytest.raises(AttributeError, match=f"has no '{name}'$"):
        getattr({"ag": ag, "ag.nn": ag.nn}[room], name)


@pytest.mark.parametrize("name", ["random", "GradientTape", "lax", "detect_anomaly", "tree_map", "Variable", "Conv3d"])
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
    optimiser, parameters, limit, layer = ag.optim.Adam(model.parameters()), [*model.parameters()], 0.001, model[1]
    tree, f, d_model, nhead, y = {"w": np.ones(2)}, np.sin, 8, 2, leaf(4, 3)
    scope = {**globals(), **locals(), "nn": ag.nn, "loss": (model(x + np.arange(12).reshape(4, 3)) * [900, 1]).sum()}
    for name in ("apply_gradients", "clip_grad_value_", "tree_map", "TransformerEncoder", "r_", "affine=", "Variable"):
        cure = re.split(r", or | then ", ADVICE[name].replace("array", "np.ones(2)"))
        for statement in cure:
            exec(statement.strip(", "), scope)
    assert abs(model[0].w.grad).max() == np.float32(0.001) and not layer.b.requires_grad


LOSSES = """
    CrossEntropyLoss MSELoss BCELoss BCEWithLogitsLoss NLLLoss L1Loss SmoothL1Loss HuberLoss KLDivLoss PoissonNLLLoss
    GaussianNLLLoss HingeEmbeddingLoss MarginRankingLoss CosineEmbeddingLoss TripletMarginLoss
"""


@pytest.mark.parametrize("name", LOSSES.split())
def test_a_class_of_a_loss_recommends_the_function(name):
    for room, owner, prefix in ((ag, "autograd_cnn", ""), (ag.nn, "autograd_cnn.nn", "ag.")):
        with pytest.raises(AttributeError) as caught:
            getattr(room, name)
        function = re.fullmatch(rf"{owner} has no '{name}'. Did you mean '{prefix}(\w+)'\?", str(caught.value))[1]
        assert function.replace("_", "").removesuffix("loss") == name.lower().removesuffix("loss")
        assert function in ag.__all__


@says(AttributeError)
def test_a_module_without_forward():
    """Empty has no 'forward'. Here: define it in the class: def forward(self, x): ..."""
    Empty()(1)


KEYWORDS = [
    (lambda: ag.sum(leaf(2), dim=0), "sum: has no parameter 'dim'. Here: axis="),
    (lambda: leaf(2).argmax(dim=0), "argmax: has no parameter 'dim'. Here: axis="),
    (lambda: ag.quantile(leaf(2), 0.5, dim=0), "quantile: has no parameter 'dim'. Here: axis="),
    (
        lambda: Tensor([1.0], dtype=np.float32),
        "Tensor: has no parameter 'dtype'. Here: convert the array: np.asarray(data, np.float32)",
    ),
    (lambda: ag.nn.Conv2d(3, 8, 3, pad=1), "Conv2d: has no parameter 'pad'. Did you mean 'padding'?"),
    (lambda: ag.nn.Conv2d(3, filters=8, kernel_size=3), "Conv2d: has no parameter 'filters'. Here: out_channels="),
    (lambda: ag.nn.Linear(3, units=8), "Linear: has no parameter 'units'. Here: out_features="),
    (
        lambda: ag.nn.Linear(3, 8, device="cpu"),
        "Linear: has no parameter 'device'. Here: leave it out, there are no devices",
    ),
    (
        lambda: ag.nn.Dropout(0.5, inplace=True),
        "Dropout: has no parameter 'inplace'. Here: leave it out, nothing works in place",
    ),
    (lambda: ag.nn.Linear(3, 2, seed=0), "Linear: has no parameter 'seed'. Here: rng=np.random.default_rng(0)"),
    (lambda: ag.optim.Adam([leaf(2)], learning_rate=0.1), "Adam: has no parameter 'learning_rate'. Here: lr="),
    (lambda: ag.optim.SGD(params=[leaf(2)], lr=1), "SGD: has no parameter 'params'. Here: parameters="),
    (lambda: ag.training.fit(epoch=1), "fit: has no parameter 'epoch'. Did you mean 'epochs'?"),
    (
        lambda: ag.training.fit(validation_data=1),
        "fit: has no parameter 'validation_data'. Did you mean 'validation'?",
    ),
    (
        lambda: ag.training.fit(shuffle=True),
        "fit: has no parameter 'shuffle'. Here: rng=np.random.default_rng(0), which shuffles; without it the order "
        "stays",
    ),
    (
        lambda: ag.data.batches([], [], 32, shuffle=True),
        "batches: has no parameter 'shuffle'. Here: rng=np.random.default_rng(0), which shuffles; without it the order "
        "stays",
    ),
    (lambda: ag.grad(len, argnum=0), "grad: has no parameter 'argnum'. Did you mean 'argnums'?"),
    (
        lambda: ag.value_and_grad(len, holomorphic=True),
        "value_and_grad: has no parameter 'holomorphic'. Here: leave it out: functions of complex numbers need no word",
    ),
    (lambda: ag.check_gradients(len, rto=1), "check_gradients: has no parameter 'rto'. Did you mean 'rtol'?"),
    (
        lambda: Tensor(1.0).backward(retain=True),
        "backward: has no parameter 'retain'. Did you mean 'retain_graph'?",
    ),
    (
        lambda: ag.nn.Linear(3, 2).state_dict(prefix=""),
        "Linear.state_dict: has no parameter 'prefix'. It has none",
    ),
    (lambda: ag.nn.Linear(3, 2).train(mode=True), "Linear.train: has no parameter 'mode'. It has training"),
    (lambda: ag.scope(), "scope: missing a required argument: 'name'; its parameters are (name)"),
]


@pytest.mark.parametrize(("call", "text"), KEYWORDS, ids=[text.split(":")[0] for _, text in KEYWORDS])
def test_a_keyword_of_another_library(call, text):
    with pytest.raises(TypeError) as caught:
        call()
    assert str(caught.value) == text


def test_the_recommended_names_exist():
    for name, cure in ADVICE.items():
        assert name not in [*registry, *vars(Tensor)]
        assert all(hasattr(ag, known) for known in re.findall(r"\bag\.(\w+)", cure)), cure
        assert all(hasattr(leaf(2, 2), known) for known in re.findall(r"\bx\.(\w+)", cure)), cure


def test_no_private_name_is_suggested():
    with pytest.raises(AttributeError) as caught:
        _ = leaf(2).in_place
    assert "_in_place" not in str(caught.value)
