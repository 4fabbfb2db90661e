"""Trains a small network to separate two spirals; writes mlp.html beside this file."""

from pathlib import Path

import numpy as np

import autograd_cnn as ag

rng = np.random.default_rng(0)
turn = rng.uniform(0.3, 1, 60)
y = np.arange(60) % 2
angle = 6 * turn + np.pi * y
x = np.stack([turn * np.cos(angle), turn * np.sin(angle)], axis=1)

w1 = ag.Tensor(2 * rng.standard_normal((2, 16)), requires_grad=True, name="w1")
b1 = ag.Tensor(rng.standard_normal(16), requires_grad=True, name="b1")
w2 = ag.Tensor(0.3 * rng.standard_normal((16, 16)), requires_grad=True, name="w2")
w3 = ag.Tensor(0.3 * rng.standard_normal((16, 2)), requires_grad=True, name="w3")


def loss_of(x, y):
    h = ag.tanh(ag.linear(x, w1, b1))
    r = h + ag.tanh(h @ w2)
    z = r @ w3
    return ag.cross_entropy(z, y)


if __name__ == "__main__":
    graphs = [("at the start", ag.trace(loss_of, x, y))]
    optimiser = ag.optim.Adam([w1, b1, w2, w3], lr=0.03)
    for step in range(1, 301):
        optimiser.zero_grad()
        loss_of(x, y).backward()
        optimiser.step()
        if step in (30, 100, 300):
            graphs.append((f"after {step} steps", ag.trace(loss_of, x, y)))
    Path(__file__).with_suffix(".html").write_text(graphs[0][1].page(graphs[1:]), encoding="utf-8")
