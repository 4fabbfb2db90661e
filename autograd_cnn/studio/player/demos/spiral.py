"""A network of two layers learns two spirals.

Every number of a forward and a backward pass is there, and a picture: the points are coloured by their class, and the
background by what the network answers there, white where it is undecided.
"""

import numpy as np

import autograd_cnn as ag

SIDE, REACH = 100, 1.25  # pixels of the picture, and where its edges are
BLUE, WHITE, VERMILION = np.array([[0, 90, 160], [255, 255, 255], [213, 94, 0]])

rng = np.random.default_rng(0)
y = np.arange(120) % 2
turn = np.sqrt(rng.uniform(0.03, 1, 120))
angle = 7 * turn + np.pi * y
x = np.stack([turn * np.cos(angle), turn * np.sin(angle)], axis=1) + 0.02 * rng.standard_normal((120, 2))

w1 = ag.Tensor(2.5 * rng.standard_normal((2, 32)), requires_grad=True, name="w1")
b1 = ag.Tensor(rng.standard_normal(32), requires_grad=True, name="b1")
w2 = ag.Tensor(0.3 * rng.standard_normal((32, 2)), requires_grad=True, name="w2")
b2 = ag.Tensor(np.zeros(2), requires_grad=True, name="b2")
optimiser = ag.optim.Adam([w1, b1, w2, b2], lr=0.001)


def scores(x):
    h = ag.tanh(ag.linear(x, w1, b1))
    return ag.linear(h, w2, b2)


def loss_of(x, y):
    z = scores(x)
    return ag.cross_entropy(z, y)


def step():
    optimiser.zero_grad()
    loss = loss_of(x, y)
    loss.backward()
    optimiser.step()
    return loss


def picture():
    """The points, on what the network answers at each place; white where it is undecided."""
    line = np.linspace(-REACH, REACH, SIDE)
    places = np.stack(np.meshgrid(line, -line), axis=-1).reshape(-1, 2)
    with ag.no_grad():
        share = ag.softmax(scores(places)).data[:, 1].reshape(SIDE, SIDE, 1)
    image = WHITE + abs(1.2 * share - 0.6) * (np.where(share < 0.5, BLUE, VERMILION) - WHITE)
    columns, rows = np.rint((x * [1, -1] + REACH) / (2 * REACH) * (SIDE - 1)).astype(int).T
    for across, down in np.ndindex(3, 3):
        image[rows + down - 1, columns + across - 1] = np.where(y[:, None], VERMILION, BLUE)
    return image.astype(np.uint8)


if __name__ == "__main__":
    start, images, frames = ag.trace(loss_of, x, y), [picture()], []
    for k in range(1, 3001):
        step()
        if k in (100, 600, 3000):
            frames.append((f"after {k} steps", ag.trace(loss_of, x, y)))
            images.append(picture())
    start.show(frames, images)
