"""A network of two layers learns which of two spirals a point is on, as you move the slider of the training.

Each moment has every number of a forward and a backward pass, and a picture: the points are coloured by their class,
and the background by what the network answers there, white where it is undecided.
"""

from pathlib import Path

import numpy as np

import autograd_cnn as ag

SIDE, REACH = 200, 1.25  # pixels of the picture, and where its edges are
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


def scores(x):
    h = ag.tanh(ag.linear(x, w1, b1))
    return ag.linear(h, w2, b2)


def loss_of(x, y):
    z = scores(x)
    return ag.cross_entropy(z, y)


def picture():
    """The points, on the class that the network gives to each pixel: (SIDE, SIDE, 3) uint8, blue or vermilion."""
    line = np.linspace(-REACH, REACH, SIDE)
    places = np.stack(np.meshgrid(line, -line), axis=-1).reshape(-1, 2)
    with ag.no_grad():
        share = ag.softmax(scores(places)).data[:, 1].reshape(SIDE, SIDE, 1)
    sure = 0.6 * np.floor(np.abs(2 * share - 1) * 4.99) / 4  # in five shades
    image = WHITE + sure * (np.where(share < 0.5, BLUE, VERMILION) - WHITE)
    for (across, up), label in zip(x, y, strict=True):
        column, row = (round((v + REACH) / (2 * REACH) * (SIDE - 1)) for v in (across, -up))
        image[row - 3 : row + 4, column - 3 : column + 4] = 255
        image[row - 2 : row + 3, column - 2 : column + 3] = (BLUE, VERMILION)[label]
    return image.astype(np.uint8)


if __name__ == "__main__":
    frames, images = [("at the start", ag.trace(loss_of, x, y))], [picture()]
    optimiser = ag.optim.Adam([w1, b1, w2, b2], lr=0.02)
    for step in range(1, 601):
        optimiser.zero_grad()
        loss_of(x, y).backward()
        optimiser.step()
        if step in (30, 150, 600):
            frames.append((f"after {step} steps", ag.trace(loss_of, x, y)))
            images.append(picture())
    text = frames[0][1].page(frames[1:], images=images)
    Path(__file__).with_suffix(".html").write_text(text, encoding="utf-8")
