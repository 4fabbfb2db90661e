"""Predictions of a model, and their evaluation; nothing is recorded."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from autograd_cnn.checks import count
from autograd_cnn.data import as_float32
from autograd_cnn.engine.mode import no_grad
from autograd_cnn.engine.numpy_calls import plain
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.nn.module import in_training_mode
from autograd_cnn.training.arguments import check_numbers, check_set, warn_of_bytes
from autograd_cnn.training.history import Evaluation
from autograd_cnn.training.ranks import Array, Ranks

Model = Callable[[Tensor], Tensor]
Loss = Callable[[Tensor, Any], Tensor]
ALONE = Ranks()


def predict(model: Model, images: Array, batch_size: int = 100) -> Array:
    """Run a model on any number of images, a batch at a time, and record nothing.

    A Module runs in evaluation mode, and afterwards returns to its earlier mode.

    Parameters
    ----------
    model : callable
        Images (Tensor) to outputs: a Module, or a plain function.
    images : array, (N, H, W, C), NHWC
        uint8 images are converted by `as_float32`; floats are taken as they are.
    batch_size : int

    Returns
    -------
    array, (N, ...)

    Examples
    --------
    >>> predict(lambda x: x.sum(axis=1), np.ones((5, 3), np.float32), batch_size=2)
    array([3., 3., 3., 3., 3.], dtype=float32)
    """
    check_numbers("predict", "images", images)
    count(batch_size, "predict: batch_size")
    warn_of_bytes("predict", "images", images)
    return _predicted(model, images, batch_size)


def _predicted(model: Model, images: Array, batch_size: int) -> Array:
    with in_training_mode(model, training=False), no_grad():
        starts = range(0, max(len(images), 1), batch_size)
        return np.concatenate([_outputs(model, images[i : i + batch_size]) for i in starts])


def _outputs(model: Model, images: Array) -> Array:
    outputs: Any = model(as_tensor(images))
    if outputs is None:
        name = getattr(model, "__name__", type(model).__name__)
        raise TypeError(f"predict: {name} returned None. Does it end with `return ...`?")
    return plain(outputs)


def evaluate(
    model: Model, loss: Loss, images: Array, labels: Array, batch_size: int = 100, ranks: Ranks = ALONE
) -> Evaluation:
    """Compute the loss, the accuracy and the confusion matrix of a model on a set of images.

    Parameters
    ----------
    model : callable
        Images (Tensor) to outputs: a Module, or a plain function.
    images : array, (N, H, W, C), NHWC
        uint8 images are converted by `as_float32`; floats are taken as they are.
    loss : callable
        Outputs and labels to a Tensor of one number, such as `cross_entropy`; called once, for the whole set.
    batch_size : int
    labels : array, (N,) integer, or (N, ...)
    ranks : Ranks
        From `autograd_cnn.distributed.ranks`: each runs the model on its share of the images, and all return the
        results of all.

    Returns
    -------
    Evaluation

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> outputs = np.array([[2.0, 0.0], [0.0, 3.0], [1.0, 0.0]])
    >>> result = evaluate(lambda x: x, ag.cross_entropy, outputs, np.array([0, 1, 1]))
    >>> print(f"{result.accuracy:.2f}", result.confusion.tolist())
    0.67 [[1, 0], [1, 1]]
    """
    count(batch_size, "evaluate: batch_size")
    check_set("evaluate", images, labels)
    return evaluated(model, loss, images, labels, batch_size, ranks)


def evaluated(model: Model, loss: Loss, images: Array, labels: Array, batch_size: int, ranks: Ranks) -> Evaluation:
    """Evaluate as `evaluate` does, after its checks."""
    outputs = ranks.join(_predicted(model, images[ranks.share(len(images))], batch_size))
    confusion = np.zeros((0, 0), np.int64)
    if _are_classes(outputs, labels):
        confusion = np.zeros((outputs.shape[1],) * 2, np.int64)
        np.add.at(confusion, (labels, outputs.argmax(-1)), 1)
    with no_grad():
        value = one_number("evaluate", loss(Tensor(outputs), read_only(labels)))
    return Evaluation(value, correct(outputs, labels) / len(labels), outputs, confusion)


def one_number(caller: str, value: Any) -> float:
    """Return the number that a loss returned, or raise an error if it is not one."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"{caller}: the loss is {type(value).__name__}, want a Tensor: model and loss must not leave the graph, "
            "as .data and .item() do"
        )
    if value.size != 1:
        raise ValueError(f"{caller}: loss returned {value.shape}, want one number: loss(outputs, labels).mean()")
    return float(value.item())


def read_only(labels: Array) -> Array:
    """Return a view of the user's labels that a loss cannot write into."""
    view = labels.view()
    view.flags.writeable = False
    return view


def as_tensor(images: Array) -> Tensor:
    """Return the input of a model: uint8 images as float32, and floats as they are."""
    name = "images" if images.ndim == 4 else "inputs"
    return Tensor(as_float32(images) if images.dtype == np.uint8 else images, name=name)


def _are_classes(outputs: Array, labels: Array) -> bool:
    return outputs.ndim == 2 and labels.ndim == 1 and labels.dtype.kind in "iu"


def correct(outputs: Array, labels: Array) -> float:
    """Return the number of labels that have the largest output, or NaN if there are no classes."""
    return float(np.count_nonzero(outputs.argmax(-1) == labels)) if _are_classes(outputs, labels) else math.nan
