"""The examples run as printed; both forms of the CNN are the same network."""

import json
import os
import re
import tracemalloc
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.__main__ import main
from autograd_cnn.training import quick
from processes import finished
from training.colours import COLOURS, picture

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def run(tmp_path):
    """Run an example, which must end with a code."""

    def run(name, *arguments, code=0, **environment):
        options = {"cwd": tmp_path, "XDG_CACHE_HOME": str(tmp_path), **environment}
        ended = finished("-W", "error", EXAMPLES / name, *arguments, **options)
        assert ended.returncode == code, ended.stderr
        return ended

    return run


@pytest.fixture(scope="module")
def models():
    return ag.training.read_recipe(EXAMPLES / "recipes" / "standard.py")


RESULTS = [
    "best.safetensors", "history.json", "last.safetensors", "model.py", "net.html", "report.html", "report.txt",
    "settings.json",
]  # fmt: skip


def test_a_loop_written_by_hand_learns(run, tmp_path):
    done = run("by_hand.py")
    losses = [float(line.split()[-1]) for line in done.stdout.splitlines()]
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.5 * losses[0]
    assert "conv2d" in (tmp_path / "graph.svg").read_text(encoding="utf-8")


def test_the_training_script_saves_its_results(run, tmp_path, models):
    done = run("train_cifar10.py", "--images", 96, "--epochs", 1, "--batch-size", 32, "--out", "out")
    assert sorted(os.listdir(tmp_path / "out")) == RESULTS
    parts = "<shapes (synthetic): 96 training and 1,000", "conv3   Conv2d(padding=1)", "620,362", "What to do next"
    for part in (*parts, "Open this", "net.html"):
        assert part in done.stdout
    assert "epoch 1/1: loss" in done.stderr
    history = json.loads((tmp_path / "out" / "history.json").read_text())
    assert history["name"].startswith("shapes (synthetic)") and len(history["losses"]) == 3
    assert (
        json.loads((tmp_path / "out" / "settings.json").read_text())["run"]["images_per_pass"] == 91
    )  # 5 are held apart
    p = models.parameters("standard", np.random.default_rng(1))
    ag.interop.load_weights(tmp_path / "out" / "best.safetensors", p)  # into the other form of the model
    data = ag.data.load_shapes(test=1000)
    result = ag.training.evaluate(
        lambda x: models.forward(p, x, "standard"),
        lambda y, labels: ag.bce(y, ag.one_hot(labels, 10)),
        data.test_images,
        data.test_labels,
    )
    right = round(1000 * result.accuracy)
    assert f"\n{right} of 1,000 test images right ({result.accuracy:.1%})\n" in done.stdout
    assert re.search(rf"^  test loss +{result.loss:.4f}$", done.stdout, re.MULTILINE)


INTERRUPTED = """
import runpy, signal, sys
import autograd_cnn as ag

def interrupt(*arguments, **options):
    signal.raise_signal(signal.SIGINT)

{place} = interrupt
sys.argv = sys.argv[1:]
sys.path.insert(0, {examples!r})
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("place", ["ag.data.load_shapes", pytest.param("ag.report.write", marks=pytest.mark.slow)])
def test_ctrl_c_while_data_is_drawn_or_during_the_report_is_one_line(tmp_path, place):
    program = INTERRUPTED.format(place=place, examples=str(EXAMPLES))
    options = ["--images", "32", "--epochs", "1", "--minutes", "1e-9", "--out", "out"]
    done = finished("-c", program, EXAMPLES / "train_cifar10.py", *options, cwd=tmp_path)
    assert done.returncode == 130, done.stderr
    assert "Traceback" not in done.stderr
    if place == "ag.data.load_shapes":
        assert done.stderr.endswith("\ninterrupted. Nothing was trained yet\n") and not (tmp_path / "out").exists()
    else:
        assert re.search(
            r"\ninterrupted\. Go on from the last checkpoint:\n    \S+ -m autograd_cnn train --resume out\n$",
            done.stderr,
        )


def test_ctrl_c_during_the_imports_is_one_line(tmp_path):
    (tmp_path / "numpy.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    done = finished(EXAMPLES / "train_cifar10.py", PYTHONPATH=path)
    assert (done.returncode, done.stderr) == (130, "\ninterrupted. Nothing was trained yet\n")


def test_a_run_on_the_images_of_this_folder_has_its_name(tmp_path, monkeypatch):
    pytest.importorskip("PIL", reason="Pillow, which reads images, is not installed")
    for name, colour in COLOURS.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(4):
            picture(tmp_path / "photos" / name / f"{i}.png", colour)
    monkeypatch.chdir(tmp_path / "photos")
    monkeypatch.setattr(ag.report, "write", lambda *_: "")
    assert main(["train", ".", "--epochs", "1", "--size", "16"]) == 0
    assert os.listdir("runs") == ["photos-quick"]


def test_one_image_is_refused_before_there_is_a_folder(run, tmp_path):
    done = run("train_cifar10.py", "--images", 1, "--out", "out", code=2)
    assert not (tmp_path / "out").exists()
    assert done.stderr.startswith("split: share 0.05 of 1 images leaves a part empty")


def test_whitened_patches_are_uncorrelated_with_variance_1(rng):
    images = rng.integers(0, 256, (200, 9, 9, 3)).cumsum(axis=2) // np.arange(1, 10)[:, None]  # neighbours are alike
    images = images.astype(np.uint8)
    mean, std = images.mean((0, 1, 2)) / 255, images.std((0, 1, 2)) / 255
    w = quick.whitening(images, mean, std)
    assert w.shape == (2, 2, 3, 24) and w.dtype == np.float32
    y = ag.conv2d((ag.data.as_float32(images) - mean) / std, w).reshape(-1, 24)
    np.testing.assert_allclose(y[:, :12].T @ y[:, :12] / len(y), np.eye(12), atol=0.02)
    np.testing.assert_array_equal(y[:, 12:], -y[:, :12])
    scales = np.square(w[..., :12]).sum(axis=(0, 1, 2))
    assert (np.diff(scales) > 0).all()  # the direction of most variance comes first, and is scaled least


def test_whitening_samples_large_images_and_bears_constant_colours(rng):
    images = rng.integers(0, 256, (3, 600, 600, 3), np.uint8) * np.uint8([1, 0, 1])
    tracemalloc.start()
    w = quick.build(quick.Settings(widths=(4, 4, 4)), rng, images).patches.data
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.isfinite(w).all() and np.abs(w).max() < 50 and most < 30e6  # all patches take 52 MB


@pytest.mark.parametrize(("inputs", "outputs"), [(3, 5), (5, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dirac_passes_channels_on_and_draws_the_other_filters(inputs, outputs, dtype, rng):
    w = quick.dirac((3, 3, inputs, outputs), rng, dtype)
    assert w.dtype == dtype
    x, passed = rng.random((1, 4, 4, inputs)).astype(dtype), min(inputs, outputs)
    np.testing.assert_array_equal(ag.conv2d(x, w, padding=1)[..., :passed], x[..., :passed])
    assert (np.abs(w[..., passed:]) <= np.sqrt(1 / (9 * inputs))).all()
    assert len(np.unique(w[..., passed:])) == 9 * inputs * (outputs - passed)


def test_lookahead_follows_its_formula_and_resumes():
    def run(steps, resume_after=None):
        rng, w, buffer = np.random.default_rng(0), ag.Tensor(np.ones(3), requires_grad=True), ag.Tensor(2.0)
        make = partial(quick.Lookahead, [w], [buffer], lambda step: 1 - step / 40, lr=0.1, momentum=0.9)
        optimiser = make()
        for step in range(steps):
            if step == resume_after:
                state, optimiser = optimiser.state_dict(), make()
                optimiser.load_state_dict(state)
            w.grad, buffer.data, optimiser.lr = rng.normal(size=3), buffer.data + step, 0.1 / (1 + step)
            optimiser.step()
        return np.append(w.data, buffer.data)

    rng, velocity = np.random.default_rng(0), 0.0
    slow = fast = np.array([1.0, 1, 1, 2])
    for step in range(12):
        velocity = 0.9 * velocity + rng.normal(size=3)
        fast = fast + np.append(-0.1 / (1 + step) * velocity, step)
        if step % 5 == 4:
            slow = fast = slow + (1 - (step + 1) / 40) * (fast - slow)
    np.testing.assert_allclose(run(12), fast, rtol=1e-12)
    for point in range(1, 12):
        np.testing.assert_array_equal(run(12, point), run(12))
    with pytest.raises(ValueError, match=r"(?s)Lookahead\.load_state_dict: the state does not fit.*missing: .*taken"):
        quick.Lookahead([ag.Tensor(1.0, requires_grad=True)], (), float, lr=1).load_state_dict({})


@pytest.mark.parametrize("version", ["quick", "best"])
def test_quick_and_best_learn(rng, version):
    recipe = ag.training.read_recipe(quick.__file__)
    settings = replace(recipe.SETTINGS.get(version, recipe.Settings()), batch_size=32, widths=(8, 16, 16))
    data = ag.data.load_shapes(train=32, test=10)
    model = recipe.build(settings, rng, data.train_images)
    history = ag.training.fit(
        model,
        partial(recipe.loss, settings),
        recipe.optimiser(settings, model, 20),
        data.train_images,
        data.train_labels,
        rng=rng,
        epochs=20,
        batch_size=32,
        schedule=recipe.schedule(settings, 20),
        augment=partial(recipe.augment, settings),
        progress=False,
    )
    assert history.losses[-1] < 0.97 * history.losses[0]
    assert all(history.epochs[-1].gradients.values())
    probabilities = recipe.probabilities(ag.training.predict(model, data.test_images))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.parametrize("flip", [True, False])
def test_views_are_moved_and_mirrored_if_a_mirror_image_is_of_the_same_class(rng, flip):
    class Corner(ag.nn.Module):
        def forward(self, image):
            return image[:, 0, 0]

    model, x, last = Corner(), rng.random((3, 5, 5, 2)), 4 if flip else 0
    model.flip = flip
    moved = 2 * (x[:, 1, 1] + x[:, 1, 3 if flip else 1])  # up and left, and down and right, of reflected edges
    np.testing.assert_allclose(quick.views(model, ag.Tensor(x)), (2 * (x[:, 0, 0] + x[:, 0, last]) + moved) / 8)
    settings = quick.Settings(flip=flip, shift=0)
    assert quick.build(settings).flip == flip
    images = np.arange(4 * 5 * 5 * 3, dtype=np.uint8).reshape(4, 5, 5, 3)
    changed = quick.augment(settings, images, np.random.default_rng(1))
    assert np.array_equal(changed, images) != flip


@pytest.mark.slow
def test_the_run_of_the_hand_written_code(run, tmp_path):
    done = run("train_cifar10.py", "--recipe", "original", "--images", 100)
    assert "22,151,424" in done.stdout
    out = tmp_path / "runs" / "shapes-original"
    assert sorted(os.listdir(out)) == RESULTS
    first, second = json.loads((out / "history.json").read_text())["losses"]
    assert abs(first - np.log(2)) < 1e-3 and second < first


def test_help_lists_its_recipes(run):
    done = run("train_cifar10.py", "--help")
    assert "standard, original, quick, best (default: the first)" in " ".join(done.stdout.split())


@pytest.mark.parametrize("version", ["standard", pytest.param("original", marks=pytest.mark.slow)])
def test_functions_and_modules_are_the_same_network(models, version, rng):
    p = models.parameters(version, np.random.default_rng(0))
    model = models.CNN(version, np.random.default_rng(0))
    x, y = rng.random((2, 32, 32, 3), np.float32), np.eye(10, dtype=np.float32)[[3, 7]]
    outputs = [models.forward(p, ag.Tensor(x), version), model(ag.Tensor(x))]
    assert outputs[0].data.tobytes() == outputs[1].data.tobytes()
    for out in outputs:
        ag.bce(out, y).backward()
    twins = dict(model.named_parameters())
    assert list(twins) == list(p)
    for name, tensor in p.items():
        assert tensor.grad.any() and tensor.grad.tobytes() == twins[name].grad.tobytes(), name


def test_the_networks_are_those_of_the_design(models, rng):
    for version, flat, weights in (("standard", 2048, 620_362), ("original", 86528, 22_247_242)):
        p = models.parameters(version, rng)
        assert sum(tensor.size for tensor in p.values()) == weights
        out = models.forward(p, ag.Tensor(rng.random((1, 32, 32, 3), np.float32)), version)
        assert p["dense1.w"].shape == (flat, 256) and out.shape == (1, 10)
        assert out.data.min() > 0 and out.data.max() < 1


@pytest.mark.cifar10
@pytest.mark.slow
def test_the_training_script_learns_from_real_images(run, tmp_path):
    if "CIFAR10_ROOT" not in os.environ:
        pytest.skip("needs the real images: CIFAR10_ROOT names their folder")
    options = ["--no-verify", "--images", 10_000, "--epochs", 1, "--out", "out"]
    run("train_cifar10.py", "cifar10", *options, AUTOGRAD_CNN_DATA=os.environ["CIFAR10_ROOT"])
    history = json.loads((tmp_path / "out" / "history.json").read_text())
    assert history["name"].startswith("CIFAR-10") and history["epochs"][-1]["validation_accuracy"] > 0.25
