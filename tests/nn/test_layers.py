"""Layers: initial weights, errors, values against PyTorch and against the functions that they call."""

import re

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn


def test_layers_start_from_he_and_zero_biases_in_float32(rng):
    conv, fc = nn.Conv2d(4, 6, (3, 1), groups=2, rng=rng), nn.Linear(5, 6, rng=rng)
    again = np.random.default_rng(0)
    np.testing.assert_array_equal(conv.w.data, nn.he_normal((3, 1, 2, 6), again))
    np.testing.assert_array_equal(fc.w.data, nn.he_normal((5, 6), again))
    assert not conv.b.data.any() and not fc.b.data.any()
    assert {p.dtype for layer in (conv, fc) for p in layer.parameters()} == {np.dtype(np.float32)}
    assert nn.Linear(2, 3, init=lambda shape, rng, dtype: np.ones(shape, dtype), rng=rng).w.data.all()
    assert nn.Linear(2, 3, bias=False, rng=rng).b is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda rng: nn.Conv2d(2, 3, 3, rng=7),
            "Conv2d: rng is 7. One generator serves the whole model: rng = np.random.default_rng(0), then "
            "Conv2d(..., rng=rng); or leave it out and call ag.nn.seed(0) once",
        ),
        (lambda rng: nn.Dropout(50, rng), "Dropout: p is 50, want a probability in [0, 1]"),
        (
            lambda rng: nn.Conv2d(3, 4, 3, groups=2, rng=rng),
            "Conv2d: groups=2 does not divide 3 channels and 4 outputs",
        ),
        (
            lambda rng: nn.Sequential(nn.ReLU(), "relu"),
            "Sequential: layer 1 is 'relu', want a layer, or a function such as ag.relu",
        ),
        (
            lambda rng: nn.Sequential(nn.ReLU(), last=nn.Sigmoid),
            "Sequential: layer last is <class 'autograd_cnn.nn.layers.Sigmoid'>, want Sigmoid(...)",
        ),
        (
            lambda rng: nn.Sequential(train=nn.ReLU()),
            "Sequential: a layer cannot be called train, which every module has",
        ),
        (
            lambda rng: nn.BatchNorm2d(3)(np.ones((1, 1, 1, 3), np.float32)),
            "BatchNorm2d: x (1, 1, 1, 3) has one value per channel, which has no variance. "
            "Use a larger batch, or model.eval()",
        ),
    ],
)
def test_messages(make, message, rng):
    with pytest.raises((TypeError, ValueError)) as caught:
        make(rng)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("options", "channels"),
    [({}, 4), ({"stride": 2, "padding": 1}, 4), ({"dilation": 2, "groups": 2, "padding": (2, 1)}, 4)],
)
def test_conv2d_equals_pytorch(options, channels, rng, torch):
    ours = nn.Conv2d(channels, 6, (3, 2), rng=rng, dtype=np.float64, **options)
    theirs = torch.nn.Conv2d(channels, 6, (3, 2), dtype=torch.float64, **options)
    ours.b.data[...] = rng.normal(size=6)
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(ours.w.data.transpose(3, 2, 0, 1)))
        theirs.bias.copy_(torch.tensor(ours.b.data))
    x = rng.normal(size=(2, 7, 8, channels))
    want = theirs(torch.tensor(x.transpose(0, 3, 1, 2))).detach().numpy().transpose(0, 2, 3, 1)
    np.testing.assert_allclose(ours(x).data, want, rtol=1e-10, atol=1e-12)


def test_layers_without_parameters_equal_their_functions(rng):
    x = ag.Tensor(rng.normal(size=(2, 6, 6, 3)))
    for layer, function in [
        (nn.MaxPool2d(3, 2, 1), lambda x: ag.max_pool2d(x, 3, 2, 1)),
        (nn.MaxPool2d(2), lambda x: ag.max_pool2d(x, 2)),
        (nn.AvgPool2d(2, 1), lambda x: ag.avg_pool2d(x, 2, 1)),
        (nn.ReLU(), ag.relu),
        (nn.Sigmoid(), ag.sigmoid),
        (nn.Flatten(), lambda x: x.reshape(2, 108)),
    ]:
        np.testing.assert_array_equal(layer(x).data, function(x).data)
        assert not list(layer.parameters())


@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-10), ("float32", 2e-5)])
def test_batch_norm_equals_pytorch_in_training_and_evaluation(dtype, rtol, rng, torch):
    ours = nn.BatchNorm2d(3, eps=1e-3, momentum=0.3, dtype=dtype)
    theirs = torch.nn.BatchNorm2d(3, eps=1e-3, momentum=0.3, dtype=getattr(torch, dtype))
    ours.w.data[...], ours.b.data[...] = (2, 0.5, -1), (0, 1, 3)
    with torch.no_grad():
        theirs.weight.copy_(torch.tensor(ours.w.data))
        theirs.bias.copy_(torch.tensor(ours.b.data))
    for training in (True, True, False, True):
        ours.train() if training else ours.eval()
        theirs.train(training)
        x = (rng.normal(size=(4, 5, 6, 3)) * (1, 5, 0.1) + (0, 2, -1)).astype(dtype)
        weights = rng.normal(size=x.shape).astype(dtype)
        x1 = ag.Tensor(x, requires_grad=True)
        x2 = torch.tensor(x.transpose(0, 3, 1, 2)).requires_grad_()
        y1, y2 = ours(x1), theirs(x2)
        ours.w.grad = ours.b.grad = None
        theirs.zero_grad()
        (y1 * weights).sum().backward()
        (y2 * torch.tensor(weights.transpose(0, 3, 1, 2))).sum().backward()
        for mine, other in [
            (y1.data, y2.permute(0, 2, 3, 1)),
            (x1.grad, x2.grad.permute(0, 2, 3, 1)),
            (ours.w.grad, theirs.weight.grad),
            (ours.b.grad, theirs.bias.grad),
            (ours.running_mean.data, theirs.running_mean),
            (ours.running_var.data, theirs.running_var),
        ]:
            want = other.detach().numpy()
            assert mine.dtype == dtype
            np.testing.assert_allclose(mine, want, rtol=rtol, atol=rtol * np.abs(want).max())


def test_batch_norm_in_evaluation_is_one_operation(rng):
    graph = ag.trace(nn.BatchNorm2d(3).eval(), rng.normal(size=(2, 4, 4, 3)).astype(np.float32))
    assert [op.name for op in graph.ops] == ["batch_norm"]


def test_batch_norm_in_evaluation_changes_nothing_and_its_graph_survives_a_training_step(rng):
    norm = nn.BatchNorm2d(2, dtype=np.float64)
    x = ag.Tensor(rng.normal(size=(4, 2)), requires_grad=True)
    loss = norm.eval()(x).sum()
    assert not norm.running_mean.data.any()
    norm.train()(rng.normal(size=(4, 2)) + 7)
    assert norm.running_mean.data.all()
    loss.backward()
    np.testing.assert_allclose(x.grad, np.full((4, 2), 1 / np.sqrt(1 + 1e-5)), rtol=1e-12)
    assert norm.running_mean.grad is None


def test_dropout_keeps_the_mean_and_drops_its_share(rng):
    x = np.ones((400, 500), np.float32)
    y = nn.Dropout(0.3, rng=rng)(ag.Tensor(x)).data
    assert y.dtype == np.float32
    np.testing.assert_allclose(np.unique(y), [0, 1 / 0.7], rtol=1e-6)
    assert abs((y == 0).mean() - 0.3) < 0.005  # 5 standard deviations


def test_dropout_draws_from_its_generator_alone(rng):
    x = ag.Tensor(np.ones((4, 5)))
    drop, again = nn.Dropout(0.5, rng=rng), nn.Dropout(0.5, rng=np.random.default_rng(0))
    first, second = drop(x).data, drop(x).data
    assert (first != second).any()
    np.testing.assert_array_equal(again(x).data, first)
    drop.rng.bit_generator.state = again.rng.bit_generator.state  # as a checkpoint does
    np.testing.assert_array_equal(drop(x).data, second)
    assert drop.eval()(x) is x


def test_every_layer_is_public():
    layers = [name for name, c in vars(nn.layers).items() if isinstance(c, type) and c.__module__ == nn.layers.__name__]
    missing = set(layers) - set(nn.__all__)
    assert not missing, f"import {missing} in autograd_cnn/nn/__init__.py, and add it to __all__"


def test_without_a_generator_layers_draw_from_the_one_that_seed_restarts():
    def drawn():
        model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.5))
        return model(ag.Tensor(np.ones((2, 3), np.float32))).data, ag.dropout(np.ones(9), 0.5)

    nn.seed(3)
    first, other = drawn(), drawn()
    nn.seed(3)
    again = drawn()
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a, b)
        assert (a != c).any()


def test_a_sequence_takes_functions_and_names(rng):
    model = nn.Sequential(nn.Linear(2, 3, rng=rng), ag.tanh, lambda x: 2 * x, head=nn.Linear(3, 1, rng=rng))
    x = rng.normal(size=(5, 2)).astype(np.float32)
    want = 2 * np.tanh(x @ model[0].w.data) @ model.head.w.data
    np.testing.assert_allclose(model(x).data, want, rtol=1e-5)
    assert [name for name, _ in model.named_parameters()] == ["0.w", "0.b", "head.w", "head.b"]
    assert "  1     tanh\n  2     <lambda>\n  head  Linear()" in re.sub(" +\n", "\n", repr(model))
