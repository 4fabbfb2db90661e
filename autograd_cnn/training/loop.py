"""From a model, a loss and an optimiser to a trained model: one loop, what it records, how it stops and goes on.

May import everything but pictures. The loop is the one anybody would write (batch, forward, backward, step); around it
is what a long run needs. A run may stop after any step and go on in another process without a bit's difference,
because all that decides the next step is kept: parameters and buffers, the state of the optimiser, the number of the
step (hence the place in the schedule), the order of the images and the place in it, every random generator.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from autograd_cnn.arrayfile import CheckpointError
from autograd_cnn.data import as_float32, batches
from autograd_cnn.engine.messages import warn
from autograd_cnn.engine.tape import Node, first_not_finite, no_grad, tape
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.nn import Module
from autograd_cnn.optim import Optimiser
from autograd_cnn.training.checkpoint import read_checkpoint, save_checkpoint
from autograd_cnn.training.history import Epoch, History

Model = Callable[[Tensor], Tensor]
Loss = Callable[[Tensor, Any], Tensor]
Array = NDArray[Any]


@dataclass
class Evaluation:
    """How a model does on a set of images.

    Attributes
    ----------
    loss : float
        Over the whole set.
    accuracy : float
        Share of the images whose label has the largest output; NaN where outputs or labels name no classes.
    outputs : array, (N, ...)
        What the model gave.
    confusion : array, (K, K) int64
        How many images of each class (rows) were taken for each class (columns); empty where there are no classes.
    """

    loss: float
    accuracy: float
    outputs: Array
    confusion: NDArray[np.int64]


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
    schedule: Callable[[int], float] | None = None,
    augment: Callable[[Array, Generator], Array] | None = None,
    validation: tuple[Array, Array] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int | None = None,
    name: str = "",
    progress: bool = True,
) -> History:
    """Train: a batch, forward, backward, a step of the optimiser, again.

    Ctrl-C ends the run after the step under way, with all that was reached; a second one ends it at once.

    Parameters
    ----------
    model : callable
        Images (Tensor) to outputs: a Module, or a plain function. A function around a Module hides it: its mode and
        its buffers are then its own affair.
    loss : callable
        ``loss(outputs, labels)``, with the labels of the batch as they were given, to a Tensor of one number.
    optimiser : SGD, Adam, AdamW
        Holds the parameters.
    images : array, (N, H, W, C), NHWC
        uint8 images are converted by `as_float32`, a batch at a time; floats are taken as they are.
    labels : array, (N,) integer, or (N, ...)
    rng : numpy.random.Generator or None
        Shuffles the images before each pass, and augments; None keeps their order.
    epochs, steps : int
        How long in all, one of the two: passes over the images, or batches.
    batch_size : int
        The last batch of a pass has what is left over.
    schedule : callable, optional
        Number of a step, from 0, to its learning rate; else the optimiser's own `lr` stays.
    augment : callable, optional
        ``augment(images, rng)`` on each batch as it is stored, such as `autograd_cnn.data.augment`.
    validation : (images, labels), optional
        Evaluated after each pass.
    checkpoint : path, optional
        Written after each pass and at the end. If the file is there already, training goes on from it: give the same
        arguments. A plain function that draws random numbers has to draw them from `rng`.
    every : int, optional
        Write the checkpoint also after each so many steps.
    name : str
        What the images are, for the History and the pictures.
    progress : bool
        A bar on a terminal (images a second, loss, time left), a line for each pass anywhere; on stderr.

    Returns
    -------
    History

    Raises
    ------
    FloatingPointError
        The loss is not finite. Names the step and the operation it began in.
    CheckpointError
        `checkpoint` is damaged, or of another model or run.
    TypeError, ValueError
        Arguments do not fit one another.

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
    if (epochs is None) == (steps is None):
        raise TypeError("fit: how long? Give epochs= or steps=, one of them")
    whole = steps if epochs is None else epochs
    for argument, given, fits, want in (
        ("model", model, callable(model), "a Module, or a function of images"),
        ("loss", loss, callable(loss), "a function such as ag.cross_entropy"),
        ("optimiser", optimiser, isinstance(optimiser, Optimiser), "one, as ag.optim.Adam(model.parameters())"),
        ("images", images, isinstance(images, np.ndarray), "an array"),
        ("labels", labels, isinstance(labels, np.ndarray), "an array"),
        ("rng", rng, rng is None or isinstance(rng, Generator), "np.random.default_rng(0)"),
        ("epochs or steps", whole, isinstance(whole, (int, np.integer)), "an int"),
        ("schedule", schedule, schedule is None or callable(schedule), "a function of the number of a step"),
        ("validation", validation, validation is None or isinstance(validation, (tuple, list)), "(images, labels)"),
    ):
        if not fits:
            raise TypeError(f"fit: {argument} is {type(given).__name__}, want {want}")
    if augment is not None and rng is None:
        raise ValueError("fit: augment draws random numbers from rng: rng=np.random.default_rng(0)")
    if not len(images) == len(labels) > 0:
        raise ValueError(f"fit: {len(images):,} images and {len(labels):,} labels; want as many, and at least one")
    run = _Run(name, rng, len(images), batch_size)
    total = steps if steps is not None else (epochs or 0) * run.steps_per_pass
    say = _say if progress else lambda line: None

    def save() -> None:
        if checkpoint is not None:
            save_checkpoint(checkpoint, model, optimiser, run.generators, run.state())

    if checkpoint is not None and os.path.exists(checkpoint):
        state, apply = read_checkpoint(checkpoint, model, optimiser, run.generators)
        run.resume(state)
        apply()
        say(f"going on after step {run.step:,}, from {checkpoint}")
    with _in_mode(model, training=True), _ctrl_c() as asked, _bar(run, total, progress) as bar:
        while run.closed < total and not asked.is_set():
            for x, y in islice(run.batches(images, labels), max(total - run.step, 0)):
                began = time.perf_counter()
                if schedule is not None:
                    optimiser.lr = schedule(run.step)
                if augment is not None and rng is not None:
                    x = augment(x, rng)  # noqa: PLW2901
                optimiser.zero_grad()
                outputs = model(_images(x))
                value = loss(outputs, y)
                _check(value, run)
                value.backward()
                optimiser.step()
                run.add(value.item(), _right(outputs.data, y), time.perf_counter() - began)
                bar.set_postfix(loss=f"{value.item():.5f}", refresh=False)
                bar.update(len(y))
                if asked.is_set():
                    break
                if every and run.step % every == 0:
                    save()
            whole = run.step % run.steps_per_pass == 0
            if not whole:
                save()  # a pass that will go on is not closed yet
            run.close(evaluate(model, loss, *validation, batch_size=batch_size) if validation else None)
            if whole:
                save()
            say(f"epoch {len(run.history.epochs)}/{math.ceil(total / run.steps_per_pass)}: {run.history.epochs[-1]}")
        run.history.interrupted = run.closed < total
    return run.history


def predict(model: Model, images: Array, batch_size: int = 100) -> Array:
    """Outputs of a model for any number of images, a batch at a time, nothing recorded.

    A Module runs in evaluation mode and is afterwards as it was.

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
        return np.concatenate([model(_images(images[i : i + batch_size])).data for i in starts])


def evaluate(model: Model, loss: Loss, images: Array, labels: Array, batch_size: int = 100) -> Evaluation:
    """Loss, accuracy and confusions of a model on a set of images.

    Parameters
    ----------
    model, images, batch_size
        As for `predict`.
    loss : callable
        As for `fit`; called once, with the outputs of the whole set.
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
    if _name_classes(outputs, labels):
        confusion = np.zeros((outputs.shape[1],) * 2, np.int64)
        np.add.at(confusion, (labels, outputs.argmax(-1)), 1)
    with no_grad():
        value = loss(Tensor(outputs), labels).item()
    return Evaluation(value, _right(outputs, labels) / len(labels), outputs, confusion)


class _Run:
    """How far a run is: what the next step depends on, besides the model and the optimiser.

    A pass that ended within is closed in the History that is returned but open in the checkpoint, so that it goes on.
    """

    def __init__(self, name: str, rng: Generator | None, images: int, batch_size: int) -> None:
        self.history = History(name)
        self.rng = rng
        self.sizes = {"images": images, "batch_size": batch_size}
        self.steps_per_pass = math.ceil(images / max(batch_size, 1))  # `batches` refuses less than 1
        self.order: Any = None  # state of the generator that drew the order of this pass
        self.right = self.seconds = 0.0  # in this pass

    @property
    def generators(self) -> dict[str, Generator]:
        return {} if self.rng is None else {"fit": self.rng}

    @property
    def step(self) -> int:
        return len(self.history.losses)

    @property
    def closed(self) -> int:
        """Steps in the passes that are closed."""
        return self.history.epochs[-1].step if self.history.epochs else 0

    def images(self, step: int) -> int:
        """How many images the first `step` steps see."""
        passes, batches = divmod(step, self.steps_per_pass)
        return passes * self.sizes["images"] + batches * self.sizes["batch_size"]

    def batches(self, images: Array, labels: Array) -> Iterator[tuple[Array, Array]]:
        """The batches of this pass that are still to come."""
        done = self.step - self.closed
        stream = batches(images, labels, self.sizes["batch_size"], self.rng)
        if self.rng is None or not done:
            self.order = None if self.rng is None else self.rng.bit_generator.state
            yield from islice(stream, done, None)
        else:
            bits = self.rng.bit_generator
            now, bits.state = bits.state, self.order  # the same order once more
            next(islice(stream, done - 1, None))
            bits.state = now
            yield from stream

    def add(self, loss: float, right: float, seconds: float) -> None:
        self.history.losses.append(loss)
        self.right += right
        self.seconds += seconds

    def close(self, validation: Evaluation | None) -> None:
        losses = self.history.losses[self.closed :]
        sizes = np.diff([self.images(step) for step in range(self.closed, self.step + 1)])
        self.history.epochs.append(
            Epoch(
                self.step,
                float(np.average(losses, weights=sizes)),
                self.right / int(sizes.sum()),
                validation.loss if validation else math.nan,
                validation.accuracy if validation else math.nan,
                self.seconds,
            )
        )
        self.right = self.seconds = 0.0

    def state(self) -> dict[str, Any]:
        return {
            "history": asdict(self.history),
            "sizes": self.sizes,
            "order": self.order,
            "right": self.right,
            "seconds": self.seconds,
        }

    def resume(self, state: dict[str, Any]) -> None:
        if state.get("sizes") != self.sizes:
            raise CheckpointError(f"fit: the checkpoint is of a run with {state.get('sizes')}, this has {self.sizes}")
        self.history = replace(History._from(state["history"]), name=self.history.name)
        self.order, self.right, self.seconds = state["order"], float(state["right"]), float(state["seconds"])


def _images(images: Array) -> Tensor:
    return Tensor(as_float32(images) if images.dtype == np.uint8 else images, name="images")


def _name_classes(outputs: Array, labels: Array) -> bool:
    return outputs.ndim == 2 and labels.ndim == 1 and labels.dtype.kind in "iu"


def _right(outputs: Array, labels: Array) -> float:
    """How many labels have the largest output."""
    return float(np.count_nonzero(outputs.argmax(-1) == labels)) if _name_classes(outputs, labels) else math.nan


def _check(value: Tensor, run: _Run) -> None:
    """Stop at a loss that is no number; warn, once a pass, of a layer that nothing passes any more."""
    if not isinstance(value, Tensor):
        raise TypeError(
            f"fit: the loss is {type(value).__name__}, want a Tensor: model and loss must not leave the graph, "
            "as by .data or .item()"
        )
    if not math.isfinite(value.item()):
        culprit = f" {first_not_finite(value._node)}" if isinstance(value._node, Node) else ""
        raise FloatingPointError(f"fit: loss is {value.item()} at step {run.step:,}.{culprit}")
    for node in tape(value._node) if run.step == run.closed and isinstance(value._node, Node) else ():
        if isinstance(node, Node) and node.plan.primitive.name == "relu":
            out = dict(node.plan.labelled(node.saved)).get("out")
            if out is not None and not out.any():
                warn(
                    f"{node}: all {out.size:,} outputs are 0 for all {len(out)} images; nothing behind it can learn. "
                    "Lower the rate? He initialisation?",
                    RuntimeWarning,
                )


@contextmanager
def _in_mode(model: Any, training: bool) -> Iterator[None]:
    """A Module in training or evaluation, and then each part of it as it was."""
    before = [(module, module.training) for module in model.modules()] if isinstance(model, Module) else []
    try:
        for module, _ in before:
            module.training = training
        yield
    finally:
        for module, was in before:
            module.training = was


@contextmanager
def _ctrl_c() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets: steps stay whole. Only where Ctrl-C has its usual meaning."""
    asked = threading.Event()

    def ask(signum: int, frame: Any) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    ours = usual and threading.current_thread() is threading.main_thread()
    if ours:
        signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _bar(run: _Run, total: int, progress: bool) -> Any:
    from tqdm import tqdm

    return tqdm(
        initial=run.images(run.step),
        total=run.images(total),
        unit=" images",
        unit_scale=True,
        disable=None if progress else True,
    )


def _say(line: str) -> None:
    """A line above the bar."""
    from tqdm import tqdm

    tqdm.write(line, file=sys.stderr)
