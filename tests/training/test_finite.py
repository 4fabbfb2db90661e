"""A run stops before a number that is not finite reaches the weights or a file, whatever made it."""

import math
import re

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn
from autograd_cnn.arrayfile import read_arrays, write_arrays
from autograd_cnn.training import RunFolder, fit
from training.runs import line, points, train


def assert_finite(path):
    arrays, _ = read_arrays(path)
    assert all(np.isfinite(array).all() for array in arrays.values())


def bad_gradient(w, step, number=math.nan):
    """A loss that is finite, with a gradient that is not, at one step: the slope of a root is infinite at 0."""
    calls = []

    def loss(outputs, labels):
        calls.append(1)
        value = ag.cross_entropy(outputs, labels)
        if len(calls) == step:
            value = value + ag.sqrt((w * 0).sum() if math.isnan(number) else (w - w.data).sum())
        return value

    return loss


@pytest.mark.parametrize("step", [1, 5, 6, 9])  # passes of 3 steps, and the run has 9
@pytest.mark.parametrize(("number", "options"), [(math.nan, {}), (math.inf, {"clip": 1.0})])
def test_a_gradient_that_is_not_finite_stops_the_run_before_the_step(tmp_path, step, number, options):
    x, y = points()
    w, model, optimiser = line(momentum=0.9)
    options = {"epochs": 3, "checkpoint": tmp_path / "c", **options}
    told = (
        rf"fit: the gradient of w is {number} in 4 of 4 numbers at step {step - 1}, though the loss is 0\.\d+. Nothing "
        r"was changed. First in the rule of sqrt \(test_finite.py:\d+\) for x: 1 of 1. The slope"
    )
    with pytest.raises(FloatingPointError, match=told):
        train(model, optimiser, x, y, loss=bad_gradient(w, step, number), **options)
    assert np.isfinite(w.data).all() and optimiser.steps == [step - 1]
    assert (tmp_path / "c").exists() == (step > 3)
    again, model, optimiser = line(momentum=0.9)
    train(model, optimiser, x, y, **options)
    twin, model, optimiser = line(momentum=0.9)
    train(model, optimiser, x, y, **{**options, "checkpoint": None})
    np.testing.assert_array_equal(again.data, twin.data)


def test_it_stops_without_a_checkpoint_too():
    x, y = points()
    w, model, optimiser = line()
    with pytest.raises(FloatingPointError, match="the gradient of w is nan"):
        train(model, optimiser, x, y, steps=1, loss=bad_gradient(w, 1))
    assert not w.data.any()


@pytest.mark.parametrize(
    ("rate", "kind"), [(math.nan, ValueError), (np.float64("inf"), ValueError), (-0.1, ValueError), ("0.1", TypeError)]
)
def test_a_rate_that_is_no_rate_stops_the_run_before_the_step(tmp_path, rate, kind):
    x, y = points()
    w, model, optimiser = line()
    options = {"schedule": lambda step: rate if step == 4 else 0.1, "checkpoint": tmp_path / "c"}
    with pytest.raises(kind, match=rf"fit: schedule\(4\) is {re.escape(repr(rate))}, want a number, 0 or more"):
        train(model, optimiser, x, y, epochs=2, **options)
    assert np.isfinite(w.data).all() and optimiser.lr == 0.1
    assert_finite(tmp_path / "c")


class Poisoned(nn.Module):
    """A model in which `change` runs in one call of `forward`."""

    def __init__(self, change, call):
        self.layer, self.norm = nn.Linear(2, 2, rng=np.random.default_rng(0)), nn.BatchNorm1d(2)
        self.change, self.call, self.calls = change, call, 0

    def forward(self, x):
        self.calls += 1
        if self.training and self.calls == self.call:
            self.change(self)
        return self.norm(self.layer(x))


def spoil_buffer(model):
    model.norm.running_var.data = np.float32([1, np.nan])


def huge(number):
    def change(model):
        model.layer.w.data = np.full((2, 2), number, np.float32)

    return change


@pytest.mark.parametrize("call", [3, 6])
def test_a_buffer_that_is_not_finite_is_not_saved(tmp_path, call):
    """In the last step of a pass, or of the run."""
    x, y = points()
    model = Poisoned(spoil_buffer, call)

    def keep(history):
        write_arrays(tmp_path / "b.safetensors", model.state_dict(), {})

    options = {"epochs": 2, "checkpoint": tmp_path / "c", "callbacks": [keep]}
    with pytest.raises(
        FloatingPointError,
        match=rf"fit: model.norm\.running_var is nan in 1 of 2 numbers after step {call}, and .*unchanged",
    ):
        train(model, ag.optim.Adam(model.parameters()), np.float32(x), y, **options)
    assert (tmp_path / "c").exists() == (tmp_path / "b.safetensors").exists() == (call > 3)
    for path in tmp_path.iterdir():
        assert_finite(path)


@pytest.mark.parametrize(("optimiser", "scale", "name"), [
    (lambda p: ag.optim.SGD(p, 1e30), 1e20, "model.0"),  # the step overflows
    (lambda p: ag.optim.Adam(p), 1e25, "optimiser.square.0"),  # the mean square overflows, and the weights do not
    (lambda p: ag.optim.RMSprop(p), 1e25, "optimiser.square.0"),
], ids=["SGD", "Adam", "RMSprop"])  # fmt: skip
@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of the overflow
def test_a_step_that_overflows_is_not_saved(tmp_path, optimiser, scale, name):
    x, y = points(20)
    w = ag.Tensor(np.zeros((2, 2), np.float32), requires_grad=True, name="w")
    options = {"steps": 1, "checkpoint": tmp_path / "c", "loss": lambda outputs, labels: ag.mean(outputs * scale)}
    with pytest.raises(FloatingPointError, match=rf"fit: {name} is (nan|-?inf) in \d of 4 numbers after step 1"):
        train(lambda x: x @ w, optimiser([w]), np.float32(x), y, **options)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("what", "told"), [("w", "fit: loss is nan at step 3"), ("lr", "SGD.step: lr is inf, want a number")]
)
def test_what_a_callback_spoils_is_not_saved(tmp_path, what, told):
    x, y = points()
    w, model, optimiser = line()

    def spoil(history):
        if what == "w":
            w.data = w.data * np.nan
        else:
            optimiser.lr = math.inf

    options = {"epochs": 2, "checkpoint": tmp_path / "c"}
    with pytest.raises((FloatingPointError, ValueError), match=told):
        train(model, optimiser, x, y, callbacks=[spoil], **options)
    assert_finite(tmp_path / "c")
    w, model, optimiser = line()
    assert len(train(model, optimiser, x, y, **options).epochs) == 2 and optimiser.lr == 1


def test_numbers_that_were_infinite_at_the_start_stay(tmp_path):
    """A mask of minus infinities, as attention has it."""
    model = nn.Sequential(nn.Linear(2, 2, rng=np.random.default_rng(0)))
    model.mask = ag.Tensor(np.float32([0, -np.inf]))
    x, y = points()
    for epochs in (1, 2):
        sgd = ag.optim.SGD(model.parameters(), 0.1)
        train(model, sgd, np.float32(x), y, epochs=epochs, checkpoint=tmp_path / "c")
    assert read_arrays(tmp_path / "c")[0]["model.mask"].tolist() == [0, -np.inf]


def test_large_gradients_are_finite():
    """Their sum is not, in float32; the step is."""
    x, y = np.full((4, 2), 2e38, np.float32), np.zeros(4, int)
    w = ag.Tensor(np.zeros((2, 1), np.float32), requires_grad=True, name="w")
    options = {"steps": 1, "loss": lambda outputs, labels: outputs.sum() / 4}
    train(lambda x: x @ w, ag.optim.SGD([w], 1e-38), x, y, **options)
    np.testing.assert_allclose(w.data, -2, rtol=1e-5)


def test_a_run_folder_keeps_its_good_files(tmp_path):
    recipe = tmp_path / "recipe.py"
    recipe.write_text("from autograd_cnn import nn\ndef build(settings): return nn.Linear(2, 2)\nSettings = dict")
    folder = RunFolder(tmp_path / "run", {}, recipe)
    x, y = points()
    model = nn.Linear(2, 2, rng=np.random.default_rng(0))
    options = {"epochs": 2, "batch_size": 20, "checkpoint": folder.last, "callbacks": [folder.callback(model)]}
    sgd = ag.optim.SGD(model.parameters(), 0.1)
    with pytest.raises(FloatingPointError, match="the gradient of w is nan"):
        fit(model, bad_gradient(model.w, 6), sgd, np.float32(x), y, rng=None, progress=False, **options)
    assert_finite(folder.last)
    assert_finite(folder.best)
    assert len(folder.history().epochs) == 1 and np.isfinite(folder.model().w.data).all()
