"""A History and its file."""

import json
import math
from dataclasses import asdict

import pytest

from autograd_cnn.arrayfile import read_json, write_json
from autograd_cnn.training import Epoch, History


def example():
    first = Epoch(2, 0.1, 0.5, math.nan, math.nan, 1.25, 0.01, {"naïve.w": 0.3, "b": math.inf}, {"relu": 0.5})
    return History(
        "naïve", [0.1, 1 / 3, math.inf], [first, Epoch(3, 1 / 3, 1.0, 0.2, 0.75, 1.0, part=0.5)], "time limit", 9,
    )  # fmt: skip


def test_a_history_is_read_back_from_its_file(tmp_path):
    write_json(tmp_path / "h.json", asdict(example()))
    assert repr(asdict(History.from_record(read_json(tmp_path / "h.json")))) == repr(asdict(example()))
    assert json.loads((tmp_path / "h.json").read_text(encoding="utf-8"))["epochs"][0]["validation_loss"] == "nan"


@pytest.mark.parametrize(("ended", "best"), [("", 1), ("time limit", 0)])
def test_a_pass_that_was_cut_short_is_the_best_only_at_the_planned_end(ended, best):
    epochs = [Epoch(2, 0.3, 0.5, 0.4, 0.5, 1.0), Epoch(3, 0.2, 0.5, 0.3, 0.5, 1.0, part=0.5)]
    assert History("", [], epochs, ended).best == best
    assert History("", [], epochs[1:], ended).best == 0


@pytest.mark.parametrize(
    ("losses", "count"),
    [((3,), 0), ((3, 2, 1), 0), ((1, 2), 1), ((1, 2, 3), 2), ((2, 1, 2, 1.5), 2), ((1, math.nan, 3), 2)],
)
def test_passes_since_the_best_are_counted_by_validation_or_else_by_training(losses, count):
    epochs = [Epoch(i, -i, math.nan, loss, math.nan, 0.0) for i, loss in enumerate(losses)]
    assert History("", [], epochs).since_best == count
    for epoch in epochs:
        epoch.loss, epoch.validation_loss = epoch.validation_loss, math.nan
    assert History("", [], epochs).since_best == count


def test_a_notebook_shows_a_history_as_its_curve():
    pytest.importorskip("matplotlib")
    assert example()._repr_png_().startswith(b"\x89PNG") and History("nothing yet")._repr_png_() is None


def test_a_name_cannot_steer_a_terminal():
    assert repr(History("a\x1b[2J\nb")) == "History of a\\x1b[2J\\nb: epochs 0, steps 0"
