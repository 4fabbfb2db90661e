"""Callbacks of `fit`: early stopping, and keeping the best weights."""

import numpy as np
import pytest
import safetensors.numpy

from autograd_cnn import nn
from autograd_cnn.training import Epoch, History, early_stop, keep_best
from training.runs import line, points, train


def history(*losses, validated=True):
    nan = float("nan")
    return History(
        "", [], [Epoch(i, 1 - i / 100, nan, x if validated else nan, nan, 0.0) for i, x in enumerate(losses)]
    )


@pytest.mark.parametrize(
    ("losses", "ends"),
    [
        ((3,), False),
        ((3, 2, 1), False),
        ((1, 2), False),
        ((1, 2, 3), True),
        ((2, 1, 2, 1.5), True),
        ((1, np.nan, 3), True),
    ],
)
def test_it_ends_after_passes_without_improvement(losses, ends):
    assert early_stop(2)(history(*losses)) == ends


def test_without_validation_the_training_loss_counts():
    assert not early_stop(1)(history(1, 2, 3, validated=False))


def test_fit_calls_them_after_each_pass_until_one_ends_the_run():
    x, y = points()
    calls = []
    history = train(
        *line()[1:], x, y, epochs=9, callbacks=[lambda h: len(h.epochs) == 3, lambda h: calls.append(h.best)]
    )
    assert len(history.epochs) == len(calls) == 3
    assert history.ended == "early stop"


def test_the_best_weights_are_kept(tmp_path, rng):
    model, path = nn.Linear(2, 2, rng=rng), tmp_path / "best.safetensors"
    save, saved = keep_best(path, model), []
    for losses in ((3,), (3, 2), (3, 2, 5), (3, 2, 5, 1.5), (3, 2, 5, 1.5, 4)):
        model.w.data = np.full((2, 2), losses[-1], np.float32)
        save(history(*losses))
        saved.append(safetensors.numpy.load_file(path)["w"][0, 0])
    assert saved == [3, 2, 2, 1.5, 1.5]
