import numpy as np

import autograd_cnn as ag

x, y = np.array([0.0, 1.0, 2.0]), np.array([1.0, 3.0, 5.0])
w, b = (ag.Tensor(0.0, requires_grad=True, name=name) for name in "wb")


def step():
    w.grad = b.grad = None
    loss = ag.mse(w * x + b, y)
    loss.backward()
    w.data -= 0.1 * w.grad
    b.data -= 0.1 * b.grad
    return loss
