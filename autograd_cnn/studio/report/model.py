"""Looks into the model of a run: its graph at moments of the training, and the pixels that decided an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.nn import Module
from autograd_cnn.nn.module import in_training_mode
from autograd_cnn.studio.graph import Graph
from autograd_cnn.studio.report.facts import Array
from autograd_cnn.studio.trace import trace

if TYPE_CHECKING:
    from autograd_cnn.training import History

Loss = Callable[[Tensor, Any], Tensor]

BATCH = 4  # images in the player
COPIES, NOISE = 16, 0.1  # of an image, whose gradients are averaged; standard deviation of what is added to each


class Moments:
    """A callback of `fit` that traces the model on a few images: at the start, and after passes 1, 2, 4, 8, ...

    The player in the report has a slider for these moments. Make it before `fit` is called.

    Parameters
    ----------
    model : Module
    loss : callable
        Outputs and labels to a Tensor of one number.
    images : array, (N, H, W, C), NHWC
        The first four are traced.
    labels : array, (N,) integer
    """

    def __init__(self, model: Module, loss: Loss, images: Array, labels: Array) -> None:
        self.model, self.loss = model, loss
        self.images, self.labels = images[:BATCH], labels[:BATCH]
        self.graphs = [("at the start", self.graph(model))]

    def __call__(self, history: History) -> None:
        done = len(history.epochs)
        if done & (done - 1) == 0:
            self.graphs.append((f"after pass {done}", self.graph(self.model)))

    def graph(self, model: Module) -> Graph:
        """Trace `model` on the images."""
        return graph_of(model, self.loss, self.images, self.labels)


def graph_of(model: Module, loss: Loss, images: Array, labels: Array) -> Graph:
    """Trace the loss of a model in evaluation mode."""
    from autograd_cnn.training.evaluation import as_tensor

    with in_training_mode(model, training=False):
        return trace(lambda images: loss(model(images), labels), as_tensor(images))


def saliency(model: Module, image: Array, seed: int = 0) -> Array:
    """Return how much each pixel of an image moves the largest output of a model in evaluation mode.

    It is the absolute gradient of that output, the greatest of the colours, averaged over noisy copies of the image
    and over neighbours (Smilkov et al., "SmoothGrad: removing noise by adding noise", 2017).

    Parameters
    ----------
    model : Module
    image : array, (H, W, C) float32 in [0, 1]
    seed : int
        Seeds the noise.

    Returns
    -------
    array, (H, W)
        In [0, 1]; the largest is 1, unless no pixel matters.
    """
    answer = int(model(Tensor(image[None])).data.argmax())
    noise = np.random.default_rng(seed).normal(0, NOISE, (COPIES, *image.shape)).astype(np.float32)
    copies = Tensor(image + noise, requires_grad=True, name="images")
    gradient = model(copies)[:, answer].sum().gradient(copies)
    found = np.abs(np.asarray(gradient.data).mean(axis=0)).max(axis=-1)
    padded = np.pad(found, 1, mode="edge")
    height, width = found.shape
    blurred = np.mean([padded[i : i + height, j : j + width] for i in range(3) for j in range(3)], axis=0)
    most = blurred.max()
    return np.asarray(blurred / most if most > 0 else blurred)
