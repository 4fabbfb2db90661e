"""Checkpoints: a run that stops and resumes ends with the same bits; other files are refused."""

import hashlib

import numpy as np
import pytest
import safetensors.numpy

import autograd_cnn as ag
from autograd_cnn.arrayfile import read_arrays, write_arrays
from autograd_cnn.training import CheckpointError, fit, load_checkpoint, save_checkpoint
from training.runs import interrupting, line, points, train

# Stopping and resuming

STEPS = 11  # passes of 4 steps: two whole ones and a part


@pytest.fixture(scope="module")
def job():
    """A run with every kind of state that a checkpoint must keep; returns a digest of the state, and the history."""
    images = np.random.default_rng(1).integers(0, 256, (23, 6, 6, 3), np.uint8)
    labels = np.arange(23) % 3

    def build(generator=np.random.PCG64, shared=False):
        rng = np.random.Generator(generator(5))
        dropping = rng if shared else np.random.Generator(generator(6))
        layers = [ag.nn.Conv2d(3, 4, 3, rng=rng), ag.nn.BatchNorm2d(4), ag.nn.ReLU(), ag.nn.Flatten()]
        model = ag.nn.Sequential(*layers, ag.nn.Dropout(0.5, rng=dropping), ag.nn.Linear(64, 3, rng=rng))
        return model, ag.optim.AdamW(model.parameters(), lr=1.0), rng

    def run(parts, steps=STEPS, loss=ag.cross_entropy, **options):
        model, optimiser, rng = parts
        options |= {"schedule": ag.optim.one_cycle(0.01, STEPS), "validation": (images, labels), "progress": False}
        options |= {"augment": lambda x, rng: ag.data.augment(x, rng, shift=1), "steps": steps, "batch_size": 6}
        history = fit(model, loss, optimiser, images, labels, rng=rng, **options)
        digest = hashlib.sha256()
        for state in (model.state_dict(), optimiser.state_dict()):
            for name, value in state.items():
                digest.update(name.encode() + np.asarray(value).tobytes())
        for generator in (rng, model[4].rng):
            digest.update(repr(generator.bit_generator.state).encode())
        for epoch in history.epochs:
            epoch.seconds = 0.0  # the only value that may differ
        return digest.hexdigest(), history

    run.build = build
    return run


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_a_run_of_complex_weights_resumes_as_if_it_had_not_stopped(tmp_path, precision):
    x, y = points()

    def build():
        parts = np.random.default_rng(0).normal(size=(2, 2, 2)).astype(precision)
        w = ag.Tensor(parts[0] + parts[1] * 1j, requires_grad=True, name="w")
        return w, lambda x: abs(x @ w), ag.optim.Adam([w], lr=0.1)

    ends = []
    for files, passes in (("one", [4]), ("two", [2, 4])):
        for epochs in passes:
            w, model, optimiser = build()
            train(model, optimiser, x.astype(precision), y, epochs=epochs, clip=1.0, checkpoint=tmp_path / files)
        ends.append(w.data)
    assert ends[0].dtype == np.result_type(precision, 1j)
    np.testing.assert_array_equal(*ends)


@pytest.fixture(scope="module")
def straight(job):
    return job(job.build())


@pytest.mark.parametrize("stop", range(1, STEPS + 1))
def test_a_run_in_two_parts_equals_the_run_in_one(job, straight, tmp_path, stop):
    path = tmp_path / "run.safetensors"
    job(job.build(), steps=stop, checkpoint=path)
    assert len(read_arrays(path)[1]["state"]["history"]["losses"]) == stop
    assert job(job.build(), checkpoint=path) == straight
    assert job(job.build(), checkpoint=path) == straight  # there is nothing left to do


OTHERS = {
    "labels in another order": lambda x, y: (x, y[::-1]),
    "another label": lambda x, y: (x, np.where(np.arange(len(y)) == 7, 1 - y, y)),
    "images in another order": lambda x, y: (x[::-1], y),
    "images of another type": lambda x, y: (x.view(np.int8), y),
    "another number of labels": lambda x, y: (x, np.eye(2)[y]),
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_a_run_does_not_resume_with_other_images_or_labels(tmp_path, change):
    x, y = np.random.default_rng(1).integers(0, 256, (60, 2), np.uint8), np.arange(60) % 2
    w = ag.Tensor(np.zeros((2, 2), np.float32), requires_grad=True, name="w")
    model, optimiser, options = (lambda x: x @ w), ag.optim.SGD([w], 0.1), {"checkpoint": tmp_path / "c"}
    train(model, optimiser, x, y, epochs=1, **options)
    before = w.data.copy()
    with pytest.raises(
        CheckpointError, match=r"c: the checkpoint is of a run with other images or labels, or .* seed\?"
    ):
        train(model, optimiser, *change(x, y), epochs=2, **options)
    assert (w.data == before).all()
    assert len(train(model, optimiser, x, y, epochs=2, **options).epochs) == 2


def test_a_run_that_goes_on_with_other_kernels_says_so(tmp_path, monkeypatch):
    x, y = points()
    monkeypatch.setattr("autograd_cnn.training.run.kernels", lambda: "the first")
    for steps in 3, 6:
        train(*line()[1:], x, y, steps=steps, checkpoint=tmp_path / "c")
    monkeypatch.setattr("autograd_cnn.training.run.kernels", lambda: "others")
    with pytest.warns(UserWarning, match="began with the kernels the first, and goes on with others: last"):
        train(*line()[1:], x, y, steps=9, checkpoint=tmp_path / "c")


def test_a_run_resumes_with_floats_that_another_processor_rounds_otherwise(tmp_path):
    x, y = points()
    _, model, optimiser = line()
    for epochs, images in (1, x), (2, np.nextafter(x, 0)):
        history = train(model, optimiser, images, y, epochs=epochs, checkpoint=tmp_path / "c")
    assert len(history.epochs) == 2


@pytest.mark.parametrize(("call", "steps"), [(2, 2), (4, 4), (5, 4), (7, 6)])  # the fifth call is in the validation
def test_an_interrupted_run_resumes(job, straight, tmp_path, call, steps):
    path = tmp_path / "run.safetensors"
    _, history = job(job.build(), loss=interrupting(call), checkpoint=path)
    assert history.ended == f"interrupted at step {steps}" and len(history.losses) == steps
    assert job(job.build(), checkpoint=path) == straight


@pytest.mark.parametrize("stop", [2, 5, 10])
def test_a_run_that_fails_resumes_from_the_last_checkpoint(job, straight, tmp_path, stop):
    path = tmp_path / "run.safetensors"

    def failing(outputs, labels):
        if next(calls) == stop:
            raise ZeroDivisionError
        return ag.cross_entropy(outputs, labels)

    calls = iter([0, 1, 2, 3, -1, 4, 5, 6, 7, -1, 8, 9, 10])  # -1: validation
    with pytest.raises(ZeroDivisionError):
        job(job.build(), loss=failing, checkpoint=path)
    assert path.exists() == (stop >= 4)
    assert job(job.build(), checkpoint=path) == straight


def test_a_run_whose_callback_failed_resumes_with_it(job, straight, tmp_path):
    path, calls = tmp_path / "run.safetensors", []

    def failing(history):
        calls.append((len(history.epochs), len(read_arrays(path)[1]["state"]["history"]["epochs"])))
        if len(calls) == 2:
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        job(job.build(), checkpoint=path, callbacks=[failing])
    assert job(job.build(), checkpoint=path, callbacks=[failing]) == straight
    assert calls == [(1, 0), (2, 1), (2, 1), (3, 2)]  # passes in the History, and in the file


def test_a_run_that_has_made_more_steps_than_it_shall_keeps_them(tmp_path):
    for steps in 6, 3:
        history = train(*line()[1:], *points(), steps=steps, checkpoint=tmp_path / "c")
    assert [epoch.step for epoch in history.epochs] == [3, 6] and len(history.losses) == 6


def test_an_early_stop_is_final_unless_the_callbacks_change(job, straight, tmp_path):
    path = tmp_path / "run.safetensors"
    first = job(job.build(), checkpoint=path, callbacks=[lambda history: True])
    assert first[1].ended == "early stop" and len(first[1].losses) == 4
    assert job(job.build(), checkpoint=path, callbacks=[lambda history: True]) == first
    assert job(job.build(), checkpoint=path) == straight


@pytest.mark.parametrize("generator", [np.random.MT19937, np.random.Philox, np.random.SFC64])
@pytest.mark.parametrize("shared", [False, True])
def test_every_kind_of_generator_is_saved_shared_or_not(job, tmp_path, generator, shared):
    path = tmp_path / "run.safetensors"
    straight = job(job.build(generator, shared))
    job(job.build(generator, shared), steps=6, checkpoint=path)
    assert job(job.build(generator, shared), checkpoint=path) == straight


def test_a_plain_function_resumes_too(tmp_path):
    x, y = points()

    def run(steps, **options):
        w, model, optimiser = line(ag.optim.Adam)
        history = train(model, optimiser, x, y, steps=steps, **options)
        return w.data.tobytes(), history.losses

    run(5, checkpoint=tmp_path / "c")
    assert run(10, checkpoint=tmp_path / "c") == run(10)


def test_a_custom_loop_can_save_its_state(tmp_path, rng):
    w, _, optimiser = line(momentum=0.9)
    w.grad = np.ones((2, 2))
    optimiser.step()
    save_checkpoint(tmp_path / "c", None, optimiser, {"mine": rng}, {"epoch": 3})
    drawn = rng.random(3)
    twin, _, other = line(momentum=0.9)
    fresh = np.random.default_rng(9)
    assert load_checkpoint(tmp_path / "c", None, other, {"mine": fresh}) == {"epoch": 3}
    assert (fresh.random(3) == drawn).all() and (twin.data == w.data).all() and other.steps == [1]
    assert (other.state_dict()["momentum.0"] == 1).all()


def test_fit_refuses_the_checkpoint_of_a_custom_loop(tmp_path):
    x, y = points()
    _, model, optimiser = line()
    rng = np.random.default_rng(0)
    save_checkpoint(tmp_path / "c", model, optimiser, {"fit": rng}, {"epoch": 3})
    with pytest.raises(CheckpointError, match="of a run with None, want {'images': 60, 'batch_size': 20}"):
        train(model, optimiser, x, y, steps=8, checkpoint=tmp_path / "c")


def test_fit_refuses_the_checkpoint_of_another_version(tmp_path):
    x, y = points()
    _, model, optimiser = line()
    rng, state = np.random.default_rng(0), {"sizes": {"images": 60, "batch_size": 20}, "history": {}}
    save_checkpoint(tmp_path / "c", model, optimiser, {"fit": rng}, state)
    with pytest.raises(CheckpointError, match=r"c: not of this version, or .* \(KeyError\('data'\)\)"):
        train(model, optimiser, x, y, steps=8, checkpoint=tmp_path / "c")


def test_resuming_is_announced(tmp_path, capsys):
    x, y = points()
    for steps in (3, 6):
        train(*line()[1:], x, y, steps=steps, checkpoint=tmp_path / "c", progress=True)
    assert f"resuming after step 3, from {tmp_path / 'c'}\nepoch 1/2: " in capsys.readouterr().err


def others():
    """Runs that a checkpoint of `line()` does not fit, with their messages."""
    w = ag.Tensor(np.zeros((2, 3)), requires_grad=True)
    v = ag.Tensor(np.zeros((2, 2)), requires_grad=True)
    yield "shape", lambda x: x @ w, [w], ag.optim.SGD, {}, r"model\.0: \(2, 2\) float64, want \(2, 3\) float64"
    yield "number", lambda x: x @ v, [v, w], ag.optim.SGD, {}, r"missing: model\.1"
    yield "slots", lambda x: x @ v, [v], ag.optim.Adam, {}, r"missing: optimiser\.mean\.0, optimiser\.square\.0"
    yield "batches", lambda x: x @ v, [v], ag.optim.SGD, {"batch_size": 7}, "'batch_size': 20.*'batch_size': 7"
    yield "order", lambda x: x @ v, [v], ag.optim.SGD, {"rng": None}, "unexpected: fit"
    mersenne = np.random.Generator(np.random.MT19937(0))
    yield "generator", lambda x: x @ v, [v], ag.optim.SGD, {"rng": mersenne}, "MT19937"


@pytest.mark.parametrize("case", list(others()), ids=lambda case: case[0])
def test_a_checkpoint_of_another_run_is_refused_and_nothing_changes(tmp_path, case):
    _, model, parameters, kind, options, message = case
    x, y = points()
    train(*line()[1:], x, y, steps=4, checkpoint=tmp_path / "c")
    optimiser = kind(parameters, lr=1.0)
    options = {"rng": np.random.default_rng(3), **options}
    with pytest.raises(CheckpointError, match=message):
        train(model, optimiser, x, y, steps=8, checkpoint=tmp_path / "c", **options)
    assert not any(p.data.any() for p in parameters) and not any(optimiser.steps)
    if (
        isinstance(options["rng"], np.random.Generator)
        and options["rng"].bit_generator.state["bit_generator"] == "PCG64"
    ):
        assert options["rng"].bit_generator.state == np.random.default_rng(3).bit_generator.state


def test_weights_alone_are_not_a_checkpoint(tmp_path):
    w, model, optimiser = line()
    safetensors.numpy.save_file({"model.0": np.ones((2, 2))}, tmp_path / "c")
    told = r"has no checksum, so it is no checkpoint\. Restore .* For weights: ag\.interop\.load_weights"
    with pytest.raises(CheckpointError, match=told):
        load_checkpoint(tmp_path / "c", model, optimiser)
    write_arrays(tmp_path / "c", {"model.0": w.data}, {})
    with pytest.raises(CheckpointError, match="optimiser"):
        load_checkpoint(tmp_path / "c", model, optimiser)
