"""From a model, a loss and an optimiser to a trained model: one loop, what it records, how it stops and goes on.

May import everything but pictures. The loop is the one anybody would write (batch, forward, backward, step); around it
is what a long run needs. A run may stop after any step and go on in another process without a bit's difference,
because all that decides the next step is kept: parameters and buffers, the state of the optimiser, the number of the
step (hence the place in the schedule), the order of the images and the place in it, every random generator.
"""
from __future__ import annotations

import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from autograd_cnn.arrayfile import CheckpointError, read_arrays, spelled, write_arrays
from autograd_cnn.data import as_float32, batches
from autograd_cnn.engine.messages import warn
from autograd_cnn.engine.tape import Node, first_not_finite, no_grad, tape
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.files import write_atomically

__all__ = [
    "CheckpointError", "Epoch", "Evaluation", "History", "evaluate", "fit", "load_checkpoint", "predict",
    "save_checkpoint",
]

Model = Callable[[Tensor], Tensor]
Loss = Callable[[Tensor, Any], Tensor]
Array = NDArray[Any]


@dataclass
class Epoch:
    """What one pass over the images came to.

    `loss` and `accuracy` are means over the pass, while the model was changing; accuracies are shares of the images.
    What was not asked for is NaN: validation, or accuracy where outputs or labels name no classes.
    """

    step: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float

    def __str__(self) -> str:
        figures = {"loss": f"{self.loss:.4f}", "accuracy": f"{self.accuracy:.1%}",
                   "validation loss": f"{self.validation_loss:.4f}",
                   "validation accuracy": f"{self.validation_accuracy:.1%}", "time": f"{self.seconds:.1f} s"}
        return ", ".join(f"{name} {figure}" for name, figure in figures.items() if "nan" not in figure)


@dataclass
class History:
    """The course of a training run.

    Attributes
    ----------
    name : str
        What the images are.
    losses : list of float
        One a step.
    epochs : list of Epoch
        One a pass; the last is shorter where the run ended within a pass.
    interrupted : bool
        Ctrl-C ended it.

    Examples
    --------
    >>> history = History("shapes (synthetic)", [0.7, 0.6], [Epoch(2, 0.65, 0.1, 0.6, 0.12, 1.5)])
    >>> print(history.epochs[-1])
    loss 0.6500, accuracy 10.0%, validation loss 0.6000, validation accuracy 12.0%, time 1.5 s
    """

    name: str = ""
    losses: list[float] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    interrupted: bool = False

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON."""
        write_atomically(path, json.dumps(spelled(asdict(self)), indent=1).encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            The file holds something else.
        """
        with open(path, "rb") as file:
            try:
                return cls._from(json.load(file))
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                raise ValueError(f"{path}: no saved History ({error!r})") from error

    @classmethod
    def _from(cls, record: Mapping[str, Any]) -> History:
        epochs = [
            Epoch(**{name: int(x) if name == "step" else float(x) for name, x in epoch.items()})
            for epoch in record["epochs"]
        ]
        return cls(record["name"], [float(x) for x in record["losses"]], epochs, record["interrupted"])


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
    optimiser: Any,
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
        Images (Tensor) to outputs: a Module, or a plain function.
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
        Written as training goes on. If the file is there already, training goes on from it: give the same arguments.
        The model must be a Module.
    every : int, optional
        Steps from one checkpoint to the next; default, one after each pass. The last step always makes one.
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
    >>> history = fit(lambda x: x @ w, ag.cross_entropy, ag.optim.SGD([w], lr=1), x, y, epochs=5, rng=rng, progress=False)
    >>> history.epochs[-1].accuracy > 0.95
    True
    """
    if (epochs is None) == (steps is None):
        raise TypeError("fit: how long? Give epochs= or steps=, one of them")
    if augment is not None and rng is None:
        raise ValueError("fit: augment draws random numbers from rng: rng=np.random.default_rng(0)")
    if not len(images) == len(labels) > 0:
        raise ValueError(f"fit: {len(images):,} images, {len(labels):,} labels; want as many, and at least one")
    per_epoch = math.ceil(len(images) / batch_size)
    total = steps if steps is not None else (epochs or 0) * per_epoch
    run = _Run(History(name), {"images": len(images), "batch_size": batch_size}, rng)
    history, losses = run.history, run.history.losses

    def seen(step: int) -> int:
        """Images in the first `step` batches."""
        return step // per_epoch * len(images) + step % per_epoch * batch_size

    def save() -> None:
        if checkpoint is not None:
            save_checkpoint(checkpoint, model, optimiser, run.generators, run.state())

    say = _say if progress else lambda line: None
    if checkpoint is not None and os.path.exists(checkpoint):
        run.restore(checkpoint, load_checkpoint(checkpoint, model, optimiser, run.generators))
        history, losses = run.history, run.history.losses
        say(f"going on after step {len(losses):,}, from {checkpoint}")
    with _training(model, True), _ctrl_c() as asked, _bar(seen(len(losses)), seen(total), progress) as bar:
        while run.start < total and not asked.is_set():
            for x, y in islice(run.batches(images, labels), total - len(losses)):
                began = time.perf_counter()
                if schedule is not None:
                    optimiser.lr = schedule(len(losses))
                outputs, value = _forward(model, loss, x if augment is None or rng is None else augment(x, rng), y, run)
                optimiser.zero_grad()
                value.backward()
                optimiser.step()
                losses.append(value.item())
                run.right += _right(outputs.data, y)
                run.seconds += time.perf_counter() - began
                bar.set_postfix(loss=f"{losses[-1]:.4f}", refresh=False)
                bar.update(len(y))
                if asked.is_set():
                    break
                if every and len(losses) % every == 0 and len(losses) < total:
                    save()
            whole = len(losses) - run.start == per_epoch
            if not whole:
                save()  # before the pass is closed: it will go on
            run.close(validation and evaluate(model, loss, *validation, batch_size=batch_size))
            say(f"epoch {math.ceil(run.start / per_epoch)}/{math.ceil(total / per_epoch)}: {history.epochs[-1]}")
            if whole and (not every or run.start == total or asked.is_set()):
                save()
        history.interrupted = asked.is_set() and run.start < total
    return history
