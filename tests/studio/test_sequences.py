"""Derived programs of layers for sequences."""

import numpy as np

import autograd_cnn as ag
from autograd_cnn import nn


def test_programs_of_sequences_have_the_gradients(rng):
    x = rng.normal(size=(2, 3, 4)).astype(np.float32)
    lstm, layer = nn.LSTM(4, 4), nn.TransformerEncoderLayer(4, 2, 5, dropout=0.0, activation=ag.silu)

    def loss(x):
        return (layer(lstm(x, lengths=[3, 1])[0], is_causal=True) ** 2).mean()

    value, gradients = ag.trace(loss, x).program().run()
    out = loss(x)
    out.backward()
    parameters = [*lstm.parameters(), *layer.parameters()]
    assert value == out.item() and len(gradients) == len(parameters)
    assert {p.grad.tobytes() for p in parameters} == {g.tobytes() for g in gradients.values()}
    assert "lstm" not in repr(nn.Sequential(lstm)) and "LSTM" in nn.Sequential(lstm).summary((2, 3, 4))
