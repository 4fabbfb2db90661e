# Train a network of two layers on two spirals
import numpy as np

import autograd_cnn as ag

rng = np.random.default_rng(0)
turn = rng.uniform(0.2, 1, 120)
y = np.arange(120) % 2
angle = 7 * turn + np.pi * y
x = np.stack([turn * np.cos(angle), turn * np.sin(angle)], axis=1)

w = ag.Tensor(3 * rng.standard_normal((2, 32)), requires_grad=True, name="w")
b = ag.Tensor(rng.standard_normal(32), requires_grad=True, name="b")
v = ag.Tensor(0.3 * rng.standard_normal((32, 2)), requires_grad=True, name="v")
optimiser = ag.optim.Adam([w, b, v], lr=0.01)


def scores(x):
    h = ag.tanh(ag.linear(x, w, b))
    return h @ v


def step():  # the page runs it again and again
    optimiser.zero_grad()
    loss = ag.cross_entropy(scores(x), y)
    loss.backward()
    optimiser.step()
    return loss


SIDE, REACH = 100, 1.25  # pixels of the picture, and where its edges are
BLUE, WHITE, VERMILION = np.array([[0, 90, 160], [255, 255, 255], [213, 94, 0]])


def picture():  # the points, on the class that the network gives to each place; the page shows it as it trains
    line = np.linspace(-REACH, REACH, SIDE)
    places = np.stack(np.meshgrid(line, -line), axis=-1).reshape(-1, 2)
    with ag.no_grad():
        share = ag.softmax(scores(places)).data[:, 1].reshape(SIDE, SIDE, 1)
    image = WHITE + abs(1.2 * share - 0.6) * (np.where(share < 0.5, BLUE, VERMILION) - WHITE)
    columns, rows = np.rint((x * [1, -1] + REACH) / (2 * REACH) * (SIDE - 1)).astype(int).T
    for across, down in np.ndindex(3, 3):
        image[rows + down - 1, columns + across - 1] = np.where(y[:, None], VERMILION, BLUE)
    return image.astype(np.uint8)
