"""Pictures of training: they name the data, show the numbers, and leave the user's matplotlib alone."""

import builtins
import math
import re
import sys

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.training import Epoch, History


def history(steps=120, epochs=3, validation=True, name="shapes (synthetic)"):
    passes = [
        Epoch(steps // epochs * i, 0.5 / i, 0.2 * i, *((0.6 / i, 0.25 * i) if validation else [math.nan] * 2), 1.0)
        for i in range(1, epochs + 1)
    ]
    return History(name, list(np.linspace(0.7, 0.1, steps)), passes)


def draw_loss(path):
    ag.plots.loss_curve(history(), path)


def draw_influence(path):
    ag.plots.influence(ag.nn.Flatten(), np.zeros((4, 4, 1), np.float32), path, "shapes (synthetic)")


DRAWN = {"loss": draw_loss, "influence": draw_influence}
each_picture = pytest.mark.parametrize("draw", DRAWN.values(), ids=DRAWN)


@pytest.fixture
def words(tmp_path):
    """The text in a picture."""
    from matplotlib import rc_context

    def read(draw):
        with rc_context({"svg.fonttype": "none"}):  # text as text, not as outlines
            draw(tmp_path / "words.svg")
        return re.findall(r"<text[^>]*>([^<]*)</text>", (tmp_path / "words.svg").read_text(encoding="utf-8"))

    return read


@each_picture
def test_the_title_names_the_images(draw, words):
    assert any("shapes (synthetic)" in text for text in words(draw))


FORMATS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF", "PNG": b"\x89PNG"}
SAVED = [
    (name, suffix)
    if name == "influence" or suffix in ("png", "svg")
    else pytest.param(name, suffix, marks=pytest.mark.slow)
    for name in DRAWN
    for suffix in FORMATS
]


@pytest.mark.parametrize(("name", "suffix"), SAVED)
def test_the_suffix_chooses_the_format_and_the_same_numbers_give_the_same_bytes(tmp_path, name, suffix):
    paths = [tmp_path / f"{again} b ü.{suffix}" for again in ("a", "again")]
    for path in paths:
        DRAWN[name](path)
    assert paths[0].read_bytes().startswith(FORMATS[suffix])
    assert sorted(tmp_path.iterdir()) == paths  # nothing is left beside them
    assert paths[0].read_bytes() == paths[1].read_bytes()


@each_picture
def test_another_suffix_is_refused_before_anything_is_written(draw, tmp_path):
    with pytest.raises(ValueError, match="Format .xyz. is not supported"):
        draw(tmp_path / "a.xyz")
    assert not list(tmp_path.iterdir())


def test_the_users_matplotlib_is_left_alone(python, tmp_path):
    assert (
        python(f"""
import sys
import autograd_cnn as ag
assert "matplotlib" not in sys.modules
ag.plots
assert "matplotlib" not in sys.modules, "not before a picture is drawn"
import matplotlib
before = list(dict.items(matplotlib.rcParams))  # a look-up of the backend would import pyplot
ag.plots.loss_curve(ag.training.History("", [0.5, 0.4]), {str(tmp_path / "a.svg")!r})
assert list(dict.items(matplotlib.rcParams)) == before and "matplotlib.pyplot" not in sys.modules
print("well")
""")
        == "well\n"
    )


@each_picture
def test_without_matplotlib_the_message_names_the_cure(draw, tmp_path, monkeypatch):
    load = builtins.__import__

    def without(name, *rest, **options):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return load(name, *rest, **options)

    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r"autograd_cnn\.plots needs matplotlib .* pip install matplotlib$"):
        draw(tmp_path / "a.png")


@pytest.mark.parametrize(("validation", "legend"), [(True, ["validation", "validation"]), (False, [])])
def test_the_loss_curve_shows_validation_if_there_is_any(words, validation, legend):
    texts = words(lambda path: ag.plots.loss_curve(history(validation=validation), path))
    assert [text for text in texts if text == "validation"] == legend
    assert {"each step", "mean of 2 steps", "loss", "accuracy, %"} <= set(texts)
    assert any(text.startswith("training") for text in texts)


def test_the_loss_curve_of_a_regression_has_one_panel(words):
    plain = history()
    for epoch in plain.epochs:
        epoch.accuracy = epoch.validation_accuracy = math.nan
    texts = words(lambda path: ag.plots.loss_curve(plain, path))
    assert "accuracy, %" not in texts and texts.count("validation") == 1


def test_the_title_says_why_a_run_ended_early(words):
    stopped = History("shapes (synthetic)", [0.5], [], "interrupted at step 1")
    assert "Training on shapes (synthetic), interrupted at step 1" in words(
        lambda path: ag.plots.loss_curve(stopped, path)
    )


@pytest.mark.parametrize(("least", "label"), [(0.1, "loss"), (0.06, "loss, log axis"), (0.0, "loss")])
def test_the_loss_curve_has_a_log_axis_if_losses_span_a_decade(words, least, label):
    run = History("shapes", list(np.linspace(0.7, least, 60)))
    assert label in words(lambda path: ag.plots.loss_curve(run, path))


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_names_are_text_and_no_formulas(tmp_path, suffix):
    """Dollars, an invalid formula among them, control characters, and letters that the font may not have."""
    for name in "$x_{$", "a\x1b[31m\nb", "$5 or $6 猫", "$\\frac{$ \x07":
        ag.plots.influence(ag.nn.Flatten(), np.zeros((4, 4, 3), np.float32), tmp_path / f"picture{suffix}", name)
        ag.plots.loss_curve(history(name=name), tmp_path / f"picture{suffix}")


def test_a_history_draws_itself(tmp_path):
    figure = ag.plots.loss_curve(history())
    assert [panel.get_xlabel() for panel in figure.axes] == ["step", "step"]
    ag.plots.loss_curve(history(), tmp_path / "same.png")
    figure.savefig(tmp_path / "own.png", metadata={"Software": None})
    assert (tmp_path / "own.png").read_bytes() == (tmp_path / "same.png").read_bytes()
    assert len(ag.plots.loss_curve(History("", [0.5])).axes) == 1
    assert len(ag.plots.loss_curve(History()).axes) == 1  # before the first step


def test_the_lines_have_the_numbers_of_the_history():
    run = history()
    losses, ends = np.array(run.losses), [epoch.step for epoch in run.epochs]
    wanted = [
        (range(1, 121), losses),
        (range(2, 121), (losses[:-1] + losses[1:]) / 2),  # a mean stands at its last step
        (ends, [epoch.validation_loss for epoch in run.epochs]),
        (ends, [100 * epoch.accuracy for epoch in run.epochs]),
        (ends, [100 * epoch.validation_accuracy for epoch in run.epochs]),
    ]
    lines = [line for panel in ag.plots.loss_curve(run).axes for line in panel.lines]
    for line, numbers in zip(lines, wanted, strict=True):
        np.testing.assert_allclose(line.get_data(), numbers)


@pytest.mark.parametrize(("model", "shape", "message"), [
    (ag.nn.Flatten(), (4, 4), r"image \(4, 4\), want \(H, W, C\)\. Of one channel: image\[\.\.\., None\]"),
    (lambda x: x.sum(axis=(1, 2, 3)), (4, 4, 1), r"\(1,\) for one image, want \(1, K\)\..*lambda x: model\(x\)\["),
    (lambda x: x.sum(), (4, 4, 1), r"returned \(\) for one image"),
])  # fmt: skip
def test_influence_names_axes_that_it_cannot_use(tmp_path, model, shape, message):
    with pytest.raises(ValueError, match=f"^influence: .*{message}"):
        ag.plots.influence(model, np.zeros(shape, np.float32), tmp_path / "a.png", "")
