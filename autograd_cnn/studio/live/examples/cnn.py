# Train a small CNN on drawn images
import numpy as np

import autograd_cnn as ag

rng = np.random.default_rng(0)
x, y = 0.5 * rng.standard_normal((16, 8, 8, 1)), np.arange(16) % 2  # 16 noisy images of 8 x 8 pixels, NHWC
x[::2, 1:7, 3:5] += 1  # even ones: a cross
x[::2, 3:5, 1:7] += 1
x[1::2, 1:7, 1:7] += 1  # odd ones: a frame
x[1::2, 2:6, 2:6] -= 1

w = ag.Tensor(0.3 * rng.standard_normal((3, 3, 1, 4)), requires_grad=True, name="w")
v = ag.Tensor(0.1 * rng.standard_normal((64, 2)), requires_grad=True, name="v")
optimiser = ag.optim.SGD([w, v], lr=0.003)


def loss_of(x, y):
    h = ag.max_pool2d(ag.relu(ag.conv2d(x, w, padding=1)), 2)
    z = ag.flatten(h, 1) @ v
    return ag.cross_entropy(z, y)


def step():  # the page runs it again and again
    optimiser.zero_grad()
    loss = loss_of(x, y)
    loss.backward()
    optimiser.step()
    return loss


def draw(x=x[:1]):  # after a pause: a pointer draws on x, and the page runs it again
    return ag.trace(loss_of, x, y[:1]).page(classes=["cross", "frame"])


def picture():
    """The four filters: blue is negative, white 0, vermilion positive."""
    cells = np.zeros((7, 7, 1))
    for k in range(4):
        row, column = 4 * (k // 2), 4 * (k % 2)
        cells[row : row + 3, column : column + 3] = w.data[..., k]
    shade = np.where(cells < 0, [255, 165, 95], [42, 161, 255]) * abs(cells)
    return np.kron(255 - np.clip(shade, 0, 255), np.ones((20, 20, 1))).astype(np.uint8)
