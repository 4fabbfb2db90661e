"""Looks into the model of a run: its filters, what its first layers make of an image, its ladder and its player."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from autograd_cnn.engine.observe import Call, observing
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.nn import Module
from autograd_cnn.nn.module import in_training_mode
from autograd_cnn.ops.convolution import conv2d
from autograd_cnn.studio.graph import Graph
from autograd_cnn.studio.report.facts import Array
from autograd_cnn.studio.trace import trace

if TYPE_CHECKING:
    from autograd_cnn.training import History

Loss = Callable[[Tensor, Any], Tensor]

BATCH = 4  # images in the player
DEEPEST = 3  # convolutions whose maps are shown


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


class Layer(NamedTuple):
    """A convolution: its weights (HWIO), and its maps, (H, W, channels), with what they are.

    It has the maps that it writes and, before them, those that it reads, unless another layer has written them.
    """

    name: str
    weights: Array
    maps: list[tuple[str, Array]]


def convolutions(model: Module, image: Array) -> list[Layer]:
    """Run a model on one image, and return its first convolutions."""
    from autograd_cnn.training.evaluation import as_tensor

    found: list[Layer] = []

    def note(call: Call) -> None:
        if call.primitive is conv2d and len(found) < DEEPEST:
            x, w, y = (np.array(a.data if isinstance(a, Tensor) else a) for a in (*call.values[:2], call.out))
            name = call.module or f"conv2d {len(found) + 1}"
            known = not found or np.array_equal(x[0], found[-1].maps[-1][1])
            read = [] if known else [(f"read by {name}", x[0])]
            found.append(Layer(name, w, [*read, (f"written by {name}", y[0])]))

    with in_training_mode(model, training=False), observing(note, recording=False):
        model(as_tensor(image[None]))
    return found
