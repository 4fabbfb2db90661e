"""The state of a run of `fit`: how far it is, the figures so far, and all that a resumed run needs."""

from __future__ import annotations

import errno
import hashlib
import math
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from autograd_cnn.arrayfile import CheckpointError, read_arrays
from autograd_cnn.distributed import Ranks
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.optim import Optimiser
from autograd_cnn.state import not_finite
from autograd_cnn.training.checkpoint import check_checkpoint, full_state, names_not_finite, save_checkpoint
from autograd_cnn.training.feeding import Augment, prepared
from autograd_cnn.training.history import Epoch, Evaluation, History, number

Array = NDArray[Any]
LARGE = 1e6  # among the inputs of a network


@dataclass
class Pass:
    """Holds the seed of the pass under way, and the sums and figures that its Epoch will have."""

    seed: int | None = None
    correct: float = 0.0  # a number of images
    seconds: float = 0.0
    waited: float = 0.0
    dead: dict[str, float] = field(default_factory=dict)
    silent: dict[str, float] = field(default_factory=dict)
    gradients: dict[str, float] = field(default_factory=dict)


class Run:
    """The state of a run, besides the model and the optimiser.

    A pass that is cut short gets its Epoch in the returned History; the checkpoint still counts it as unfinished.
    """

    def __init__(
        self,
        name: str,
        rng: Generator | None,
        images: Array,
        labels: Array,
        batch_size: int,
        epochs: int | None,
        steps: int | None,
        ranks: Ranks,
    ) -> None:
        self.history = History(name)
        self.rng, self.ranks = rng, ranks
        self._inputs = images
        self.sizes = {"images": len(images), "batch_size": int(batch_size)}
        self.steps_per_pass = math.ceil(len(images) / batch_size)
        self._data = _digest(images) + _digest(labels)
        self.total = int(steps) if steps is not None else int(epochs or 0) * self.steps_per_pass
        self.current = Pass()
        self._written: tuple[int, int] | None = None  # the stamp of the checkpoint that this run has read or written
        self._origin = ""  # where a gradient began to be not finite
        self._infinite: Mapping[str, str] | None = None  # arrays that were not finite at the start
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
    def generators(self) -> dict[str, Generator]:
        return {} if self.rng is None else {"fit": self.rng}

    @property
    def images_of_step(self) -> int:
        """The number of images in the batch of the step under way."""
        return self.images(self.step + 1) - self.images(self.step)

    def images(self, step: int) -> int:
        """Return the number of images in the first `step` steps."""
        passes, batches = divmod(step, self.steps_per_pass)
        return passes * self.sizes["images"] + batches * self.sizes["batch_size"]

    def batches(self, images: Array, labels: Array, augment: Augment | None) -> Iterator[tuple[Array, Array]]:
        """Draw the seed of this pass, if it is new, and return an iterator over its remaining batches."""
        if self.step == self.closed and self.rng is not None:
            self.current.seed = int(self.rng.integers(2**63))
        start = self.step - self.closed
        remaining = prepared(
            images, labels, self.sizes["batch_size"], self.current.seed, augment, start, self.ranks.share
        )
        return islice(remaining, max(self.end - self.step, 0))

    def add(self, loss: float, correct: float, seconds: float, waited: float) -> None:
        """Count a step."""
        self.history.losses.append(loss)
        self.current.correct += correct
        self.current.seconds += seconds
        self.current.waited += waited

    @property
    def accuracy(self) -> float:
        """The share of correct labels among the images of this pass so far."""
        return self.current.correct / (self.images(self.step) - self.images(self.closed))

    def close(self, validation: Evaluation | None, optimiser: Optimiser) -> None:
        """Append the Epoch of this pass."""
        sizes = np.diff([self.images(step) for step in range(self.closed, self.step + 1)])
        loss = float(np.average(self.history.losses[self.closed :], weights=sizes))
        figures = (validation.loss, validation.accuracy) if validation else (math.nan, math.nan)
        now = self.current
        epoch = Epoch(
            self.step, loss, self.accuracy, *figures, now.seconds, now.waited, float(optimiser.lr),
            self._gradients(optimiser), now.dead, int(sizes.sum()) / self.sizes["images"], now.silent,
        )  # fmt: skip
        self.history.epochs.append(epoch)
        self.current = Pass()

    def compare(self, when: str, model: Any, optimiser: Optimiser) -> None:
        """Raise an error unless all ranks are in the same state, bit for bit."""

        def state() -> dict[str, Any]:
            arrays, settings, generators = full_state(model, optimiser, self.generators)
            names = {f"generator.{name}": bits for name, bits in generators.items()}
            return {**arrays, **names, "settings": (self.sizes, self.total, settings)}

        self.ranks.compare(state, f"fit: {when}")

    def note_gradient(self, problem: str, began: str) -> None:
        """Note where a gradient began to be not finite, for `check_gradients`."""
        self._origin = self._origin or (f"{began}. " if began else "")

    def check_gradients(self, loss: float, optimiser: Optimiser) -> None:
        """Raise an error, before the step, if a gradient is not finite."""
        for i, p in enumerate(optimiser.parameters):
            grad = p.grad.data if isinstance(p.grad, Tensor) else p.grad
            if grad is not None and (bad := not_finite(grad)):
                raise FloatingPointError(
                    f"fit: the gradient of {p.name or f'parameter {i}'} is {bad} at step {self.step:,}, though the "
                    f"loss is {loss:.5g}. Nothing was changed. {self._origin}The slope of a root, a norm or a "
                    "logarithm is infinite at 0: add a small number there, as in ag.sqrt(x + 1e-12). If numbers have "
                    f"grown too large: a lower learning rate{self._large_inputs()}"
                )
        self._origin = ""  # it was of a leaf that is not trained

    def check_state(self, model: Any, optimiser: Optimiser) -> None:
        """Raise an error if a number of the model or the optimiser is not finite, and was when the run began."""
        found = names_not_finite(model, optimiser)
        if self._infinite is None:
            self._infinite = found
        for name, bad in found.items():
            if name not in self._infinite:
                raise FloatingPointError(
                    f"fit: {name} is {bad} after step {self.step:,}, and was finite before. A checkpoint is unchanged: "
                    "it is of an earlier step. A lower learning rate, or clip=1, keeps numbers small"
                    f"{self._large_inputs()}"
                )

    def _large_inputs(self) -> str:
        """Return a sentence on very large numbers in the images, or "" if there are none."""
        x = self._inputs
        largest = max(float(x.max()), -float(x.min())) if x.dtype.kind == "f" and x.size else 0.0
        return f". The images may be the cause: they hold numbers as large as {largest:.3g}" if largest > LARGE else ""

    def save(self, path: str | os.PathLike[str], model: Any, optimiser: Optimiser) -> None:
        """Write a checkpoint, on rank 0."""
        if self.step > self.closed:
            self.current.gradients = self._gradients(optimiser)
        state = {
            "history": asdict(self.history),
            "sizes": self.sizes,
            "data": self._data,
            "pass": asdict(self.current),
            "elapsed": self.elapsed,
        }
        if _stamp(path) not in (None, self._written):
            raise OSError(
                errno.EBUSY, "another run has written this checkpoint since this one began; end one of them", str(path)
            )
        save_checkpoint(path, model, optimiser, self.generators, state)
        self._written = _stamp(path)

    def resume(self, path: str | os.PathLike[str], model: Any, optimiser: Optimiser) -> None:
        """Continue from a checkpoint: restore the run, the model, the optimiser and the generators, or change nothing.

        Raises
        ------
        CheckpointError
            If the checkpoint does not match.
        """
        self._written = _stamp(path)
        state, restore = check_checkpoint(path, self.ranks.first(read_arrays, path), model, optimiser, self.generators)
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
        self.history, self.current = replace(history, name=self.history.name), current
        self._began = time.perf_counter() - elapsed
        restore()

    def _gradients(self, optimiser: Optimiser) -> dict[str, float]:
        """Return the norm of the gradient of each parameter; those noted before, if the run has resumed since."""
        norms = {
            p.name or f"parameter {i}": float(np.sqrt(np.square(p.grad, dtype=np.float64).sum()))
            for i, p in enumerate(optimiser.parameters)
            if p.grad is not None
        }
        return norms or self.current.gradients


def _digest(array: Array) -> str:
    """Return what tells data from others: of integers a hash of some hundred rows, as floats are rounded elsewhere."""
    form = f"{array.shape[1:]} {array.dtype}".encode()
    rows = array[:: -(-len(array) // 256)] if array.dtype.kind in "biu" else array[:0]
    return hashlib.sha256(form + np.ascontiguousarray(rows).tobytes()).hexdigest()[:16]


def _stamp(path: str | os.PathLike[str]) -> tuple[int, int] | None:
    """Return what tells one version of a file from the next, or None if there is no file."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns
