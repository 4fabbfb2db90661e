# A small CNN on drawn images
import numpy as np

import autograd_cnn as ag

x, y = np.zeros((2, 8, 8, 1)), np.array([0, 1])  # two images of 8 x 8 pixels, NHWC
x[0, 1:7, 3:5] = x[0, 3:5, 1:7] = 1  # a cross
x[1, 1:7, 1:7] = 1  # a frame
x[1, 2:6, 2:6] = 0

rng = np.random.default_rng(0)
w = ag.Tensor(0.3 * rng.standard_normal((3, 3, 1, 4)), requires_grad=True, name="w")
v = ag.Tensor(0.1 * rng.standard_normal((64, 2)), requires_grad=True, name="v")


def loss_of(x, y):
    h = ag.max_pool2d(ag.relu(ag.conv2d(x, w, padding=1)), 2)
    z = ag.flatten(h, 1) @ v
    return ag.cross_entropy(z, y)


optimiser = ag.optim.SGD([w, v], lr=0.1)
for step in range(5):
    optimiser.zero_grad()
    loss = loss_of(x, y)
    loss.backward()
    optimiser.step()
    print(f"step {step}: loss {loss.item():.3f}")

ag.trace(loss_of, x, y)
