"""A convolutional network sees four drawn shapes, before and after 20 steps of training.

Point at a pixel: its window lights up, with the products whose sum it is; on the way back, the pixels that it served.
"""

import numpy as np

import autograd_cnn as ag

rng = np.random.default_rng(0)


def parameters():
    shapes = {
        "conv1": (3, 3, 3, 32), "conv2": (3, 3, 32, 64), "conv3": (3, 3, 64, 128), "dense1": (2048, 256),
        "dense2": (256, 10),
    }  # fmt: skip
    p = {}
    for layer, shape in shapes.items():
        p[f"{layer}.w"] = ag.nn.he_normal(shape, rng, np.float32)
        p[f"{layer}.b"] = np.zeros(shape[-1], np.float32)
    return {name: ag.Tensor(array, requires_grad=True, name=name) for name, array in p.items()}


def loss_of(p, x, y):
    # x: 4 pictures, each of one of 10 shapes; y: 1 for the shape that it is, 0 for the other nine
    h1 = ag.conv2d(x, p["conv1.w"], p["conv1.b"], padding=1)
    m1 = ag.max_pool2d(ag.relu(h1), 2)
    h2 = ag.conv2d(m1, p["conv2.w"], p["conv2.b"], padding=1)
    m2 = ag.max_pool2d(ag.relu(h2), 2)
    h3 = ag.conv2d(m2, p["conv3.w"], p["conv3.b"], padding=1)
    m3 = ag.max_pool2d(ag.relu(h3), 2)
    u = ag.linear(ag.flatten(m3, 1), p["dense1.w"], p["dense1.b"])
    z = ag.linear(ag.relu(u), p["dense2.w"], p["dense2.b"])
    q = ag.sigmoid(z)  # for each of the 10 shapes, how sure the network is of it
    return ag.bce(q, y)


if __name__ == "__main__":
    data = ag.data.load_shapes(train=320, test=1)
    x, y = ag.data.as_float32(data.train_images), np.eye(10, dtype=np.float32)[data.train_labels]
    p = parameters()
    few = p, x[:4], y[:4]
    before = ag.trace(loss_of, *few)
    optimiser = ag.optim.Adam(p.values(), lr=1e-3)
    for start in range(0, 320, 16):
        optimiser.zero_grad()
        loss_of(p, x[start : start + 16], y[start : start + 16]).backward()
        optimiser.step()
    before.show([("after 20 steps", ag.trace(loss_of, *few))], classes=data.classes)
