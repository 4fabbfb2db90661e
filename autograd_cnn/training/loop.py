"""The training loop: take a batch, run forward and backward, step the optimiser, repeat."""

from __future__ import annotations

import itertools
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from autograd_cnn.distributed import Ranks
from autograd_cnn.engine.errors import first_not_finite
from autograd_cnn.engine.messages import warn
from autograd_cnn.engine.tape import Node, history
from autograd_cnn.nn import Module
from autograd_cnn.nn.module import in_training_mode
from autograd_cnn.optim import Optimiser, clip_grad_norm
from autograd_cnn.optim.schedules import Schedule
from autograd_cnn.training.arguments import check_arguments, compared
from autograd_cnn.training.checkpoint import all_generators
from autograd_cnn.training.evaluation import ALONE, Loss, Model, as_tensor, correct, evaluated, one_number
from autograd_cnn.training.feeding import Augment, fed
from autograd_cnn.training.history import History
from autograd_cnn.training.progress import Progress
from autograd_cnn.training.run import Run

Callback = Callable[[History], object]
Array = NDArray[Any]
EARLY_STOP = "early stop"
SAME_ARGUMENTS = "fit: at the start (all ranks pass the same arguments; data of rank 0 for all: ranks.first(load))"


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
    accumulate: int = 1,
    clip: float | None = None,
    time_limit: float | None = None,
    validation: tuple[Array, Array] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    every: int | None = None,
    callbacks: Sequence[Callback] = (),
    name: str = "",
    progress: bool = True,
    ranks: Ranks = ALONE,
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
        Draws a seed before each pass. The order of the images and their augmentation follow from it. None keeps their
        order.
    epochs, steps : int
        The length of the whole run, in passes over the images or in batches. Pass one of the two.
    batch_size : int
        The last batch of a pass may be smaller.
    schedule : callable, optional
        The number of a step, from 0, to its learning rate. Default: `optimiser.lr` stays as it is.
    augment : callable, optional
        ``augment(images, rng)`` returns a batch of images, before their conversion, such as
        `autograd_cnn.data.augment`. It runs on another thread, one or two batches ahead.
    accumulate : int
        Compute each batch in so many parts, whose gradients add up: less memory for the same step, if the loss is a
        mean over the images. Batch norm takes the statistics of a part.
    clip : float, optional
        The largest norm of all gradients together; larger ones are scaled down, as by `clip_grad_norm`.
    time_limit : float, optional
        Seconds of the whole run, with evaluation and, of a resumed run, the parts before. When they are over, the run
        ends after the current step, as after Ctrl-C.
    validation : (images, labels), optional
        Evaluated after each pass. `autograd_cnn.data.split` sets such images apart.
    checkpoint : path, optional
        A file that is written after each pass and at the end. If it exists, training resumes from it: pass the same
        arguments. A plain function that draws random numbers must draw them from `rng`. A run that ended early goes
        on; after an early stop, only if no callback ends it again.
    every : int, optional
        Write the checkpoint after every so many steps as well.
    callbacks : list of callable
        ``callback(history)`` is called after each pass, before the checkpoint is written; so if the process is killed
        in between, it is called again. If one returns True, the remaining callbacks are still called, and see it in
        `history.ended`; then the run ends. See `early_stop`, `keep_best` and `RunFolder`.
    name : str
        Describes the images in the History and in pictures.
    progress : bool
        Show, on stderr, a line for each pass and, on a terminal, a bar with images per second, time left, loss and
        accuracy.
    ranks : Ranks
        From `autograd_cnn.distributed.ranks`: each computes its share of every batch, and all make the same step, if
        the loss is a mean over the images. All pass the same arguments. Rank 0 calls the callbacks, shows progress, and
        reads and writes the checkpoint.

    Returns
    -------
    History

    Raises
    ------
    FloatingPointError
        If the loss, a gradient or a rate is not finite, before the step that would use it; or if a number of the model
        or of the optimiser has become so, before it is saved. A number that is not finite reaches a checkpoint only if
        the model had it at the start.
    CheckpointError
        If `checkpoint` is damaged, or belongs to another model or run, or to other images or labels.
    RuntimeError
        If the models, optimisers or generators of the ranks differ, at the start or after a pass.
    TypeError, ValueError
        If the arguments do not match each other.

    Examples
    --------
    >>> import numpy as np
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
    arguments = locals()
    check_arguments(arguments)
    ranks.compare(lambda: compared(arguments), SAME_ARGUMENTS)
    run = Run(name, rng, images, labels, batch_size, epochs, steps, ranks)
    if checkpoint is not None and ranks.first(os.path.exists, checkpoint):
        run.resume(checkpoint, model, optimiser)
    run.compare("at the start (seed all ranks alike, and call ranks.broadcast(model) first)", model, optimiser)
    shows = progress and ranks.rank == 0
    buffers = list(model.buffers()) if isinstance(model, Module) else []
    generators = list(all_generators(model, run.generators).values())
    run.check_state(model, optimiser)

    def save() -> None:
        run.check_state(model, optimiser)
        if checkpoint is not None and ranks.rank == 0:
            run.save(checkpoint, model, optimiser)

    with (
        ranks.all_or_none(),
        in_training_mode(model, training=True),
        _ctrl_c() as interrupt,
        Progress(run, shows) as shown,
    ):

        def stops() -> tuple[float, float]:
            """Return 1 or 0 for each reason to end now: Ctrl-C, and the time of rank 0."""
            late = time_limit is not None and ranks.rank == 0 and run.elapsed >= time_limit
            return float(interrupt.is_set()), float(late)

        def look(interrupted: float, late: float) -> None:
            """Note why the run ends here, if it does. All ranks have the same reasons."""
            if interrupted:
                end(f"interrupted at step {run.step:,}")
            elif late:
                end("time limit")

        def end(reason: str) -> None:
            if not run.history.ended and run.step < run.total:
                run.history.ended = reason
                shown.line(reason)

        def call() -> str:
            for callback in callbacks:
                if callback(run.history):
                    end(EARLY_STOP)
            return run.history.ended

        if run.step:
            shown.line(f"resuming after step {run.step:,}, from {checkpoint}")
            stopped, run.history.ended = run.history.ended == EARLY_STOP, ""
            if stopped:
                run.history.ended = ranks.first(call)
            look(*ranks.sum(stops()))
        while run.closed < run.end:
            with fed(run.batches(images, labels, augment)) as feed:
                for (x, y), waited in feed:
                    began = time.perf_counter()
                    if schedule is not None:
                        optimiser.lr = _rate(schedule, run.step)
                    optimiser.zero_grad()
                    before = [(buffer, buffer.data) for buffer in buffers]
                    weight = len(y) / run.images_of_step
                    with ranks.own_draws(generators, [run.current.seed or 0, run.step]):
                        own = _backward(run, model, loss, x, y, accumulate, weight)
                    sums = ranks.sum([*own, *stops()], optimiser.parameters, before, weight)
                    run.check_gradients(sums[0], optimiser)
                    if clip is not None:
                        clip_grad_norm(optimiser.parameters, clip)
                    optimiser.step()
                    value, hits, *reasons = sums
                    run.add(value, hits, time.perf_counter() - began + waited, waited)
                    shown.step()
                    look(*reasons)
                    if run.history.ended:
                        break
                    if every and run.step % every == 0:
                        save()
            run.compare(f"after step {run.step:,}", model, optimiser)
            save()  # if evaluation or a callback fails, a resumed run begins with them
            run.close(evaluated(model, loss, *validation, batch_size, ranks) if validation else None, optimiser)
            look(*ranks.sum(stops()))
            shown.epoch()
            run.history.ended = ranks.first(call)
            if run.history.epochs[-1].part == 1:  # else a resumed run completes the pass
                save()
    return run.history


def _backward(
    run: Run, model: Model, loss: Loss, x: Array, y: Array, accumulate: int, weight: float
) -> tuple[float, float]:
    """Add the gradients of these images, which are the part `weight` of a batch.

    Return their part of the loss of the batch, and the number of labels that had the largest output.
    """
    total = hits = 0.0
    for part in _parts(len(y), accumulate):
        outputs = model(as_tensor(x[part]))
        value = loss(outputs, y[part])
        _check_loss(value, run)
        share = weight * len(y[part]) / len(y)
        value._backward(run.note_gradient, np.full(value.shape, share, value.dtype))
        total += share * value.item()
        hits += correct(outputs.data, y[part])
    return total, hits


def _rate(schedule: Schedule, step: int) -> float:
    """Return the learning rate of a step, or raise an error if it is none."""
    rate, problem = schedule(step), f"fit: schedule({step}) is"
    if not isinstance(rate, (int, float, np.number)):
        raise TypeError(f"{problem} {rate!r}, want a number from 0 on")
    if not 0 <= rate < math.inf:
        kind = ValueError if -math.inf < rate < 0 else FloatingPointError
        raise kind(f"{problem} {rate}, want a number from 0 on. Nothing was changed at this step")
    return float(rate)


def _parts(images: int, count: int) -> list[slice]:
    """Cut a batch into parts of nearly equal size."""
    count = min(count, images)
    return [slice(i * images // count, (i + 1) * images // count) for i in range(count)]


def _check_loss(value: Any, run: Run) -> None:
    """Raise an error unless the loss is one finite number; at the first step of a pass, note the dead channels."""
    number, node = one_number("fit", value), value._node
    if not math.isfinite(number):
        culprit = f" {first_not_finite(node)}" if isinstance(node, Node) else ""
        raise FloatingPointError(f"fit: loss is {number} at step {run.step:,}.{culprit}")
    if run.step == run.closed and isinstance(node, Node) and not (run.current.dead or run.current.silent):
        run.current.dead, run.current.silent = _dead_channels(node)


def _dead_channels(root: Node) -> tuple[dict[str, float], dict[str, float]]:
    """Return the share of channels that are 0 in the whole batch, for each rectifier of maps, and of units.

    Warn if it is all of them.
    """
    dead: dict[str, float] = {}
    silent: dict[str, float] = {}
    for node in history(root):
        out = node.kept("out") if isinstance(node, Node) and node.plan.primitive.rectifies else None
        if isinstance(node, Node) and out is not None and out.size:
            alive = out.reshape(-1, out.shape[-1] if out.ndim > 1 else 1).any(axis=0)
            shares = dead if out.ndim > 2 else silent
            shares[_name(node, shares)] = 1 - float(alive.mean())
            if not alive.any():
                warn(
                    f"{node}: all {out.size:,} outputs are 0 for all {len(out)} images, so no gradient passes through "
                    "it. Lower the learning rate? He initialisation?",
                    RuntimeWarning,
                )
    return dead, silent


def _name(node: Node, others: Mapping[str, float]) -> str:
    """Name an operation after its module, or else after its line; number it if others have this name."""
    name = f"{node.scope[0]}.{node.plan.primitive.name}" if node.scope else str(node)
    count = next(i for i in itertools.count(1) if (name if i == 1 else f"{name} {i}") not in others)
    return name if count == 1 else f"{name} {count}"


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
