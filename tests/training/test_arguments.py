"""Arguments out of range of `ag.data` and `ag.training`: a clear error, or an ordinary result."""

import numpy as np
import pytest

import autograd_cnn as ag
from arguments import complaints_of, title_of
from autograd_cnn import data, nn, training

X, Y = np.ones((6, 4), np.float32), np.arange(6) % 3
CALLS = [
    (data.batches, X, Y, 2), (data.split, X, Y, 0.5, np.random.default_rng(0)),
    (data.as_float32, np.ones((2, 4, 4, 3), np.uint8)), (data.load_shapes, 2, 2),
    (training.predict, nn.Linear(4, 3), X), (training.evaluate, nn.Linear(4, 3), ag.cross_entropy, X, Y),
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=[title_of(f) for f, *_ in CALLS])
def test_a_bad_argument_is_refused_by_a_clear_error(call):
    complaints = complaints_of(*call)
    assert not complaints, "\n".join(complaints)
