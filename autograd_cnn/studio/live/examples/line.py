# Train a line through points
import numpy as np

import autograd_cnn as ag

rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, 12)
y = 0.7 * x + 0.2 + 0.1 * rng.standard_normal(12)
w = ag.Tensor(-0.5, requires_grad=True, name="w")
b = ag.Tensor(0.0, requires_grad=True, name="b")
optimiser = ag.optim.SGD([w, b], lr=0.003)


def step():  # the page runs it again and again
    optimiser.zero_grad()
    loss = ag.mse(w * x + b, y)
    loss.backward()
    optimiser.step()
    return loss


def picture():
    """The points, and the line of w and b, from -1 to 1."""
    image = np.full((160, 160, 3), 255, np.uint8)
    across = np.linspace(-1, 1, 160)
    for places, heights, size, colour in [(across, w.data * across + b.data, 1, (0, 90, 160)), (x, y, 3, (213, 94, 0))]:
        for place, height in zip(places, heights, strict=True):
            column, row = round(79.5 * (1 + place)), round(79.5 * (1 - height))
            image[max(row - size, 0) : max(row + size, 0), max(column - size, 0) : column + size] = colour
    return image
