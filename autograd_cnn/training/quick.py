"""The recipes `quick` and `best`: whitened patches, blocks of convolutions with batch norm, a triangular learning rate.

They take colour images of 32x32 pixels, or of another `size` from 9 to 256, and any number of classes.

The networks and most settings are those of K. Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import autograd_cnn as ag

LEAST, MOST = 9, 256  # pixels of a side


@dataclass(frozen=True)
class Settings:
    """Holds what can be varied. `lr` is the rate of one image; a step uses `batch_size` times as much."""

    classes: int = 10
    size: int = 32  # pixels of a side of the images, LEAST or more
    epochs: int = 7
    batch_size: int = 500
    widths: tuple[int, ...] = (64, 128, 256)
    convolutions: int = 2  # in a block
    lr: float = 1.5 / 1024
    momentum: float = 0.85
    weight_decay: float = 0.00133
    faster_biases: float = 64  # biases of the norms learn so many times as fast
    label_smoothing: float = 0.2
    shift: int = 2  # pixels by which images are moved at random
    cutout: int = 0  # side of the square that is cut out of them
    flip: bool = True  # whether a mirror image is of the same class, as it is of photographs, and not of digits
    validation: float = 0.05  # share of the training images that is held apart

    def __post_init__(self) -> None:
        if not LEAST <= self.size <= MOST:
            why = "it is halved three times, and a step keeps 64 numbers for each pixel"
            raise ValueError(f"quick: size is {self.size}, want {LEAST} to {MOST} pixels: {why}")


SETTINGS = {"best": Settings(epochs=30, widths=(64, 192, 256), convolutions=3, shift=3, cutout=8, validation=0.02)}


def norm(channels: int) -> ag.nn.BatchNorm2d:
    """A batch norm that follows its batches quickly, and whose scale is not trained: the next weights have one."""
    layer = ag.nn.BatchNorm2d(channels, momentum=0.4)
    layer.w.requires_grad = False
    return layer


def small_uniform(shape: tuple[int, ...], rng: np.random.Generator, dtype: np.dtype) -> np.ndarray:
    return rng.uniform(-1, 1, shape).astype(dtype) / np.sqrt(shape[0], dtype=dtype)


def dirac(shape: tuple[int, ...], rng: np.random.Generator, dtype: np.dtype) -> np.ndarray:
    """Filters (H, W, inputs, outputs), the first of which pass on one channel each; the others are uniform.

    The signal and its gradient thus pass through many layers from the first step on (S. Zagoruyko, N. Komodakis,
    "DiracNets", 2017).
    """
    w = rng.uniform(-1, 1, shape).astype(dtype) * np.asarray(np.sqrt(1 / np.prod(shape[:3])), dtype)
    passed = min(shape[2:])
    w[..., :passed] = 0
    w[shape[0] // 2, shape[1] // 2, :passed, :passed] = np.eye(passed)
    return w


class Block(ag.nn.Module):
    """A convolution, pooling, norm, GELU; then convolutions, norm, GELU. The third convolution adds to the first."""

    def __init__(self, inputs: int, outputs: int, convolutions: int, rng: np.random.Generator) -> None:
        channels = (inputs, *[outputs] * convolutions)
        self.convs = [ag.nn.Conv2d(n, outputs, 3, padding=1, bias=False, init=dirac, rng=rng) for n in channels[:-1]]
        self.norms = [norm(outputs) for _ in self.convs]

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        first = x = ag.gelu(self.norms[0](ag.max_pool2d(self.convs[0](x), 2)))
        x = ag.gelu(self.norms[1](self.convs[1](x)))
        for conv, norm in zip(self.convs[2:], self.norms[2:], strict=True):
            x = ag.gelu(norm(conv(x)) + first)
        return x


class Network(ag.nn.Module):
    """Whitened patches, three blocks, the largest value of each channel, and a linear layer: logits."""

    def __init__(self, settings: Settings, rng: np.random.Generator) -> None:
        self.mean, self.std = ag.Tensor(np.zeros(3, np.float32)), ag.Tensor(np.ones(3, np.float32))
        self.patches = ag.Tensor(np.zeros((2, 2, 3, 24), np.float32))  # not trained: see `build`
        self.bias, self.flip = ag.Tensor(np.zeros(24, np.float32), requires_grad=True), settings.flip
        pairs = zip((24, *settings.widths), settings.widths, strict=False)
        self.blocks = [Block(inputs, outputs, settings.convolutions, rng) for inputs, outputs in pairs]
        self.head = ag.nn.Linear(settings.widths[-1], settings.classes, bias=False, init=small_uniform, rng=rng)

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        x = ag.gelu(ag.conv2d((x - self.mean) / self.std, self.patches, self.bias))
        for block in self.blocks:
            x = block(x)
        return self.head(x.max(axis=(1, 2))) / 9


def build(settings: Settings, rng: np.random.Generator | None = None, images: np.ndarray | None = None) -> Network:
    """A new network, whose first filters whiten these images."""
    model = Network(settings, rng or np.random.default_rng())
    if images is not None:
        step = max(min(images.shape[1:3]) // 32, 1)  # large images are sampled
        some = images[:5000, ::step, ::step]
        mean, std = (np.float32(moment(some, axis=(0, 1, 2)) / 255) for moment in (np.mean, np.std))
        model.mean.data, model.std.data = mean, np.where(std < 1 / 255, np.float32(1), std)  # a colour may be constant
        model.patches.data = whitening(images[:5000], model.mean.data, model.std.data, step)
    return model


def whitening(images: np.ndarray, mean: np.ndarray, std: np.ndarray, step: int = 1) -> np.ndarray:
    """Filters whose outputs, of patches of 2x2 pixels, are uncorrelated and have variance 1, and their opposites.

    They are the eigenvectors of the covariance of the patches, each divided by the root of its eigenvalue, in the order
    of falling variance. The opposites are there because GELU cuts off one half. `step` is between patches, in pixels.
    """
    views = np.lib.stride_tricks.sliding_window_view(images, (2, 2), axis=(1, 2))[:, ::step, ::step]
    patches = ((ag.data.as_float32(np.moveaxis(views, 3, -1)) - mean) / std).reshape(-1, 4 * images.shape[3])
    variances, directions = np.linalg.eigh(patches.T @ patches / len(patches))
    filters = (directions / np.sqrt(variances + 5e-4))[:, ::-1]  # the small number bounds directions without variance
    return np.concatenate([filters, -filters], axis=1).astype(np.float32).reshape(2, 2, images.shape[3], -1)


def loss(settings: Settings, logits: ag.Tensor, labels: np.ndarray) -> ag.Tensor:
    return ag.cross_entropy(logits, labels, label_smoothing=settings.label_smoothing)


class Lookahead(ag.optim.SGD):
    """SGD that after every five steps moves slow weights a share of the way to the parameters, which become these.

    `share` is a function of the number of the step, and `buffers` move as the parameters do (M. Zhang et al.,
    "Lookahead Optimizer: k steps forward, 1 step back", 2019).
    """

    every = 5

    def __init__(
        self, parameters: Iterable[Any], buffers: Iterable[ag.Tensor], share: Callable[[int], float], **settings: Any
    ) -> None:
        super().__init__(parameters, **settings)
        self.share, self.taken, self.moved = share, 0, [*self.parameters, *buffers]
        self.slow = [t.numpy() for t in self.moved]

    def step(self) -> None:
        super().step()
        self.taken += 1
        if self.taken % self.every == 0:
            for fast, slow in zip(self.moved, self.slow, strict=True):
                slow[...] += self.share(self.taken) * (fast.data - slow)
                fast.data = slow.copy()

    def state_dict(self) -> dict[str, Any]:
        slow = {f"slow.{i}": array.copy() for i, array in enumerate(self.slow)}
        return {**super().state_dict(), "taken": self.taken, **slow}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        super().load_state_dict(state)  # which compares it with `state_dict`
        self.taken, self.slow = int(state["taken"]), [np.array(state[f"slow.{i}"]) for i in range(len(self.slow))]


def optimiser(settings: Settings, model: Network, steps: int) -> Lookahead:
    """SGD with Nesterov's momentum, drawn back every five steps, first not at all, in the end by three quarters.

    The biases of the norms have a higher rate, and the same decay in a step.
    """
    lr, decay, faster = settings.lr * settings.batch_size, settings.weight_decay, settings.faster_biases
    norms = [layer for block in model.blocks for layer in block.norms]
    biases = [layer.b for layer in norms]
    others = [p for p in model.parameters() if all(p is not bias for bias in biases)]
    groups = [{"parameters": others}, {"parameters": biases, "lr": lr * faster, "weight_decay": decay / faster}]
    buffers = [buffer for layer in norms for buffer in (layer.running_mean, layer.running_var)]
    options = {"lr": lr, "momentum": settings.momentum, "nesterov": True, "weight_decay": decay}
    return Lookahead(groups, buffers, lambda step: 1 - 0.774 * (step / steps) ** 3, **options)


def schedule(settings: Settings, steps: int) -> Callable[[int], float]:
    """A triangle: up during the first quarter, then down."""
    peak = settings.lr * settings.batch_size
    return ag.optim.one_cycle(peak, steps, 0.23, 0.2 * peak, 0.07 * peak, anneal_strategy="linear")


def augment(settings: Settings, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return ag.data.augment(images, rng, settings.shift, settings.flip, settings.cutout, mode="reflect")


def views(model: Network, images: ag.Tensor) -> ag.Tensor:
    """The mean of the logits of each image and its mirror image, if it has one, also moved by a pixel diagonally."""
    moved = np.pad(images.data, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    looks = [(images.data, 2), (moved[:, :-2, :-2], 1), (moved[:, 2:, 2:], 1)]
    sides = (1, -1) if model.flip else (1,)
    total = sum(weight * model(look[:, :, ::side]) for look, weight in looks for side in sides)
    return ag.array(total) / (4 * len(sides))
