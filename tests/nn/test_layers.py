"""Layers: initial weights, errors, values against PyTorch and against the functions that they call."""

import inspect
import pickle
import re
from typing import NamedTuple

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn
from autograd_cnn.engine.tape import Node, history


def test_layers_start_from_he_and_zero_biases_in_float32(rng):
    conv, fc = nn.Conv2d(4, 6, (3, 1), groups=2, rng=rng), nn.Linear(5, 6, rng=rng)
    again = np.random.default_rng(0)
    np.testing.assert_array_equal(conv.w.data, nn.he_normal((3, 1, 2, 6), again))
    np.testing.assert_array_equal(fc.w.data, nn.he_normal((5, 6), again))
    assert not conv.b.data.any() and not fc.b.data.any()
    assert {p.dtype for layer in (conv, fc) for p in layer.parameters()} == {np.dtype(np.float32)}
    assert nn.Linear(2, 3, init=lambda shape, rng, dtype: np.ones(shape, dtype), rng=rng).w.data.all()
    assert nn.Linear(2, 3, bias=False, rng=rng).b is None


class Twin(NamedTuple):
    """A layer and its arguments, which are the same in PyTorch, and the shape of an input."""

    shape: tuple
    name: str
    args: tuple
    options: dict
    last: bool

    def ours(self, dtype):
        """The layer with random parameters, and an input."""
        typed = {"dtype": dtype} if self.name in nn.layers.__all__ + nn.normalization.__all__ else {}
        layer, rng = getattr(nn, self.name)(*self.args, **self.options, **typed), np.random.default_rng(0)
        for p in layer.parameters():
            p.data = rng.normal(size=p.shape).astype(dtype)
        x = rng.normal(size=self.shape).astype(dtype)
        return layer, (np.abs(x) * 2).astype(int) if self.name == "Embedding" else x

    def theirs(self, torch):
        if self.name == "GlobalAvgPool2d":
            return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        return getattr(torch.nn, self.name)(*self.args, **self.options).double()


def twin(shape, name, *args, last=False, **options):
    """`last`: the channels are last in PyTorch, too."""
    return Twin(shape, name, args, options, last)


IMAGES, WIDE, SEQUENCES, ROWS = (2, 7, 8, 4), (2, 4, 6, 4), (3, 9, 4), (5, 4)
SPARSE = {"stride": 2, "padding": 1, "dilation": 2, "groups": 2}
TWINS = [
    *(twin(ROWS, name) for name in "ReLU ReLU6 SELU GELU SiLU Mish Sigmoid LogSigmoid Hardsigmoid Hardswish".split()),
    *(twin(ROWS, name) for name in "Tanh Softsign PReLU".split()),
    *(twin(ROWS, name, -1) for name in ("Softmax", "LogSoftmax")), twin(ROWS, "LeakyReLU", 0.2), twin(ROWS, "ELU", 0.7),
    twin(ROWS, "GELU", approximate="tanh"), twin(ROWS, "Softplus", 2.0), twin(ROWS, "Hardtanh", -0.5, 0.7),
    twin(IMAGES, "Identity"), twin(IMAGES, "Flatten", last=True), twin(SEQUENCES, "MaxPool1d", 3, 2, 1),
    twin(IMAGES, "MaxPool2d", 2), twin(IMAGES, "MaxPool2d", 3, stride=2, padding=1, dilation=2, ceil_mode=True),
    twin(SEQUENCES, "AvgPool1d", 3, 2, 1), twin(IMAGES, "AvgPool2d", (3, 2), 2, padding=1, count_include_pad=False),
    twin(IMAGES, "AdaptiveAvgPool2d", (3, 2)), twin(IMAGES, "GlobalAvgPool2d"), twin(WIDE, "PixelShuffle", 2),
    twin(WIDE, "PixelUnshuffle", 2), twin(IMAGES, "Upsample", scale_factor=2),
    twin(IMAGES, "Upsample", (5, 9), mode="bilinear", align_corners=True), twin(ROWS, "Linear", 4, 3),
    twin(SEQUENCES, "Linear", 4, 3, bias=False, last=True), twin(SEQUENCES, "Conv1d", 4, 6, 3),
    twin(SEQUENCES, "Conv1d", 4, 6, 3, **SPARSE), twin(IMAGES, "Conv2d", 4, 6, (3, 2)),
    twin(IMAGES, "Conv2d", 4, 6, (3, 2), **SPARSE), twin(IMAGES, "Conv2d", 4, 6, 3, padding=(2, 1), bias=False),
    twin(SEQUENCES, "ConvTranspose1d", 4, 6, 3),
    twin(SEQUENCES, "ConvTranspose1d", 4, 6, 3, output_padding=1, **SPARSE),
    twin(IMAGES, "ConvTranspose2d", 4, 6, (3, 2)),
    twin(IMAGES, "ConvTranspose2d", 4, 6, 3, output_padding=(1, 0), **SPARSE), twin(ROWS, "Embedding", 9, 3, last=True),
    twin(IMAGES, "PReLU", 4, 0.1), twin(ROWS, "BatchNorm1d", 4), twin(SEQUENCES, "BatchNorm1d", 4),
    twin(IMAGES, "BatchNorm2d", 4, 1e-3, 0.3), twin(SEQUENCES, "LayerNorm", 4, bias=False, last=True),
    twin(IMAGES, "LayerNorm", (8, 4), 1e-3, last=True), twin(SEQUENCES, "RMSNorm", 4, last=True),
    twin(IMAGES, "RMSNorm", (8, 4), 1e-3, last=True), twin(IMAGES, "GroupNorm", 2, 4, 1e-3),
    twin(SEQUENCES, "GroupNorm", 2, 4, affine=False), twin(SEQUENCES, "InstanceNorm1d", 4),
    twin(IMAGES, "InstanceNorm2d", 4, eps=1e-3, affine=True),
]  # fmt: skip
TABLE = pytest.mark.parametrize("case", TWINS, ids=lambda case: f"{case.name}{case.args}")
NAMES = {"w": "weight", "b": "bias"}


def in_torch(case, name, array):
    """A parameter, or an array like the input (no name), as PyTorch has it: (out, in, ...), (N, C, ...)."""
    if name == "w" and ("Conv" in case.name or case.name == "Linear"):
        return np.moveaxis(array, (-1, -2), (0, 1))
    return array if name or case.last or array.ndim == 1 else np.moveaxis(array, -1, 1)


@TABLE
def test_a_layer_equals_its_twin_in_pytorch(case, torch):
    ours, x = case.ours(np.float64)
    theirs, rng = case.theirs(torch), np.random.default_rng(1)
    tensors = {name: getattr(theirs, NAMES.get(name, name)) for name in ours.state_dict()}
    for name, tensor in tensors.items():
        tensor.data = torch.tensor(in_torch(case, name, getattr(ours, name).data).copy())
    for training in (True, True, False):  # twice, so that momentum shows
        ours.train(training)
        theirs.train(training)
        x1 = ag.Tensor(x, requires_grad=x.dtype != int)
        x2 = torch.tensor(in_torch(case, "", x).copy(), requires_grad=x.dtype != int)
        y1, y2 = ours(x1), theirs(x2)
        compared = [("", y1.data, y2.detach())]
        weights = rng.normal(size=y1.shape)
        if y1.requires_grad:
            for p in (*ours.parameters(), *theirs.parameters()):
                p.grad = None
            (y1 * weights).sum().backward()
            (y2 * torch.tensor(in_torch(case, "", weights).copy())).sum().backward()
            compared += [(name, getattr(ours, name).grad, tensors[name].grad) for name, _ in ours.named_parameters()]
            compared += [("", x1.grad, x2.grad)] if x1.requires_grad else []
        compared += [(name, getattr(ours, name).data, tensor.detach()) for name, tensor in tensors.items()]
        for name, mine, other in compared:
            # PyTorch has the constants of hardsigmoid in float32
            np.testing.assert_allclose(in_torch(case, name, mine), other, rtol=1e-7, atol=1e-9)
        x = x if x.dtype == int else x * (1, 5, 0.1, 2) + 1


@TABLE
def test_a_layer_has_its_docstring_repr_summary_and_state_and_stays_float32(case):
    layer, x = case.ours(np.float32)
    assert layer.__doc__ and re.match(rf"{case.name}\(.*\): [\d,]+ parameters", repr(layer))
    y = layer.eval()(ag.Tensor(x, requires_grad=x.dtype != int))
    assert re.search(rf"  {re.escape(str(y.shape))} +[\d,]+$", layer.summary(x.shape, x.dtype).splitlines()[1])
    y.sum().backward()
    assert {y.dtype, *(p.grad.dtype for p in layer.parameters())} == {np.dtype(np.float32)}
    again = getattr(nn, case.name)(*case.args, **case.options).eval()
    again.load_state_dict(layer.state_dict())
    for copy in (again, pickle.loads(pickle.dumps(layer))):
        got = copy(x).data if layer.state_dict() else copy(x)
        np.testing.assert_allclose(got, y.data, rtol=1e-6)  # NumPy's float32 powers depend on the alignment of memory
        assert repr(copy) == repr(layer)


def test_every_layer_is_public_and_has_a_twin():
    for room in (nn.functions, nn.layers, nn.normalization):
        here = {c for c in vars(room).values() if inspect.isclass(c) and c.__module__ == room.__name__}
        assert {c.__name__ for c in here if not c.__name__.startswith("_")} == set(room.__all__)
        assert set(room.__all__) <= set(nn.__all__)
    without = {"Dropout", "Dropout2d", "Unfold"}  # random, or of another order than in PyTorch
    public = set(nn.functions.__all__ + nn.layers.__all__ + nn.normalization.__all__)
    assert public == {case.name for case in TWINS} | without, "add a twin for it to TWINS, or its name to `without`"
    assert nn.functions.ReLU.__module__ == "autograd_cnn.nn.functions"


def test_unfold_calls_its_function(rng):
    x = ag.Tensor(rng.normal(size=(2, 5, 6, 3)))
    windows = nn.Unfold((3, 2), padding=1, stride=2)(x)
    np.testing.assert_array_equal(windows.data, ag.unfold(x, (3, 2), padding=1, stride=2).data)


def test_options_are_attributes_and_a_tensor_among_them_is_learnt():
    pool = nn.MaxPool2d(3, padding=1)
    assert (pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode) == (3, None, 1, False)
    assert str(inspect.signature(nn.LeakyReLU)) == "(negative_slope=0.01)"
    leaky = nn.LeakyReLU(ag.Tensor(0.1, requires_grad=True))
    assert [name for name, _ in leaky.named_parameters()] == ["negative_slope"]
    leaky(np.array([-3.0, 2.0])).sum().backward()
    assert leaky.negative_slope.grad == -3


def test_a_subclass_has_its_own_options():
    class Pool(nn.MaxPool2d):
        def forward(self, x):
            return super().forward(x) + 1

    assert repr(Pool(2)) == "Pool(kernel_size=2): 0 parameters"
    np.testing.assert_array_equal(Pool(2)(np.zeros((1, 2, 2, 1))), [[[[1]]]])


def test_initial_weights_of_the_other_layers(rng):
    again = np.random.default_rng(0)
    weights = nn.ConvTranspose2d(4, 6, (3, 1), groups=2, rng=rng).w.data
    drawn = nn.he_normal((3, 1, 2, 6), again)
    assert weights.shape == (3, 1, 3, 4)
    for group in (0, 1):  # each output of a group has the weights that were drawn for it
        want = drawn[..., 3 * group : 3 * group + 3].swapaxes(2, 3)
        np.testing.assert_array_equal(weights[..., 2 * group : 2 * group + 2], want)
    np.testing.assert_array_equal(nn.Conv1d(4, 6, 3, rng=rng).w.data, nn.he_normal((3, 4, 6), again))
    np.testing.assert_array_equal(nn.Embedding(5, 2, rng=rng).w.data, nn.standard_normal((5, 2), again))
    assert nn.PReLU(3).w.data.tolist() == [0.25] * 3
    assert nn.LayerNorm(3, affine=False).b is nn.RMSNorm(3, affine=False).w is nn.InstanceNorm2d(3).w is None


def test_dropout2d_drops_channels_of_each_image(rng):
    x = np.ones((50, 4, 5, 40), np.float32)
    drop = nn.Dropout2d(0.3, rng=rng)
    y = drop(ag.Tensor(x)).data
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1, :1], y.shape))
    assert abs((y == 0).mean() - 0.3) < 0.05  # 5 standard deviations
    assert drop.eval()(x) is x


def test_batch_norm_in_evaluation_is_one_operation(rng):
    out = nn.BatchNorm2d(3).eval()(rng.normal(size=(2, 4, 4, 3)).astype(np.float32))
    assert [node.plan.primitive.name for node in history(out._node) if isinstance(node, Node)] == ["batch_norm"]


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


# An input that does not suit a layer


def images(*shape):
    return np.ones(shape, np.float32)


MISFITS = [
    (lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(16, 3))(images(6, 4)),
     "linear: x (6, 8) @ w (16, 3): 8 is not 16", "w 2.w (16, 3) float32", ""),
    (lambda: nn.Linear(144, 2)(images(4, 6, 6, 4)), "linear: x (4, 6, 6, 4) @ w (144, 2)", "",
     "ag.flatten(x, 1) first: 6*6*4 = 144"),
    (lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.Linear(128, 10))(images(2, 8, 8, 3)),
     "linear: x (2, 6, 6, 8) @ w (128, 10)", "w 1.w", "ag.flatten(x, 1) first: 6*6*8 = 288"),
    (lambda: nn.Sequential(nn.Conv2d(3, 8, 3))(images(2, 3, 8, 8)), "conv2d: x has 8 channels, w expects 3", "w 0.w",
     "x looks like NCHW: x.transpose(0, 2, 3, 1)"),
    (lambda: nn.Conv1d(3, 8, 3)(images(2, 9, 5)), "conv1d: x has 5 channels", "w (3, 3, 8)", "w should be (3, 5, 8)"),
    (lambda: nn.BatchNorm2d(3)(images(2, 8, 8, 1)), "batch_norm: x (2, 8, 8, 1) has 1 channels, w is (3,)", "", ""),
    (lambda: nn.LayerNorm((2, 4))(images(6, 2, 5)), "layer_norm: x (6, 2, 5), normalized_shape (2, 4)", "", ""),
    (lambda: nn.GlobalAvgPool2d()(images(2, 3, 3)), "GlobalAvgPool2d: x is (2, 3, 3), want (N, H, W, C). One", "", ""),
    (lambda: nn.Sequential(nn.LSTMCell(2, 4))(images(5, 3)), "LSTMCell 0: x is (5, 3), want 2 features", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("call", "problem", "operand", "cure"), MISFITS, ids=[row[1] for row in MISFITS])
def test_an_input_that_does_not_suit_a_layer(call, problem, operand, cure):
    """The operation says what does not fit, and names the parameter by its place in the model."""
    with pytest.raises(ValueError, match="x ") as caught:
        call()
    first, *rest = str(caught.value).split("\n")
    assert first.startswith(problem)
    assert not rest or (operand in rest[0] and rest[1].startswith("  at test_layers.py:") and rest[2].endswith(cure))


def test_an_error_inside_a_module_of_the_user_is_its_own():
    class Net(nn.Module):
        def forward(self, x):
            raise ValueError("mine")

    with pytest.raises(ValueError, match="^mine$"):
        nn.Sequential(Net())(images(2, 3))
