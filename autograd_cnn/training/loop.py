"""The training loop: take a batch, run forward and backward, step the optimiser, repeat."""

from __future__ import annotations

import itertools
import math
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
from numpy.random import Generator

from autograd_cnn.checks import number
from autograd_cnn.engine import tape
from autograd_cnn.engine.finite import first_not_finite
from autograd_cnn.engine.messages import warn
from autograd_cnn.engine.tape import Node
from autograd_cnn.environment import needs
from autograd_cnn.files import AnyPath
from autograd_cnn.nn.functions import dead_channels
from autograd_cnn.nn.module import in_training_mode
from autograd_cnn.optim import clip_grad_norm
from autograd_cnn.optim.optimiser import Steps
from autograd_cnn.optim.schedules import Schedule
from autograd_cnn.training.arguments import check
from autograd_cnn.training.evaluation import ALONE, Loss, Model, as_tensor, correct, evaluated, one_number
from autograd_cnn.training.feeding import Augment
from autograd_cnn.training.history import Callback, History
from autograd_cnn.training.ranks import Array, Ranks
from autograd_cnn.training.run import Run

SAME_ARGUMENTS = "fit: at the start (all ranks pass the same arguments; data of rank 0 for all: ranks.first(load))"
SAME_STATE = "at the start (seed all ranks alike, and call ranks.broadcast(model) first)"


def fit(
    model: Model,
    loss: Loss,
    optimiser: Steps,
    images: Array,
    labels: Array,
    *,
    rng: Generator | None,
    epochs: int | None = None,
    steps: int | None = None,
    batch_size: int = 100,
    schedule: Schedule | None = None,
    augment: Augment | None = None,
    clip: float | None = None,
    time_limit: float | None = None,
    validation: tuple[Array, Array] | None = None,
    checkpoint: AnyPath | None = None,
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
        The last batch of a pass may be smaller. If one image is left over, it joins the batch before.
    schedule : callable, optional
        The number of a step, from 0, to its learning rate. Default: `optimiser.lr` stays as it is.
    augment : callable, optional
        ``augment(images, rng)`` returns a batch of images, before their conversion, such as
        `autograd_cnn.data.augment`. It runs on another thread, one or two batches ahead.
    clip : float, optional
        The largest norm of all gradients together; larger ones are scaled down, as by `clip_grad_norm`.
    time_limit : float, optional
        Seconds of the whole run, with evaluation and, of a resumed run, the parts before. When they are over, the run
        ends after the current step, as after Ctrl-C.
    validation : (images, labels), optional
        Evaluated after each pass. `autograd_cnn.data.split` sets such images apart.
    checkpoint : path, optional
        A file that is written after the steps of each pass, before its validation. If it exists, training resumes from
        it: pass the same arguments. A plain function that draws random numbers must draw them from `rng`. A run that
        ended early goes on, unless a callback ends it again.
    callbacks : list of callable
        ``callback(history)`` is called after each pass and its validation. A run that resumes calls it once more for
        the last pass. If one returns True, the remaining callbacks are still called, and see it in `history.ended`;
        then the run ends. See `History.since_best` and `RunFolder`.
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
        If the loss or a gradient is not finite, before the step that would use it; or if a number of the model
        or of the optimiser has become so, before it is saved. A number that is not finite reaches a checkpoint only if
        the model had it at the start.
    CheckpointError
        If `checkpoint` is damaged, or belongs to another model or run, or to other images or labels.
    RuntimeError
        If the models, optimisers or generators of the ranks differ, at the start or after a pass.
    TypeError, ValueError
        If the arguments do not match each other, or `schedule` returns no rate.

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
    given = locals()  # the arguments, by name
    check(ranks=ranks)
    with ranks.all_or_none():
        run = Run(given)
    ranks.compare(run.arguments, SAME_ARGUMENTS)
    if checkpoint is not None and ranks.first(os.path.exists, checkpoint):
        run.resume(checkpoint)
    run.compare(SAME_STATE)
    run.checked_state()
    with ranks.all_or_none(), in_training_mode(model, True), _ctrl_c(run.interrupt), _bar(run) as run.bar:
        if run.step:
            run.say(f"resuming after step {run.step:,}, from {checkpoint}")
            run.look_for_reasons()
        while run.closed < run.end:
            _one_pass(run)
            run.compare(f"after step {run.step:,}")
            run.save()  # a resumed run begins with the validation and the callbacks, which may have failed
            run.close(evaluated(model, loss, *validation, batch_size, ranks) if validation else None)
            run.call_back()
    return run.history


def _one_pass(run: Run) -> None:
    """Make the steps of a pass, or as many as are left of it."""
    args, optimiser = run.args, run.args.optimiser
    with run.batches() as batches:
        for images, labels in batches:
            if args.schedule is not None:
                optimiser.lr = float(number(args.schedule(run.step), f"fit: schedule({run.step})", 0))
            optimiser.zero_grad()
            with run.shared(len(labels)) as weight:
                if len(labels):  # a small batch may have no image for this rank
                    outputs = args.model(as_tensor(images))
                    value = args.loss(outputs, labels)
                    _check_loss(run, value)
                    value._backward(run.note_gradient, np.full(value.shape, weight, value.dtype))
                    run.figures = [weight * value.item(), correct(outputs.data, labels)]
            run.check_gradients()
            if args.clip is not None:
                clip_grad_norm(optimiser.parameters, args.clip)
            optimiser.step()
            run.finish_step()
            if run.history.ended:
                break


def _check_loss(run: Run, value: Any) -> None:
    """Raise an error unless the loss is one finite number; at the first step of a pass, note the dead channels."""
    loss, node = one_number("fit", value), value.node
    if not math.isfinite(loss):
        culprit = f" {first_not_finite(node)}" if isinstance(node, Node) else ""
        raise FloatingPointError(f"fit: loss is {loss} at step {run.step:,}.{culprit}")
    if run.step == run.closed and isinstance(node, Node) and not run.current.dead:
        run.current.dead, whole = _dead_shares(node)
        if whole:
            warn(
                f"{whole[0]}: all outputs are 0 for all images of a batch, so no gradient passes through it. Lower the "
                "learning rate? He initialisation?",
                RuntimeWarning,
            )


def _dead_shares(root: Node) -> tuple[dict[str, float], list[Node]]:
    """Return the share of channels that are 0 in the whole batch, for each rectifier of maps.

    The list has the rectifiers, of maps or of units, of which all channels are. A unit has one number per image, so a
    share of units may be 0 in a batch without harm.
    """
    dead: dict[str, float] = {}
    whole = []
    for node in tape.history(root):
        out = node.saved_value("out") if isinstance(node, Node) and node.plan.primitive.rectifies else None
        if isinstance(node, Node) and out is not None and out.size:
            zero = dead_channels(out)
            whole += [node] if zero.all() else []
            if out.ndim > 2:
                dead[_name(node, dead)] = float(zero.mean())
    return dead, whole


def _name(node: Node, others: Mapping[str, float]) -> str:
    """Name an operation after its module, or else after its line; number it if others have this name."""
    name = f"{node.scope[0]}.{node.plan.primitive.name}" if node.scope else str(node)
    numbered = itertools.chain([name], (f"{name} {i}" for i in itertools.count(2)))
    return next(each for each in numbered if each not in others)


@contextmanager
def _ctrl_c(event: threading.Event) -> Iterator[None]:
    """Set an event at the first Ctrl-C, so that no step is cut short. A handler of the user stays in place."""

    def handle(signum: int, frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()

    default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    replaced = default and threading.current_thread() is threading.main_thread()
    if replaced:
        signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        if replaced:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def _bar(run: Run) -> AbstractContextManager[Any]:
    """Return a bar of the images of a run, which only a terminal shows; None where nothing is written."""
    if not run.args.progress or run.ranks.rank:
        return nullcontext()
    with needs("tqdm", "showing progress"):
        from tqdm.auto import tqdm

    done, total = run.images_of(run.step), run.images_of(run.total)
    return tqdm(initial=done, total=total, unit=" images", unit_scale=True, disable=None)
