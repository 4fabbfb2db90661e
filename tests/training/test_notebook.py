"""A History and the progress of a run in a notebook: a short table, a curve, one text below the cell."""

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn.training import Epoch, History


def history(epochs):
    passes = [Epoch(2 * i, 1 / i, 0.5, np.nan, np.nan, 1.0) for i in range(1, epochs + 1)]
    return History("digits", [1.0] * (2 * epochs), passes)


def test_a_history_is_a_short_table():
    assert repr(history(2)).splitlines() == [
        "History of digits: epochs 2, steps 4",
        "  epoch     loss  accuracy   time",
        "      1  1.00000     50.0%  1.0 s",
        "      2  0.50000     50.0%  1.0 s",
    ]
    assert len(repr(history(400)).splitlines()) == 14 and repr(history(400)).endswith("50.0%  1.0 s")


def test_a_notebook_shows_a_history_as_its_curve():
    pytest.importorskip("matplotlib")
    bundle = history(3)._repr_mimebundle_()
    assert bundle["image/png"].startswith(b"\x89PNG") and bundle["text/plain"] == repr(history(3))
    assert "image/png" not in History("nothing yet")._repr_mimebundle_()


def test_progress_is_one_text_below_the_cell(shown, capsys):
    w = ag.Tensor(np.zeros((2, 2)), requires_grad=True)
    x, y = np.eye(2), np.arange(2)
    sgd = ag.optim.SGD([w], lr=0.1)
    ag.training.fit(lambda x: x @ w, ag.cross_entropy, sgd, x, y, rng=None, epochs=20, batch_size=1, progress=True)
    (bundle,) = shown
    first, *lines, bar = bundle["text/plain"].splitlines()
    assert first == "... 8 lines" and lines[-1].startswith("epoch 20/20: loss ") and len(lines) == 12
    assert "40.0/40.0" in bar and "accuracy" in bar
    assert capsys.readouterr() == ("", "")
