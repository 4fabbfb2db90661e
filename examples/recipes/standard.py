"""The CNN of this project and its training: the recipes `standard` and `original`.

images (N, 32, 32, 3), NHWC -> three times conv 3x3, relu, max pooling -> dense 256, relu -> dense 10, sigmoid: the
probability of each class. The two versions differ in their pooling and in the initial weights:

standard   windows of 2x2, stride 2, 4x4x128 = 2,048 features reach the dense layer; weights by He's rule
original   windows of 3x3, stride 1, 26x26x128 = 86,528 features; weights 0.01 times a standard normal number

The network is written twice: as plain functions over a dict of parameters, and as modules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import autograd_cnn as ag
from autograd_cnn import nn

POOLING = {"standard": (2, 2), "original": (3, 1)}  # kernel size, stride
FEATURES = {"standard": 4 * 4 * 128, "original": 26 * 26 * 128}
INITIAL = {"standard": nn.he_normal, "original": nn.small_normal}


@dataclass(frozen=True)
class Settings:
    """Holds what can be varied. The version "original" trains at a constant rate, and without augmentation."""

    version: str = "standard"
    epochs: int = 24
    batch_size: int = 100
    lr: float = 2e-3  # the peak of one cycle
    weight_decay: float = 0.01
    validation: float = 0.05  # share of the training images that is held apart


SETTINGS = {"original": Settings(version="original", epochs=2, lr=1e-3, weight_decay=0, validation=0)}


# As plain functions ---------------------------------------------------------------------------------------------------


def parameters(version: str, rng: np.random.Generator) -> dict[str, ag.Tensor]:
    """Initial parameters: random weights, and biases of 0."""
    shapes = {
        "conv1": (3, 3, 3, 32),
        "conv2": (3, 3, 32, 64),
        "conv3": (3, 3, 64, 128),
        "dense1": (FEATURES[version], 256),
        "dense2": (256, 10),
    }
    p = {}
    for layer, shape in shapes.items():
        w = INITIAL[version](shape, rng, np.float32)
        for name, array in ((f"{layer}.w", w), (f"{layer}.b", np.zeros(shape[-1], np.float32))):
            p[name] = ag.Tensor(array, requires_grad=True, name=name)
    return p


def forward(p: dict[str, ag.Tensor], x: ag.Tensor, version: str) -> ag.Tensor:
    """Ten probabilities for each image."""
    kernel, stride = POOLING[version]
    h = ag.max_pool2d(ag.relu(ag.conv2d(x, p["conv1.w"], p["conv1.b"], padding=1)), kernel, stride)
    h = ag.max_pool2d(ag.relu(ag.conv2d(h, p["conv2.w"], p["conv2.b"], padding=1)), kernel, stride)
    h = ag.max_pool2d(ag.relu(ag.conv2d(h, p["conv3.w"], p["conv3.b"], padding=1)), kernel, stride)
    h = ag.relu(ag.linear(ag.flatten(h, 1), p["dense1.w"], p["dense1.b"]))
    return ag.sigmoid(ag.linear(h, p["dense2.w"], p["dense2.b"]))


# As modules -----------------------------------------------------------------------------------------------------------


class CNN(nn.Module):
    """The same network; `CNN("standard", rng)` has the weights of `parameters("standard", rng)`."""

    def __init__(self, version: str, rng: np.random.Generator) -> None:
        options = {"init": INITIAL[version], "rng": rng}
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1, **options)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1, **options)
        self.conv3 = nn.Conv2d(64, 128, 3, padding=1, **options)
        self.pool = nn.MaxPool2d(*POOLING[version])
        self.dense1 = nn.Linear(FEATURES[version], 256, **options)
        self.dense2 = nn.Linear(256, 10, **options)

    def forward(self, x: ag.Tensor) -> ag.Tensor:
        h = self.pool(ag.relu(self.conv1(x)))
        h = self.pool(ag.relu(self.conv2(h)))
        h = self.pool(ag.relu(self.conv3(h)))
        h = ag.relu(self.dense1(ag.flatten(h, 1)))
        return ag.sigmoid(self.dense2(h))


# Its training -----------------------------------------------------------------------------------------------------


def build(settings: Settings, rng: np.random.Generator | None = None, images: np.ndarray | None = None) -> CNN:
    """A new network; the images do not matter."""
    return CNN(settings.version, rng or np.random.default_rng())


def loss(settings: Settings, probabilities: ag.Tensor, labels: np.ndarray) -> ag.Tensor:
    """Is it class 0? Is it class 1? ... The mean binary cross-entropy of ten answers: by chance 0.69, or 0.33."""
    return ag.bce(probabilities, ag.one_hot(labels, 10))


def probabilities(outputs: np.ndarray) -> np.ndarray:
    """The answers to the ten questions, which need not add up to 1."""
    return outputs


def optimiser(settings: Settings, model: CNN, steps: int) -> ag.optim.Optimiser:
    if settings.version == "original":
        return ag.optim.SGD(model.parameters(), settings.lr)
    return ag.optim.AdamW(model.parameters(), settings.lr, weight_decay=settings.weight_decay)


def schedule(settings: Settings, steps: int) -> Callable[[int], float]:
    constant = settings.version == "original"
    return ag.optim.constant(settings.lr) if constant else ag.optim.one_cycle(settings.lr, steps)


def augment(settings: Settings, images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Move photographs by up to four pixels, and mirror half of them."""
    return images if settings.version == "original" else ag.data.augment(images, rng)
