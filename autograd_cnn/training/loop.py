"""The training loop (batch, forward, backward, step of the optimiser), predictions, and their evaluation.

Imports its neighbours, `nn`, `optim`, `data` and the engine.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from itertools import islice
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from autograd_cnn.data import as_float32
from autograd_cnn.engine.errors import first_not_finite
from autograd_cnn.engine.messages import warn
from autograd_cnn.engine.mode import no_grad
from autograd_cnn.engine.tape import Node, history
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.nn import Module
from autograd_cnn.optim import Optimiser, Schedule
from autograd_cnn.training.checkpoint import Run
from autograd_cnn.training.history import Evaluation, History

Model = Callable[[Tensor], Tensor]
Loss = Callable[[Tensor, Any], Tensor]
Callback = Callable[[History], object]
Augment = Callable[[NDArray[Any], Generator], NDArray[Any]]
Array = NDArray[Any]


def fit(
    model: Model,
    loss: Loss,
    optimiser: Optimiser,
    images: Array,
    labels: Array,
    *,
    rng: Generator | None,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 100,
    schedule: Schedule | None = None,
    augment: Augment | None = None,
    validation: tuple[Array, Array] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int | None = None,
    callbacks: Sequence[Callback] = (),
    name: str = "",
    progress: bool = True,
) -> History:
    """Train: take a batch, run forward and backward, step the optimiser, repeat.

    Ctrl-C ends the run after the current step and keeps its results; a second Ctrl-C ends it at once.

    Parameters
    ----------
    model : callable
        Images (Tensor) to outputs: a Module, or a plain function. If a function hides a Module, `fit` neither switches
        the mode of the Module nor saves its buffers.
    loss : callable
        ``loss(outputs, labels)`` returns a Tensor of one number. `labels` is a batch of the labels below.
    optimiser : SGD, Adam, AdamW
        Holds the parameters.
    images : array, (N, H, W, C), NHWC
        uint8 images are converted by `as_float32`, a batch at a time; floats are taken as they are.
    labels : array, (N,) integer, or (N, ...)
    rng : numpy.random.Generator or None
        Shuffles the images before each pass, and augments them. None keeps their order.
    epochs, steps : int
        The length of the whole run, in passes over the images or in batches. Pass one of the two.
    batch_size : int
        The last batch of a pass may be smaller.
    schedule : callable, optional
        The number of a step, from 0, to its learning rate. Default: `optimiser.lr` stays as it is.
    augment : callable, optional
        ``augment(images, rng)``, called on each batch before its conversion, such as `autograd_cnn.data.augment`.
    validation : (images, labels), optional
        Evaluated after each pass. `autograd_cnn.data.split` sets such images apart.
    checkpoint : path, optional
        A file that is written after each pass and at the end. If it exists, training resumes from it: pass the same
        arguments. A plain function that draws random numbers must draw them from `rng`.
    every : int, optional
        Write the checkpoint after every so many steps as well.
    callbacks : list of callable
        ``callback(history)`` is called after each pass. A true result ends the run: see `early_stop` and `keep_best`.
    name : str
        Describes the images in the History and in pictures.
    progress : bool
        Show, on stderr, a line for each pass and, on a terminal, a bar (images per second, loss, time left).

    Returns
    -------
    History

    Raises
    ------
    FloatingPointError
        If the loss is not finite. The message names the step, and the first operation that was not finite.
    CheckpointError
        If `checkpoint` is damaged, or belongs to another model or run.
    TypeError, ValueError
        If the arguments do not match each other.

    Examples
    --------
    >>> import autograd_cnn as ag
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 2))
    >>> y = (x[:, 0] > x[:, 1]).astype(int)
    >>> w = ag.Tensor(np.zeros((2, 2)), requires_grad=True)
    >>> sgd = ag.optim.SGD([w], lr=1)
    >>> history = fit(lambda x: x @ w, ag.cross_entropy, sgd, x, y, rng=rng, epochs=5, progress=False)
    >>> history.epochs[-1].accuracy > 0.95
    True
    """
    _check_arguments(locals())
    run = Run(name, rng, len(images), batch_size)
    total = steps if steps is not None else (epochs or 0) * run.steps_per_pass
    report = _report if progress else lambda line: None

    def save() -> None:
        if checkpoint is not None:
            run.save(checkpoint, model, optimiser)

    if checkpoint is not None and os.path.exists(checkpoint):
        run.resume(checkpoint, model, optimiser)
        report(f"resuming after step {run.step:,}, from {checkpoint}")
    with _in_mode(model, training=True), _ctrl_c() as interrupt, _bar(run, total) if progress else nullcontext() as bar:
        while run.closed < total and not interrupt.is_set():
            for x, y in islice(run.batches(images, labels), max(total - run.step, 0)):
                if schedule is not None:
                    optimiser.lr = schedule(run.step)
                _step(run, model, loss, optimiser, x, y, augment)
                if bar is not None:
                    bar.set_postfix(loss=f"{run.history.losses[-1]:.5f}", refresh=False)
                    bar.update(len(y))
                if interrupt.is_set():
                    break
                if every and run.step % every == 0:
                    save()
            complete = run.step % run.steps_per_pass == 0
            if not complete:
                save()  # before the pass is closed, so that a resumed run completes it
            run.close(evaluate(model, loss, *validation, batch_size=batch_size) if validation else None)
            if complete:
                save()
            report(f"epoch {len(run.history.epochs)}/{math.ceil(total / run.steps_per_pass)}: {run.history.epochs[-1]}")
            ends = [callback(run.history) for callback in callbacks]  # all are called, also if the first ends the run
            if any(ends):
                break
        run.history.interrupted = interrupt.is_set() and run.closed < total
    return run.history


def _step(
    run: Run, model: Model, loss: Loss, optimiser: Optimiser, x: Array, y: Array, augment: Augment | None
) -> None:
    """Train on one batch, and add the result to `run`."""
    began = time.perf_counter()
    if augment is not None and run.rng is not None:
        x = augment(x, run.rng)
    optimiser.zero_grad()
    outputs = model(_as_tensor(x))
    value = loss(outputs, y)
    _check_loss(value, run)
    value.backward()
    optimiser.step()
    run.add(value.item(), _correct(outputs.data, y), time.perf_counter() - began)


def _check_arguments(arguments: Mapping[str, Any]) -> None:
    """Raise an error unless the arguments of `fit`, by name, have the right types and match each other."""
    if (arguments["epochs"] is None) == (arguments["steps"] is None):
        raise TypeError("fit: pass one of epochs= and steps=")
    types: dict[str, tuple[Any, str]] = {
        "model": (Callable, "a Module, or a function of images"),
        "loss": (Callable, "a function such as ag.cross_entropy"),
        "optimiser": (Optimiser, "one such as ag.optim.Adam(model.parameters())"),
        "images": (np.ndarray, "an array"),
        "labels": (np.ndarray, "an array"),
        "rng": (Generator | None, "np.random.default_rng(0)"),
        "epochs": (int | np.integer | None, "an int"),
        "steps": (int | np.integer | None, "an int"),
        "schedule": (Callable | None, "a function of the number of a step"),
        "validation": (tuple | list | None, "(images, labels)"),
        "callbacks": (list | tuple, "a list of functions of the History"),
    }
    for name, (expected, want) in types.items():
        if not isinstance(arguments[name], expected):
            raise TypeError(f"fit: {name} is {type(arguments[name]).__name__}, want {want}")
    if arguments["augment"] is not None and arguments["rng"] is None:
        raise ValueError("fit: augment draws random numbers from rng: rng=np.random.default_rng(0)")
    images, labels = len(arguments["images"]), len(arguments["labels"])
    if not images == labels > 0:
        raise ValueError(f"fit: {images:,} images and {labels:,} labels, want equally many and at least one")


def _check_loss(value: Any, run: Run) -> None:
    """Raise an error if the loss is not finite, and warn of dead layers, once per pass."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"fit: the loss is {type(value).__name__}, want a Tensor: model and loss must not leave the graph, "
            "as .data and .item() do"
        )
    node = value._node
    if not math.isfinite(value.item()):
        culprit = f" {first_not_finite(node)}" if isinstance(node, Node) else ""
        raise FloatingPointError(f"fit: loss is {value.item()} at step {run.step:,}.{culprit}")
    if run.step == run.closed and isinstance(node, Node):
        _warn_of_dead_layers(node)


def _warn_of_dead_layers(root: Node) -> None:
    for node in history(root):
        if isinstance(node, Node) and node.plan.primitive.rectifies:
            out = node.kept("out")
            if out is not None and not out.any():
                warn(
                    f"{node}: all {out.size:,} outputs are 0 for all {len(out)} images, so no gradient passes through "
                    "it. Lower the learning rate? He initialisation?",
                    RuntimeWarning,
                )


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
    with _in_mode(model, training=False), no_grad():
        starts = range(0, max(len(images), 1), batch_size)
        return np.concatenate([model(_as_tensor(images[i : i + batch_size])).data for i in starts])


def evaluate(model: Model, loss: Loss, images: Array, labels: Array, batch_size: int = 100) -> Evaluation:
    """Compute the loss, the accuracy and the confusion matrix of a model on a set of images.

    Parameters
    ----------
    model, images, batch_size
        As for `predict`.
    loss : callable
        As for `fit`, but called once, with the outputs of the whole set.
    labels : array, (N,) integer, or (N, ...)

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
    outputs = predict(model, images, batch_size)
    confusion = np.zeros((0, 0), np.int64)
    if _are_classes(outputs, labels):
        confusion = np.zeros((outputs.shape[1],) * 2, np.int64)
        np.add.at(confusion, (labels, outputs.argmax(-1)), 1)
    with no_grad():
        value = loss(Tensor(outputs), labels).item()
    return Evaluation(value, _correct(outputs, labels) / len(labels), outputs, confusion)


def _as_tensor(images: Array) -> Tensor:
    name = "images" if images.ndim == 4 else "inputs"
    return Tensor(as_float32(images) if images.dtype == np.uint8 else images, name=name)


def _are_classes(outputs: Array, labels: Array) -> bool:
    return outputs.ndim == 2 and labels.ndim == 1 and labels.dtype.kind in "iu"


def _correct(outputs: Array, labels: Array) -> float:
    """Return the number of labels that have the largest output, or NaN if there are no classes."""
    return float(np.count_nonzero(outputs.argmax(-1) == labels)) if _are_classes(outputs, labels) else math.nan


@contextmanager
def _in_mode(model: Any, training: bool) -> Iterator[None]:
    """Switch a Module to training or evaluation, and each of its parts back at the end."""
    before = [(module, module.training) for module in model.modules()] if isinstance(model, Module) else []
    try:
        for module, _ in before:
            module.training = training
        yield
    finally:
        for module, mode in before:
            module.training = mode


@contextmanager
def _ctrl_c() -> Iterator[threading.Event]:
    """Yield an event that the first Ctrl-C sets, so that no step is cut short. A handler of the user stays in place."""
    event = threading.Event()

    def handle(signum: int, frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    replaced = default and threading.current_thread() is threading.main_thread()
    if replaced:
        signal.signal(signal.SIGINT, handle)
    try:
        yield event
    finally:
        if replaced:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _bar(run: Run, total: int) -> Any:
    """A bar on a terminal; nothing elsewhere."""
    from tqdm import tqdm

    return tqdm(
        initial=run.images(run.step),
        total=run.images(total),
        unit=" images",
        unit_scale=True,
        disable=None,
    )


def _report(line: str) -> None:
    """Write a line above the bar."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)
