"""A History in a notebook: a short table and a curve."""

import numpy as np
import pytest

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
