"""Names of PyTorch and NumPy that the package does not have, and what the errors recommend instead."""

import re

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.elsewhere import ADVICE
from autograd_cnn.engine.registry import registry
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.ops import losses
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
        ("expit", ". Here: ag.sigmoid(x)"),
        ("LSTM", ". Here: write the step with operations, h = ag.tanh(x @ w + h @ u + b), and loop over it in forward"),
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
        (ag, "autograd_cnn has no 'EMA'. Here: ag.optim.EMA"),
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
        assert function in losses.__all__


@says(AttributeError, "Empty has no 'forward'. Here: define it in the class: def forward(self, x): ...")
def test_a_module_without_forward():
    Empty()(1)


def test_the_recommended_names_exist():
    for name, cure in ADVICE.items():
        assert name not in [*registry, *vars(Tensor)]
        assert all(hasattr(ag, known) for known in re.findall(r"\bag\.(\w+)", cure)), cure
        assert all(hasattr(leaf(2, 2), known) for known in re.findall(r"\bx\.(\w+)", cure)), cure


def test_no_private_name_is_suggested():
    with pytest.raises(AttributeError) as caught:
        _ = leaf(2).in_place
    assert "_in_place" not in str(caught.value)
