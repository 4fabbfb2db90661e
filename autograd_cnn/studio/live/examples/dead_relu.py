# A dead relu
import numpy as np

import autograd_cnn as ag

x = np.random.default_rng(0).uniform(0.5, 2, size=(32, 2))
y = x[:, :1]
w = ag.Tensor([[0.5, -1.0], [0.3, -0.8]], requires_grad=True, name="w")
b = ag.Tensor([0.0, -1.0], requires_grad=True, name="b")
v = ag.Tensor([[1.0], [0.5]], requires_grad=True, name="v")


def loss_of(x, y):
    h = ag.relu(ag.linear(x, w, b))  # the second unit is below 0 for every row of x
    return ag.mse(h @ v, y)


loss_of(x, y).backward()
print("gradient of w:", w.grad, "of b:", b.grad, sep="\n")  # the second columns are 0: the unit stays dead
print("With b = [0, 4] it lives.")

ag.trace(loss_of, x, y)
