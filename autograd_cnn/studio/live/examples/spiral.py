# A two-layer network separates two spirals
import numpy as np

import autograd_cnn as ag

rng = np.random.default_rng(0)
turn = rng.uniform(0.3, 1, 60)
y = np.arange(60) % 2
angle = 5 * turn + np.pi * y
x = np.stack([turn * np.cos(angle), turn * np.sin(angle)], axis=1)

w = ag.Tensor(3 * rng.standard_normal((2, 16)), requires_grad=True, name="w")
b = ag.Tensor(rng.standard_normal(16), requires_grad=True, name="b")
v = ag.Tensor(0.3 * rng.standard_normal((16, 2)), requires_grad=True, name="v")


def loss_of(x, y):
    h = ag.tanh(ag.linear(x, w, b))
    return ag.cross_entropy(h @ v, y)


before = ag.trace(loss_of, x, y)
optimiser = ag.optim.Adam([w, b, v], lr=0.03)
for step in range(1, 201):
    optimiser.zero_grad()
    loss = loss_of(x, y)
    loss.backward()
    optimiser.step()
    if step % 50 == 0:
        print(f"step {step}: loss {loss.item():.3f}")

before.page([("after 200 steps", ag.trace(loss_of, x, y))])
