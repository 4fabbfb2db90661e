"""Random networks, here and in PyTorch: saved weights give the same outputs there, or are refused.

A step is a pair of functions of the activation and of the weights. It makes images (H, W, C), or features (F,).
"""

from collections import Counter

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn


def scaled(rng):
    return [(lambda w: w, lambda w: w), (lambda w: w * 0.5, lambda w: w * 0.5), (ag.tanh, lambda w: w.tanh())][
        rng.integers(3)
    ]


class Plan:
    """The steps of one network, and the shapes of its weights."""

    def __init__(self, rng):
        self.rng, self.steps, self.shapes = rng, [], {}
        self.kind = self.start = tuple(int(n) for n in rng.integers(2, 5, 3))
        for _ in range(rng.integers(2, 7)):
            options = self.of_images() if len(self.kind) == 3 else self.of_features()
            options[rng.integers(len(options))]()
        if len(self.kind) == 3:
            self.flatten()
        self.dense(2)

    def add(self, here, there, kind=None):
        self.steps.append((here, there))
        self.kind = self.kind if kind is None else kind

    def weight(self, *shape):
        name = f"p{len(self.shapes)}"
        self.shapes[name] = shape
        ours, theirs = scaled(self.rng)
        return (lambda m: ours(getattr(m, name))), (lambda m: theirs(m[name]))

    def flatten(self):
        self.add(lambda x, m: ag.flatten(x, 1), lambda x, m: x.flatten(1), (int(np.prod(self.kind)),))

    def dense(self, outputs=None):
        import torch

        n = outputs or int(self.rng.integers(1, 9))
        w, v = self.weight(*self.kind, n)
        linear = torch.nn.functional.linear
        self.add(lambda x, m: ag.linear(x, w(m)), lambda x, m: linear(x, v(m)), (n,))

    def of_images(self):
        import torch

        f, (h, w, c) = torch.nn.functional, self.kind

        def convolution():
            n = int(self.rng.integers(1, 5))
            k, t = self.weight(3, 3, c, n)
            self.add(lambda x, m: ag.conv2d(x, k(m), padding=1), lambda x, m: f.conv2d(x, t(m), padding=1), (h, w, n))

        def pixels():
            k, t = self.weight(c, c)
            self.add(lambda x, m: x + ag.linear(x, k(m)),
                     lambda x, m: x + f.linear(x.movedim(1, -1), t(m)).movedim(-1, 1))  # fmt: skip

        def whole_map():
            k, t = self.weight(h, w, c)
            self.add(lambda x, m: x * k(m), lambda x, m: x * t(m))

        def channels():
            k, t = self.weight(c)
            self.add(lambda x, m: x * k(m), lambda x, m: x * t(m)[:, None, None])

        def pool():
            if min(h, w) > 1:
                self.add(lambda x, m: ag.max_pool2d(x, 2, 1), lambda x, m: f.max_pool2d(x, 2, 1), (h - 1, w - 1, c))

        return [
            convolution, convolution, pixels, whole_map, channels, pool, self.flatten,
            lambda: self.add(lambda x, m: ag.softmax(x, -1), lambda x, m: x.softmax(1)),
            lambda: self.add(lambda x, m: x.mean((1, 2)), lambda x, m: x.mean((2, 3)), (c,)),
            lambda: self.add(lambda x, m: ag.flatten(x.max(-1), 1), lambda x, m: x.amax(1).flatten(1), (h * w,)),
            lambda: self.add(lambda x, m: ag.flatten(x.mean(1), 1), lambda x, m: x.mean(2).flatten(1), (w * c,)),
            lambda: self.add(lambda x, m: ag.moveaxis(x, -1, 1).reshape(2, -1), lambda x, m: x.flatten(1),
                             (h * w * c,)),
        ]  # fmt: skip

    def of_features(self):
        import torch

        (n,) = self.kind

        def product():
            size = int(self.rng.integers(1, 9))
            k, t = self.weight(n, size)
            self.add(lambda x, m: x @ k(m), lambda x, m: x @ t(m), (size,))

        def transposed():
            size = int(self.rng.integers(1, 9))
            k, t = self.weight(size, n)
            self.add(lambda x, m: x @ k(m).T, lambda x, m: x @ t(m).T, (size,))

        def scale():
            k, t = self.weight(n)
            self.add(lambda x, m: x * k(m), lambda x, m: x * t(m))

        def to_images():
            h, w = self.rng.integers(1, 4, 2)
            if n % (h * w) == 0:
                c = n // (h * w)
                self.add(lambda x, m: x.reshape((2, c, h, w)).transpose(0, 2, 3, 1),
                         lambda x, m: x.reshape(2, c, h, w), (int(h), int(w), int(c)))  # fmt: skip

        def joined():
            self.add(lambda x, m: ag.concatenate([x, -x], 1), lambda x, m: torch.cat([x, -x], 1), (2 * n,))

        def cut():
            if n > 1:
                self.add(lambda x, m: x[:, 1:], lambda x, m: x[:, 1:], (n - 1,))

        return [self.dense, self.dense, product, transposed, scale, to_images, joined, cut]


class Net(nn.Module):
    def __init__(self, plan):
        self.steps = tuple(here for here, _ in plan.steps)
        for name, shape in plan.shapes.items():
            setattr(self, name, ag.Tensor(plan.rng.normal(0, 0.7, shape).astype("f"), requires_grad=True))

    def forward(self, x):
        for step in self.steps:
            x = step(x, self)
        return x


@pytest.mark.parametrize("count", [30, pytest.param(1000, marks=pytest.mark.slow)])
def test_random_networks_are_the_same_in_pytorch_or_refused(tmp_path, count):
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    counts = Counter()
    for seed in range(count):
        plan = Plan(np.random.default_rng(seed))
        model, x = Net(plan), plan.rng.normal(size=(2, *plan.start)).astype("f")
        try:
            ag.interop.save_weights(tmp_path / "w", model, layout="torch", example=x)
        except ValueError as error:
            assert "to PyTorch's layout" in str(error)
            counts["refused"] += 1
            continue
        got, weights = torch.from_numpy(x).movedim(-1, 1), load_file(tmp_path / "w")
        for _, there in plan.steps:
            got = there(got, weights)
        np.testing.assert_allclose(got.numpy(), model(x).data, rtol=1e-3, atol=1e-4, err_msg=f"seed {seed}")
        counts["the same"] += 1
    assert counts["the same"] > 0.6 * count
