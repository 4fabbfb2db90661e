"""The state of a run of `fit`: how far it is, the figures so far, and all that a resumed run needs."""

from __future__ import annotations

import hashlib
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.random import Generator

from autograd_cnn.arrayfile import CheckpointError, read_arrays
from autograd_cnn.data import batches
from autograd_cnn.engine.messages import warn
from autograd_cnn.engine.registry import kernels
from autograd_cnn.nn import Module
from autograd_cnn.optim.optimiser import Steps
from autograd_cnn.training.arguments import check_set
from autograd_cnn.training.checkpoint import State, all_generators, check_checkpoint, full_state, write_state
from autograd_cnn.training.feeding import Augment, fed, prepared
from autograd_cnn.training.history import Epoch, Evaluation, History, number
from autograd_cnn.training.ranks import Array, Ranks


@dataclass
class Pass:
    """Holds the seed of the pass under way, and the sums and figures that its Epoch will have."""

    seed: int | None = None
    correct: float = 0.0  # a number of images
    waited: float = 0.0
    dead: dict[str, float] = field(default_factory=dict)
    silent: dict[str, float] = field(default_factory=dict)
    gradients: dict[str, float] = field(default_factory=dict)


class Run:
    """How far a run is. It knows its model, optimiser, images and ranks, but computes no step.

    A pass that is cut short gets its Epoch in the returned History; the checkpoint still counts it as unfinished.
    """

    def __init__(
        self, model: Any, optimiser: Steps, images: Array, labels: Array, rng: Generator | None, epochs: int | None,
        steps: int | None, batch_size: int, augment: Augment | None, time_limit: float | None, name: str, ranks: Ranks,
    ) -> None:  # fmt: skip
        if (epochs is None) == (steps is None):
            raise TypeError("fit: pass one of epochs= and steps=")
        if augment is not None and rng is None:
            raise ValueError("fit: augment draws random numbers from rng: rng=np.random.default_rng(0)")
        check_set("fit", images, labels)
        self.model, self.optimiser, self.images, self.labels = model, optimiser, images, labels
        self.rng, self.augment, self.ranks = rng, augment, ranks
        self.sizes = {"images": len(images), "batch_size": int(batch_size)}
        self.steps_per_pass = sum(1 for _ in batches(images, labels, int(batch_size)))
        self.total = int(steps) if steps is not None else int(epochs or 0) * self.steps_per_pass
        self.history = History(name, planned=self.total)
        self.current = Pass()
        self.generators = {} if rng is None else {"fit": rng}
        self.time_limit, self.interrupt = time_limit, threading.Event()
        self._all_generators = [*all_generators(model, self.generators).values()]
        self._buffers = [*model.buffers()] if isinstance(model, Module) else []
        self._data = _digest(images) + _digest(labels)
        # of the step under way: its loss, the number of right labels, and from all ranks the reasons to end
        self.figures = [0.0, 0.0]
        self._began = time.perf_counter()

    @property
    def step(self) -> int:
        return len(self.history.losses)

    @property
    def closed(self) -> int:
        """The number of steps in the passes that have an Epoch."""
        return self.history.epochs[-1].step if self.history.epochs else 0

    @property
    def end(self) -> int:
        """The step at which the run will end unless something stops it earlier."""
        return self.step if self.history.ended else self.total

    @property
    def elapsed(self) -> float:
        """The seconds since the run began, without the time between a stop and its resumption."""
        return time.perf_counter() - self._began

    @property
    def accuracy(self) -> float:
        """The share of correct labels among the images of this pass so far."""
        return self.current.correct / (self.images_of(self.step) - self.images_of(self.closed))

    def images_of(self, step: int) -> int:
        """Return the number of images in the first `step` steps."""
        passes, batches = divmod(step, self.steps_per_pass)
        return passes * self.sizes["images"] + batches * self.sizes["batch_size"]

    def _own_reasons(self) -> list[float]:
        """Return 1 or 0 for each reason to end that this rank has now: Ctrl-C, and the time limit, which rank 0 has."""
        late = self.time_limit is not None and self.ranks.rank == 0 and self.elapsed >= self.time_limit
        return [float(self.interrupt.is_set()), float(late)]

    def _stop_for(self, interrupted: float, late: float) -> None:
        if interrupted:
            self.stop(f"interrupted at step {self.step:,}")
        elif late:
            self.stop("time limit")

    def look_for_reasons(self) -> None:
        """Let the run end if any rank has a reason."""
        self._stop_for(*self.ranks.sum(self._own_reasons()))

    def stop(self, reason: str) -> None:
        """Let the run end after this step or pass, if it is not the last one."""
        if not self.history.ended and self.step < self.total:
            self.history.ended = reason

    def batches(self) -> AbstractContextManager[Iterator[tuple[tuple[Array, Array], float]]]:
        """Prepare the remaining batches of this pass on a thread, until the ``with`` block ends, as `fed` does."""
        if self.step == self.closed and self.rng is not None:
            self.current.seed = int(self.rng.integers(2**63))
        items = prepared(
            self.images, self.labels, self.sizes["batch_size"], self.current.seed, self.augment,
            self.step - self.closed, self.ranks.share,
        )  # fmt: skip
        return fed(islice(items, max(self.end - self.step, 0)))

    @contextmanager
    def shared(self, count: int) -> Iterator[float]:
        """Let this rank compute with `count` images, its share of a batch; then add up what all ranks computed.

        Yields the part of the batch that these images are: 1 if this is the only rank.
        """
        weight = count / (self.images_of(self.step + 1) - self.images_of(self.step))
        before = [(buffer, buffer.data) for buffer in self._buffers]
        self.figures = [0.0, 0.0]
        with self.ranks.own_draws(self._all_generators, [self.current.seed or 0, self.step]):
            yield weight
        figures = [*self.figures, *self._own_reasons()]
        self.figures = [*self.ranks.sum(figures, self.optimiser.parameters, before, weight)]

    def finish_step(self) -> None:
        """Note the figures of a step, which is over, and end the run if there is a reason."""
        loss, correct, *reasons = self.figures
        self.history.losses.append(loss)
        self.current.correct += correct
        self._stop_for(*reasons)

    def close(self, validation: Evaluation | None) -> None:
        """Append the Epoch of this pass, and look for reasons to end."""
        sizes = np.diff([self.images_of(step) for step in range(self.closed, self.step + 1)])
        loss = float(np.average(self.history.losses[self.closed :], weights=sizes))
        figures = (validation.loss, validation.accuracy) if validation else (math.nan, math.nan)
        now, seconds = self.current, self.elapsed - math.fsum(epoch.seconds for epoch in self.history.epochs)
        epoch = Epoch(
            self.step, loss, self.accuracy, *figures, seconds, now.waited, float(self.optimiser.lr),
            self._gradients(), now.dead, int(sizes.sum()) / self.sizes["images"], now.silent,
        )  # fmt: skip
        self.history.epochs.append(epoch)
        self.current = Pass()
        self.look_for_reasons()

    def state(self) -> State:
        """Return the arrays, settings and generators that determine the next step."""
        return full_state(self.model, self.optimiser, self.generators)

    def compare(self, when: str) -> None:
        """Raise an error unless all ranks are in the same state, bit for bit."""

        def state() -> dict[str, Any]:
            arrays, settings, generators = self.state()
            names = {f"generator.{name}": bits for name, bits in generators.items()}
            return {**arrays, **names, "settings": (self.sizes, self.total, settings)}

        self.ranks.compare(state, f"fit: {when}")

    def save(self, path: str | os.PathLike[str], state: State) -> None:
        """Write a checkpoint with the state of model, optimiser and generators."""
        if self.step > self.closed:
            self.current.gradients = self._gradients()
        progress = {
            "history": asdict(self.history),
            "sizes": self.sizes,
            "data": self._data,
            "pass": asdict(self.current),
            "elapsed": self.elapsed,
            "kernels": kernels(),
        }
        write_state(path, state, progress)

    def resume(self, path: str | os.PathLike[str]) -> str:
        """Continue from a checkpoint: restore the run, the model, the optimiser and the generators, or change nothing.

        Returns
        -------
        str
            Why the run had ended, or "".

        Raises
        ------
        CheckpointError
            If the checkpoint does not match.
        """
        contents = self.ranks.first(read_arrays, path)
        state, restore = check_checkpoint(path, contents, self.model, self.optimiser, self.generators)
        if state.get("sizes") != self.sizes:
            raise CheckpointError(f"fit: the checkpoint is of a run with {state.get('sizes')}, want {self.sizes}")
        try:
            history, elapsed = History.from_record(state["history"]), float(state["elapsed"])
            data = str(state["data"])
            current = Pass(**{name: number(x) for name, x in state["pass"].items()})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"{path}: not from this version of fit ({error!r})") from error
        if data != self._data:
            raise CheckpointError(
                f"{path}: the checkpoint is of a run with other images or labels, or with the same in another order. "
                "Were they split or shuffled with another seed? For a new run: another checkpoint="
            )
        before, now = state.get("kernels", kernels()), kernels()
        if before != now and self.ranks.rank == 0:
            warn(f"{path}: the run began with the kernels {before}, and goes on with {now}: last digits will differ")
        self.history = replace(history, name=self.history.name, ended="", planned=self.total)
        self.current = current
        self._began = time.perf_counter() - elapsed
        restore()
        return history.ended

    def _gradients(self) -> dict[str, float]:
        """Return the norm of the gradient of each parameter; those noted before, if the run has resumed since."""
        norms = {
            p.name or f"parameter {i}": float(np.sqrt(np.square(np.abs(p.grad), dtype=np.float64).sum()))
            for i, p in enumerate(self.optimiser.parameters)
            if p.grad is not None
        }
        return norms or self.current.gradients


def _digest(array: Array) -> str:
    """Return what tells data from others: of integers a hash of some hundred rows, as floats are rounded elsewhere."""
    form = f"{array.shape[1:]} {array.dtype}".encode()
    rows = array[:: -(-len(array) // 256)] if array.dtype.kind in "biu" else array[:0]
    return hashlib.sha256(form + np.ascontiguousarray(rows).tobytes()).hexdigest()[:16]
