"""The training loop: batches, figures, messages, Ctrl-C; evaluation."""

import itertools
import math
import re
import signal
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.training import evaluate, predict
from training.runs import interrupting, line, points, train

# Training


def test_it_learns_and_records_its_progress():
    x, y = points()
    _, model, optimiser = line()
    history = train(model, optimiser, x, y, epochs=10, validation=(x, y), name="points")
    assert history.name == "points" and history.ended == ""
    assert len(history.losses) == 30 and [epoch.step for epoch in history.epochs] == list(range(3, 31, 3))
    assert history.losses[0] == pytest.approx(math.log(2)) and history.losses[-1] < 0.3
    last = history.epochs[-1]
    assert last.accuracy > 0.9 and last.seconds > 0
    result = evaluate(model, ag.cross_entropy, x, y)
    assert (last.validation_loss, last.validation_accuracy) == (result.loss, result.accuracy)


def test_figures_of_a_pass_are_means_over_its_images():
    x, y = points(50)
    figures = []

    def loss(outputs, labels):
        value = ag.cross_entropy(outputs, labels)
        figures.append((value.item() * len(labels), np.count_nonzero(outputs.data.argmax(-1) == labels), len(labels)))
        return value

    history = train(*line()[1:], x, y, steps=5, loss=loss)  # batches of 20, 20, 10, 20, 20
    for epoch, part in zip(history.epochs, (figures[:3], figures[3:]), strict=True):
        losses, right, images = map(sum, zip(*part, strict=True))
        assert epoch.loss == pytest.approx(losses / images) and epoch.accuracy == pytest.approx(right / images)
    assert [epoch.step for epoch in history.epochs] == [3, 5]


def test_order_and_augmentation_follow_from_one_seed_per_pass():
    x, y = np.arange(20).reshape(10, 2) / 10, np.arange(10) % 2
    calls = []

    def augment(batch, rng):
        calls.append((batch, rng.random()))
        return batch + 1

    rng, again = np.random.default_rng(3), np.random.default_rng(3)
    train(*line()[1:], x, y, epochs=2, batch_size=4, rng=rng, augment=augment)
    want = []
    for _ in range(2):
        seed = int(again.integers(2**63))
        for i, (batch, _) in enumerate(ag.data.batches(x, y, 4, np.random.default_rng(seed))):
            want.append((batch, np.random.default_rng([seed, i]).random()))
    assert len(calls) == 6 and all(np.array_equal(a, b) and p == q for (a, p), (b, q) in zip(calls, want, strict=True))
    assert rng.bit_generator.state == again.bit_generator.state  # nobody else draws from it


def test_without_a_generator_images_keep_their_order():
    x, y = points(5)
    order = []
    train(*line()[1:], x, y, epochs=2, batch_size=2, rng=None, loss=lambda o, t: (order.extend(t), (o * o).sum())[1])
    assert order == [*y, *y]


def test_uint8_images_reach_the_model_as_floats_and_floats_as_they_are():
    images = np.array([[0, 51], [255, 102]], np.uint8)
    inputs = []
    for stored, dtype in ((images, np.float32), (images / 255, np.float64)):
        w = ag.Tensor(np.zeros((2, 2), dtype), requires_grad=True)
        model = lambda x: (inputs.append(x), x @ w)[1]  # noqa: E731
        train(model, ag.optim.SGD([w], lr=0.1), stored, np.array([0, 1]), steps=1, rng=None)
    np.testing.assert_array_equal(inputs[0].data, np.array([[0, 0.2], [1, 0.4]], np.float32))
    assert [(x.dtype, x.name) for x in inputs] == [(np.float32, "inputs"), (np.float64, "inputs")]


def test_the_schedule_counts_steps_from_0():
    x, y = points()
    rates = []
    _, model, optimiser = line()
    step = optimiser.step
    optimiser.step = lambda: (rates.append(optimiser.lr), step())
    train(model, optimiser, x, y, epochs=2, schedule=lambda step: 0.5**step)
    assert rates == [0.5**step for step in range(6)]


def network(rng, dtype=np.float32):
    """A convolution of four channels, of which the second is dead, and a linear layer."""
    options = {"rng": rng, "dtype": dtype}
    layers = ag.nn.Conv2d(1, 4, 3, **options), ag.nn.ReLU(), ag.nn.Flatten(), ag.nn.Linear(64, 2, **options)
    layers[0].b.data = np.array([1, -99, 1, 1], dtype)
    return ag.nn.Sequential(*layers)


def pictures(count, dtype=np.float32):
    rng = np.random.default_rng(1)
    return rng.random((count, 6, 6, 1), dtype), rng.integers(0, 2, count)


def test_an_epoch_has_the_last_rate_and_gradients_and_the_dead_channels(rng):
    model, (x, y) = network(rng), pictures(50)
    sgd = ag.optim.SGD(model.parameters(), lr=0.1)
    first, last = train(model, sgd, x, y, epochs=2, schedule=lambda step: 0.1 / (step + 1)).epochs
    assert (first.rate, last.rate) == (0.1 / 3, 0.1 / 6)
    norms = {name: np.linalg.norm(p.grad.astype(float)) for name, p in model.named_parameters()}
    assert last.gradients == pytest.approx(norms) and list(norms) == ["0.w", "0.b", "3.w", "3.b"]
    assert first.gradients != last.gradients and all(norms.values())
    assert last.dead == {"1.relu": 0.25}


def test_rectifiers_of_maps_are_named_after_modules_or_lines_and_numbered():
    w = ag.Tensor(np.eye(2), requires_grad=True)

    def model(x):
        h = (x @ w)[:, None, None]
        for _ in range(2):
            h = ag.relu(h)
        with ag.scope("head"):
            return (ag.maximum(h, 0) + ag.relu(h.sum(axis=3, keepdims=True)))[:, 0, 0] + ag.relu(x @ w)

    x = np.array([[1.0, -1.0], [2.0, -0.5]])
    (epoch,) = train(model, ag.optim.SGD([w], lr=0.1), x, np.array([0, 1]), steps=1).epochs
    (line,) = {int(name.split(":")[1].split(")")[0]) for name in epoch.dead if "relu (" in name}
    assert epoch.dead == {
        f"relu (test_loop.py:{line})": 0.5,
        f"relu (test_loop.py:{line}) 2": 0.5,
        "head.maximum": 0.5,
        "head.relu": 0,
    }


@pytest.mark.parametrize(("clip", "norm"), [(1e-3, 1e-3), (1e3, None)])
def test_gradients_are_clipped_together(clip, norm):
    x, y = points()
    w, model, optimiser = line()
    (epoch,) = train(model, optimiser, x, y, steps=1, clip=clip).epochs
    step = np.linalg.norm(w.data)  # the rate is 1, and the weights were 0
    assert epoch.gradients == pytest.approx({"w": step})
    assert step == pytest.approx(norm) if norm else 0.1 < step < 1


def test_callbacks_are_called_after_each_pass_until_one_ends_the_run():
    calls = []
    callbacks = [lambda history: len(history.epochs) == 3, lambda history: calls.append(history.ended)]
    history = train(*line()[1:], *points(), epochs=9, callbacks=callbacks)
    assert calls == ["", "", "early stop"] and len(history.epochs) == 3 and history.ended == "early stop"


def test_targets_that_are_not_classes_have_no_accuracy():
    x, _ = points()
    w, model, optimiser = line(lr=0.1)
    history = train(model, optimiser, x, 2 * x, epochs=20, loss=ag.mse)
    np.testing.assert_allclose(w.data, 2 * np.eye(2), atol=0.1)
    assert math.isnan(history.epochs[-1].accuracy) and "accuracy" not in str(history.epochs[-1])
    result = evaluate(model, ag.mse, x, 2 * x)
    assert math.isnan(result.accuracy) and result.confusion.shape == (0, 0)


def test_a_checkpoint_that_cannot_be_written_is_refused_before_training(tmp_path, monkeypatch):
    x, y = points()
    w, model, optimiser = line()
    told = "fit: checkpoint is {}, want a file in a folder that exists and can be written"
    for path in tmp_path, tmp_path / "no" / "c":
        with pytest.raises(OSError, match=re.escape(told.format(path))):
            train(model, optimiser, x, y, epochs=1, checkpoint=path)
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(OSError, match=re.escape(told.format(tmp_path / "c"))):
        train(model, optimiser, x, y, epochs=1, checkpoint=tmp_path / "c")
    assert not w.data.any()


@pytest.mark.parametrize("scale", [255, 200])
def test_images_from_0_to_255_are_trained_with_a_warning(rng, scale):
    model, (x, y) = network(rng), pictures(50)
    x = np.float32(scale) * x / x.max()
    told = rf"fit: images are float32 from 0 to {scale}, and .* images / 255"
    with pytest.warns(UserWarning, match=told):
        assert train(model, ag.optim.SGD(model.parameters(), 1e-6), x, y, steps=1).losses
    with pytest.warns(UserWarning, match=told.replace("images are", "validation images are")):
        train(model, ag.optim.SGD(model.parameters(), 1e-6), x / 255, y, steps=1, validation=(x, y))


def test_a_loss_cannot_write_into_the_labels():
    x, y = points()
    before = y.copy()

    def loss(outputs, labels):
        labels -= 1
        return ag.cross_entropy(outputs, labels)

    with pytest.raises(ValueError, match="read-only"):
        train(*line()[1:], x, y, epochs=1, rng=None, loss=loss)
    with pytest.raises(ValueError, match="read-only"):
        evaluate(line()[1], loss, x, y)
    np.testing.assert_array_equal(y, before)
    assert y.flags.writeable


# Failures


def test_an_infinite_loss_stops_training_before_it_reaches_the_weights():
    x, y = points()
    w, model, optimiser = line()
    calls = []

    def loss(outputs, labels):
        calls.append(1)
        scale = np.inf if len(calls) == 3 else 1.0
        return ag.exp(ag.cross_entropy(outputs, labels) * scale)

    with pytest.raises(
        FloatingPointError, match=r"fit: loss is inf at step 2\. First seen in the result of exp \(test_loop\.py:\d+\)"
    ):
        train(model, optimiser, x, y, epochs=1, loss=loss)
    assert optimiser.steps == [2] and np.isfinite(w.data).all()


def test_of_dead_layers_a_run_names_the_first_once(recwarn):
    x, y = points()
    w = ag.Tensor(np.zeros((2, 2)), requires_grad=True)

    def model(x):
        first = ag.relu(x @ w - 1)
        lines.append(sys._getframe().f_lineno - 1)
        return ag.relu(first - 1)

    lines = []
    warnings.simplefilter("default")
    train(model, ag.optim.SGD([w], lr=0.1), x, y, epochs=3, batch_size=20)
    (message,) = {str(warning.message) for warning in recwarn}
    assert len(recwarn) == 1 and message.startswith(f"relu (test_loop.py:{lines[0]}): all outputs are 0")


def test_progress_goes_to_stderr_or_nowhere(capsys):
    x, y = points()
    train(*line()[1:], x, y, epochs=2, progress=True, validation=(x, y))
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == "" and len(lines) == 2  # no terminal: no bar
    assert lines[1].startswith("epoch 2/2: loss 0.") and "validation accuracy 9" in lines[1] and lines[1].endswith(" s")
    train(*line()[1:], x, y, epochs=2)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("count", "size", "sizes"), [(61, 20, [20, 20, 21]), (21, 20, [21]), (3, 2, [3]), (1, 20, [1]), (3, 1, [1, 1, 1])]
)
def test_no_image_is_left_alone_in_a_batch(count, size, sizes):
    seen = []

    def loss(outputs, labels):
        seen.append(len(labels))
        return ag.cross_entropy(outputs, labels)

    x, y = points(count)
    history = train(*line()[1:], x, y, epochs=2, batch_size=size, loss=loss)
    assert seen == sizes * 2 and history.planned == len(history.losses) == 2 * history.epochs[0].step


def test_a_pass_that_is_cut_short_is_shown_as_such(capsys):
    x, y = points()
    history = train(*line()[1:], x, y, epochs=3, loss=interrupting(5), progress=True)
    first, *rest = capsys.readouterr().err.splitlines()
    assert first.startswith("epoch 1/3: loss 0.")
    assert (
        rest[0] == "interrupted at step 5" and rest[1].startswith("epoch 2/3, step 2 of 3: loss 0.") and len(rest) == 2
    )
    assert [epoch.part for epoch in history.epochs] == [1, 2 / 3]


def test_a_terminal_gets_images_a_second_and_the_loss(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    x, y = points()
    train(*line()[1:], x, y, steps=4, progress=True)
    bar = capsys.readouterr().err.split("\r")[-1]
    assert "80.0/80.0" in bar and "images/s" in bar and "loss=0." in bar and "accuracy=9" in bar


# Evaluation


def test_evaluation_counts():
    outputs = np.array([[2.0, 0.0, 1.0], [0.0, 3.0, 1.0], [1.0, 0.0, 0.5], [0.0, 0.1, 0.2]])
    labels = np.array([0, 1, 1, 2])
    result = evaluate(lambda x: x, ag.cross_entropy, outputs, labels, batch_size=3)
    assert repr(result) == f"Evaluation: loss {result.loss:.5f}, accuracy 75.0%, outputs (4, 3)"
    assert result.loss == pytest.approx(float(ag.cross_entropy(outputs, labels)))
    assert result.accuracy == 0.75 and result.confusion.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    np.testing.assert_array_equal(result.outputs, outputs)


def test_modules_are_evaluated_without_recording_and_left_unchanged(rng):
    class Probe(ag.nn.Module):
        def __init__(self):
            self.layer, self.drop = ag.nn.Linear(2, 2, rng=rng), ag.nn.Dropout(0.5, rng=rng)

        def forward(self, x):
            calls.append((self.training, self.layer.training, out := self.drop(self.layer(x))))
            return out

    calls, x = [], np.ones((5, 2), np.float32)
    model = Probe()
    model.layer.training = False  # frozen by the user
    before = rng.bit_generator.state
    outputs = predict(model, x, batch_size=2)
    assert [(a, b, out.requires_grad) for a, b, out in calls] == 3 * [(False, False, False)]
    assert (model.training, model.layer.training, model.drop.training) == (True, False, True)
    assert rng.bit_generator.state == before  # no dropout
    np.testing.assert_array_equal(outputs, x @ model.layer.w.data)
    calls.clear()
    model.eval()
    train(model, ag.optim.SGD(model.parameters(), lr=0.1), x, np.zeros(5, int), steps=1)
    assert [(a, b) for a, b, _ in calls] == [(True, True)] and not model.training and not model.drop.training


def test_no_images_have_no_outputs():
    assert predict(lambda x: x @ np.ones((2, 3)), np.zeros((0, 2))).shape == (0, 3)


# Ctrl-C


@pytest.mark.parametrize("step", [1, 3, 4, 9])
def test_ctrl_c_finishes_the_step_and_keeps_the_progress(step):
    x, y = points()
    w, model, optimiser = line()
    history = train(model, optimiser, x, y, epochs=3, loss=interrupting(step))
    assert history.ended == (f"interrupted at step {step}" if step < 9 else "")  # the last step is the end
    assert len(history.losses) == history.epochs[-1].step == step and optimiser.steps == [step]
    twin, model, optimiser = line()
    train(model, optimiser, x, y, steps=step)
    np.testing.assert_array_equal(w.data, twin.data)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_during_evaluation_ends_the_run_after_it():
    x, y = points()
    seen = []
    options = {"loss": interrupting(4), "validation": (x, y), "callbacks": [lambda history: seen.append(history.ended)]}
    history = train(*line()[1:], x, y, epochs=3, **options)  # the fourth call is the evaluation
    assert seen == [history.ended] == ["interrupted at step 3"] and len(history.epochs) == 1


def test_a_second_ctrl_c_ends_training_at_once():
    x, y = points()
    _, model, optimiser = line()
    with pytest.raises(KeyboardInterrupt):
        train(model, optimiser, x, y, epochs=3, loss=interrupting(2, times=2))
    assert optimiser.steps == [1] and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_users_own_handler_stays(monkeypatch):
    interrupts = []
    before = signal.signal(signal.SIGINT, lambda *_: interrupts.append(1))
    try:
        x, y = points()
        assert not train(*line()[1:], x, y, epochs=1, loss=interrupting(1)).ended and interrupts == [1]
    finally:
        signal.signal(signal.SIGINT, before)


def test_it_trains_in_any_thread():
    x, y = points()
    found = []
    thread = threading.Thread(target=lambda: found.append(train(*line()[1:], x, y, epochs=1)))
    thread.start()
    thread.join()
    assert len(found[0].losses) == 3


# Time limit


def test_a_run_ends_when_its_time_is_over(monkeypatch, tmp_path, capsys):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def loss(outputs, labels):
        now[0] += 10
        return ag.cross_entropy(outputs, labels)

    def run(limit=None, **options):
        now[0] += 1000  # the time between two parts does not count
        x, y = points()
        w, model, optimiser = line(momentum=0.9)
        options = {"checkpoint": tmp_path / "c", "time_limit": limit, **options}
        history = train(model, optimiser, x, y, epochs=3, loss=loss, **options)
        return history, w.data.tobytes()

    first, _ = run(35, progress=True)
    assert first.ended == "time limit" and len(first.losses) == 4
    assert [(epoch.seconds, epoch.part) for epoch in first.epochs] == [(30, 1), (10, 1 / 3)]
    assert "\ntime limit\nepoch 2/3, step 1 of 3: loss" in capsys.readouterr().err
    assert repr(run(35)[0]) == repr(first)  # its time is over
    second, _ = run(60)  # ends with a pass
    assert (second.ended, len(second.losses), second.epochs[-1].part) == ("time limit", 6, 1)
    assert repr(run(60)[0]) == repr(second)
    assert repr(run()) == repr(run(checkpoint=None))


def test_time_that_ends_with_the_last_step_cuts_nothing_short(monkeypatch):
    monkeypatch.setattr(time, "perf_counter", itertools.count().__next__)
    x, y = points()
    assert train(*line()[1:], x, y, steps=1, time_limit=1).ended == ""
    assert train(*line()[1:], x, y, steps=2, time_limit=1).ended == "time limit"
