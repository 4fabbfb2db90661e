"""Small training runs, for the tests of the loop and of checkpoints."""

import signal

import numpy as np

import autograd_cnn as ag
from autograd_cnn.training import fit


def points(count=60):
    """Two classes, separated by a line."""
    x = np.random.default_rng(1).normal(size=(count, 2))
    return x, (x[:, 0] > x[:, 1]).astype(np.int64)


def line(optimiser=ag.optim.SGD, **options):
    w = ag.Tensor(np.zeros((2, 2)), requires_grad=True, name="w")
    return w, (lambda x: x @ w), optimiser([w], **{"lr": 1.0, **options})


def train(model, optimiser, x, y, **options):
    options = {"rng": np.random.default_rng(0), "progress": False, "batch_size": 20, **options}
    return fit(model, options.pop("loss", ag.cross_entropy), optimiser, x, y, **options)


def interrupting(step, times=1):
    calls = []

    def loss(outputs, labels):
        calls.append(1)
        if len(calls) == step:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return ag.cross_entropy(outputs, labels)

    return loss
