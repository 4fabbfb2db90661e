"""
A first network
===============

Forward code as in NumPy, ``backward``, a falling loss. The picture is the graph, drawn as a ladder: forward is read
down, backward up, and between them stands what is kept in memory.
"""

import numpy as np

import autograd_cnn as ag

rng = np.random.default_rng(0)
x, y = rng.standard_normal((64, 8, 8, 1)), np.arange(64) % 2  # noise ...
x[y == 1, 2:6, 2:6] += 1  # ... with a bright square, or without
w = ag.Tensor(0.1 * rng.standard_normal((3, 3, 1, 4)), requires_grad=True, name="w")
v = ag.Tensor(0.1 * rng.standard_normal((4, 2)), requires_grad=True, name="v")

for step in range(101):
    h = ag.relu(ag.conv2d(x, w, padding=1)).mean(axis=(1, 2))
    loss = ag.cross_entropy(ag.linear(h, v), y)
    w.grad = v.grad = None
    loss.backward()
    for p in (w, v):
        p.data -= 1.0 * p.grad
    if step % 20 == 0:
        print(f"step {step:3}: loss {loss.item():.4f}")

loss.graph().save("graph.svg")
