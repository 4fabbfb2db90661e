"""Random networks, here and in PyTorch: saved weights give the same outputs there, or are refused.

PyTorch has images (N, C, H, W) or (N, H, W, C), and sequences (N, C, L) or (N, L, C), as the last step left them:
whichever way it is, the weights are right or refused.
"""

from collections import Counter
from math import prod

import numpy as np
import pytest

import autograd_cnn as ag
from autograd_cnn import nn


class Plan:
    """Random steps, and the shapes of their weights. `first` says that PyTorch has the channels first, not last."""

    def __init__(self, rng):
        self.rng, self.steps, self.shapes = rng, [], {}
        self.kind = self.start = tuple(int(n) for n in rng.integers(2, 5, rng.choice([3, 3, 3, 2, 1])))
        self.first = len(self.kind) == 3
        for _ in range(rng.integers(2, 7)):
            self.add(*self.pick(self.options()))
        if len(self.kind) > 1:
            self.add(*self.pick([self.options()[0], self.flat()]))
        if len(self.kind) == 1:
            self.add(*self.dense(2))

    def pick(self, options):
        return options[self.rng.integers(len(options))]

    def add(self, here, there, kind=None, first=None, shapes=(), after=None, convolved=False):
        """Add a step: functions of the activation and of weights of these shapes, and the shape of one result.

        PyTorch needs the channels first for it, or last, or as they are, None, and so it has them afterwards.
        """
        if first not in (None, self.first) and len(self.kind) > 1:
            self.steps.append(
                (lambda x: x, (lambda x: x.movedim(-1, 1)) if first else (lambda x: x.movedim(1, -1)), [])
            )
            self.first = first
        names = [f"p{len(self.shapes) + k}" for k in range(len(shapes))]
        self.shapes |= dict(zip(names, shapes, strict=True))
        self.steps.append((here, there, names))
        self.kind = self.kind if kind is None else kind
        self.first = self.first if after is None else after
        if convolved:
            self.add(*self.options()[0])

    def dense(self, outputs=None):
        from torch.nn.functional import linear

        n = outputs or int(self.rng.integers(1, 9))
        return ag.linear, linear, (*self.kind[:-1], n), False, [(self.kind[-1], n)]

    def flat(self):
        return lambda x: ag.flatten(x, 1), lambda x: x.flatten(1), (prod(self.kind),)

    def mean(self, *axes):
        there = tuple(a % len(self.kind) + 1 if self.first else a for a in axes)
        left = tuple(k for a, k in enumerate(self.kind, 1) if a not in axes)
        return (
            lambda x: x.mean(axes),
            lambda x: x.mean(there),
            left,
            None,
            (),
            False if len(self.kind) in axes else None,
        )

    def options(self):
        """Return the steps that may come next. The first of images, and of sequences, is a convolution."""
        import torch
        from torch.nn import functional as f

        n, c, first = len(self.kind), self.kind[-1], self.first and len(self.kind) > 1
        axis, broadcast = (1, (-1, *[1] * (n - 1))) if first else (-1, (-1,))
        common = [
            self.dense(),
            (lambda x, k: x + ag.linear(x, k), lambda x, k: x + (f.linear(x.movedim(1, -1), k).movedim(-1, 1) if first
                                                                 else f.linear(x, k)), None, None, [(c, c)]),
            (lambda x, s: x * s, lambda x, s: x * s.reshape(broadcast), None, None, [(c,)]),
            (lambda x: ag.layer_norm(x, c), lambda x: f.layer_norm(x, (c,)), None, False),
            (lambda x: ag.softmax(x, -1), lambda x: x.softmax(axis)),
            (lambda x: ag.concatenate([x, -x], -1), lambda x: torch.cat([x, -x], axis), (*self.kind[:-1], 2 * c)),
        ]  # fmt: skip
        if n > 1:
            common += [self.flat(), self.flat(), self.mean(1), self.mean(*range(1, n)),
                       (lambda x: ag.moveaxis(x, -1, 1).reshape(2, -1), *self.flat()[1:], True)]  # fmt: skip
        return [self.of_features, self.of_sequences, self.of_images][n - 1](torch, f, first) + common

    def of_images(self, torch, f, first):
        (h, w, c), dim, new = self.kind, 1 if first else -1, self.pick([True, False])
        options = [
            (lambda x, k: ag.conv2d(x, k, padding=1), lambda x, k: f.conv2d(x, k, padding=1), (h, w, 3), True,
             [(3, 3, c, 3)]),
            (lambda x, k: ag.conv2d(x, k, padding=1, groups=c), lambda x, k: f.conv2d(x, k, padding=1, groups=c),
             (h, w, 2 * c), True, [(3, 3, 1, 2 * c)]),
            (ag.conv_transpose2d, f.conv_transpose2d, (h + 1, w + 1, 2), True, [(2, 2, 2, c)]),
            (lambda x, k: ag.conv2d(x, k * 2), lambda x, k: f.conv2d(x, k * 2), (h, w, 2), True, [(1, 1, c, 2)]),
            (lambda x: ag.interpolate(x, (3, 5), mode="bilinear"), lambda x: f.interpolate(x, (3, 5), mode="bilinear"),
             (3, 5, c), True),
            (lambda x, k: x * ag.sigmoid(ag.linear(x.mean((1, 2)), k))[:, None, None],
             lambda x, k: x * f.linear(x.mean((2, 3) if first else (1, 2)), k).sigmoid()[
                 (..., None, None) if first else (slice(None), None, None)], None, None, [(c, c)]),
            (lambda x: ag.stack([x.mean(-1), x.max(-1)], -1),
             lambda x: torch.stack([x.mean(dim), x.amax(dim)], 1 if new else -1), (h, w, 2), None, (), new),
            (lambda x: ag.reshape(x, (2, h * w, c)), lambda x: x.flatten(*(2, 3) if first else (1, 2)), (h * w, c)),
            (lambda x: x[:, :1], lambda x: x[:, :, :1] if first else x[:, :1], (1, w, c)),
            (lambda x: x[..., :1], lambda x: x[:, :1] if first else x[..., :1], (h, w, 1)), self.mean(3),
        ]  # fmt: skip
        if h * w > 1 and c > 1:  # else the shapes alone may differ
            options.append((lambda x, m: x * m, lambda x, m: x * m, None, None, [self.kind]))
        if min(h, w) > 1:
            options.append((lambda x: ag.max_pool2d(x, 2, 1), lambda x: f.max_pool2d(x, 2, 1), (h - 1, w - 1, c), True))
        return options

    def of_sequences(self, torch, f, first):
        n, c = self.kind
        options = [
            (lambda x, k: ag.conv1d(x, k, padding=1), lambda x, k: f.conv1d(x, k, padding=1), (n, 2), True,
             [(3, c, 2)]),
            (lambda x, k: ag.conv1d(x, k, groups=c), lambda x, k: f.conv1d(x, k, groups=c), None, True, [(1, 1, c)]),
            (lambda x, k: ag.softmax(ag.linear(x, k) @ ag.transpose(x, (0, 2, 1)), -1) @ x,
             lambda x, k: (f.linear(x, k) @ x.mT).softmax(-1) @ x, None, False, [(c, c)]),
            (lambda x: x[:, -1], lambda x: x[..., -1] if first else x[:, -1], (c,)),
        ]  # fmt: skip
        if n % 2 == 0:
            options.append((lambda x: x.reshape((2, 2, n // 2, c)), lambda x: x.unflatten(1 + first, (2, n // 2)),
                            (2, n // 2, c)))  # fmt: skip
        return options

    def of_features(self, torch, f, first):
        (n,), new = self.kind, bool(self.shapes) and self.pick([True, False])  # numbers without weights keep our order
        options = [
            (lambda x, k: x @ k, lambda x, k: x @ k, (5,), None, [(n, 5)]),
            (lambda x, k: x @ k.T, lambda x, k: x @ k.T, (4,), None, [(4, n)]),
            (lambda x, k: ag.concatenate([x, ag.linear(x, k)], 1), lambda x, k: torch.cat([x, f.linear(x, k)], 1),
             (n + 3,), None, [(n, 3)]),
        ]  # fmt: skip
        for shape in (2, n // 2), (n // 2, 2), (2, n // 4, 2), (1, 2, n // 2), (2, n // 2, 1):
            if prod(shape) == n:
                there = (shape[-1], *shape[:-1])
                options += [
                    (lambda x, s=shape: x.reshape((2, *s)), lambda x, s=there if new else shape: x.reshape(2, *s),
                     shape, None, (), new, True),
                    (lambda x, s=there: ag.moveaxis(x.reshape((2, *s)), 1, -1), lambda x, s=there: x.reshape(2, *s),
                     shape, None, (), True),
                ]  # fmt: skip
        return options if n == 1 else [*options, (lambda x: x[:, 1:], lambda x: x[:, 1:], (n - 1,))]


class Net(nn.Module):
    def __init__(self, plan):
        self.steps = plan.steps
        for name, shape in plan.shapes.items():
            setattr(self, name, ag.Tensor(plan.rng.normal(0, 0.7, shape).astype("f"), requires_grad=True))

    def forward(self, x):
        for here, _, names in self.steps:
            x = here(x, *(getattr(self, name) for name in names))
        return x


@pytest.mark.filterwarnings("ignore:.*encountered in matmul")  # by numbers that BLAS reads and does not use
@pytest.mark.parametrize("count", [60, pytest.param(2000, marks=pytest.mark.slow)])
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
        got, weights = torch.from_numpy(x), load_file(tmp_path / "w")
        got = got.movedim(-1, 1) if got.ndim == 4 else got
        for _, there, names in plan.steps:
            got = there(got, *(weights[name] for name in names))
        got = got.movedim(1, -1) if plan.first and got.ndim > 2 else got
        np.testing.assert_allclose(got.numpy(), model(x).data, rtol=1e-3, atol=1e-4, err_msg=f"seed {seed}")
        counts["the same"] += 1
    assert counts["the same"] > 0.5 * count, counts
