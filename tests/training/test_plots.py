"""Pictures of training: they name the data, show the numbers, and leave the user's matplotlib alone."""

import builtins
import math
import re
import sys

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.training import Epoch, History

CLASSES = ("disc", "ring", "square")


def history(steps=120, epochs=3, validation=True, name="shapes (synthetic)"):
    each = steps // epochs
    return History(
        name,
        list(np.linspace(0.7, 0.1, steps)),
        [
            Epoch(
                each * i,
                0.5 / i,
                0.2 * i,
                0.6 / i if validation else math.nan,
                0.25 * i if validation else math.nan,
                1.0,
            )
            for i in range(1, epochs + 1)
        ],
    )


def draw_loss(path):
    ag.plots.loss_curve(history(), path)


def draw_predictions(path):
    images = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), np.uint8)
    outputs = np.eye(3)[np.arange(10) % 3]
    ag.plots.predictions(
        images, (np.arange(10) + (np.arange(10) == 9)) % 3, outputs, CLASSES, path, "shapes (synthetic)"
    )


def draw_confusion(path):
    ag.plots.confusion_matrix(np.array([[9, 1, 0], [0, 10, 0], [2, 0, 8]]), CLASSES, path, "shapes (synthetic)")


def draw_influence(path):
    ag.plots.influence(np.zeros((4, 4, 1), np.uint8), np.eye(4), path, "shapes (synthetic)")


DRAWN = {
    "loss": draw_loss, "predictions": draw_predictions, "confusion": draw_confusion, "influence": draw_influence,
}  # fmt: skip
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
    if name == "confusion" or suffix in ("png", "svg")
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
    with pytest.raises(ValueError, match=r"a\.gif: a picture is saved as \.png, \.svg, \.pdf"):
        draw(tmp_path / "a.gif")
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


def test_a_run_without_steps_is_drawn(tmp_path):
    ag.plots.loss_curve(History("nothing"), tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_right_and_wrong_predictions_are_marked(words):
    texts = words(draw_predictions)
    assert "shapes (synthetic): 1 of 10 wrong, the surest first" in texts
    assert [texts.count(text) for text in ("disc 100% ✓", "disc 100% ✗", "is ring")] == [3, 1, 1]


def test_the_surest_mistakes_come_first_and_then_the_least_sure_hits(words):
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4], [0.05, 0.95]])
    labels = np.array([1, 0, 1, 0, 1])  # wrong, wrong, wrong, right, right

    def drawn(count):
        def draw(path):
            ag.plots.predictions(np.zeros((5, 4, 4, 3)), labels, probabilities, "ab", path, "noise", count=count)

        return [text for text in words(draw) if "%" in text]

    assert drawn(2) == ["a 90% ✗", "b 80% ✗"]
    assert drawn(9) == ["a 90% ✗", "b 80% ✗", "a 70% ✗", "a 60% ✓", "b 95% ✓"]


@pytest.mark.parametrize("shape", [(3, 5, 5, 1), (3, 5, 5, 3)])
def test_grey_images_and_floats_are_drawn(tmp_path, shape):
    images = np.random.default_rng(0).random(shape, np.float32)
    ag.plots.predictions(images, np.arange(3), np.eye(3), CLASSES, tmp_path / "a.png", "noise")
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_predictions_need_as_many_labels_and_outputs_as_images():
    with pytest.raises(ValueError, match="predictions: 2 images, 3 labels, 3 rows of probabilities"):
        ag.plots.predictions(np.zeros((2, 4, 4, 3)), np.arange(3), np.eye(3), CLASSES, "a.png", "noise")


def test_the_confusion_matrix_counts(words):
    texts = words(draw_confusion)
    assert "shapes (synthetic): 90.0% of 30 images right" in texts
    assert sorted(text for text in texts if text.isdigit()) == ["1", "10", "2", "8", "9"]  # no zeros
    assert [texts.count(name) for name in CLASSES] == [2, 2, 2]
    below, beside = (text for text in texts if text.startswith("the "))  # an SVG has the axis of columns first
    assert (below, beside) == ("the network says", "the image shows")


def test_classes_without_images_are_drawn(tmp_path):
    ag.plots.confusion_matrix(np.zeros((3, 3), int), CLASSES, tmp_path / "a.png", "nothing")
    assert (tmp_path / "a.png").stat().st_size > 1000


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_names_are_text_and_no_formulas(tmp_path, suffix):
    """Dollars, an invalid formula among them, control characters, and letters that the font may not have."""
    names = ("$x_{$", "a\x1b[31m\nb", "$5 or $6 猫")
    images = np.zeros((3, 4, 4, 3), np.uint8)
    path = tmp_path / f"picture{suffix}"
    ag.plots.predictions(images, np.array([1, 2, 0]), np.eye(3), names, path, "$\\frac{$ \x07")
    ag.plots.confusion_matrix(np.eye(3, dtype=int), names, path, "$\\frac{$ \x07")
    ag.plots.loss_curve(history(name="$\\frac{$ \x07"), path)


def test_a_history_draws_itself(tmp_path):
    figure = history().plot()
    assert [panel.get_xlabel() for panel in figure.axes] == ["step", "step"]
    ag.plots.loss_curve(history(), tmp_path / "same.png")
    figure.savefig(tmp_path / "own.png", metadata={"Software": None})
    assert (tmp_path / "own.png").read_bytes() == (tmp_path / "same.png").read_bytes()
    assert len(History("", [0.5]).plot().axes) == 1
    assert len(History().plot().axes) == 1  # before the first step


def test_without_matplotlib_a_history_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"needs matplotlib .* install"):
        history().plot()
