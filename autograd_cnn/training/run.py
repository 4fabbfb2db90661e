"""A run of `fit`: its arguments, how far it is, the figures so far, and all that a resumed run needs."""

from __future__ import annotations

import hashlib
import math
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np

from autograd_cnn.arrayfile import write_arrays
from autograd_cnn.data import batches
from autograd_cnn.engine.messages import warn
from autograd_cnn.engine.registry import kernels
from autograd_cnn.engine.tensor import Tensor
from autograd_cnn.environment import plain
from autograd_cnn.files import AnyPath
from autograd_cnn.nn import Module
from autograd_cnn.state import not_finite
from autograd_cnn.training import checkpoint
from autograd_cnn.training.arguments import check_run
from autograd_cnn.training.checkpoint import Contents, all_generators, full_state
from autograd_cnn.training.feeding import fed, prepared
from autograd_cnn.training.history import EARLY_STOP, Epoch, Evaluation, History, number
from autograd_cnn.training.ranks import Array, Ranks


@dataclass
class Pass:
    """Holds the seed of the pass under way, and the sums and figures that its Epoch will have."""

    seed: int | None = None
    correct: float = 0.0  # a number of images
    dead: dict[str, float] = field(default_factory=dict)
    gradients: dict[str, float] = field(default_factory=dict)


class Run:
    """The arguments of `fit`, in `args`, and how far it is. It computes no step.

    A pass that is cut short gets its Epoch in the returned History; the checkpoint still counts it as unfinished.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        check_run(given)
        self.args = args = SimpleNamespace(**given)
        self.ranks: Ranks = args.ranks
        self.sizes = {"images": len(args.images), "batch_size": int(args.batch_size)}
        self.steps_per_pass = sum(1 for _ in batches(args.images, args.labels, args.batch_size))
        self.total = int(args.steps if args.epochs is None else args.epochs * self.steps_per_pass)
        self.history = History(args.name, planned=self.total)
        self.current = Pass()
        self.generators = {} if args.rng is None else {"fit": args.rng}
        self.interrupt = threading.Event()
        self.bar: Any = None
        # of the step under way: its loss, the number of right labels, and from all ranks the reasons to end
        self.figures = [0.0, 0.0]
        self._all_generators = [*all_generators(args.model, self.generators).values()]
        self._buffers = [*args.model.buffers()] if isinstance(args.model, Module) else []
        self._data = _digest(args.images) + _digest(args.labels)
        self._origin = ""  # where a gradient began to be not finite
        self._infinite: Mapping[str, str] | None = None  # arrays that were not finite at the start
        self._began = time.perf_counter()

    def arguments(self) -> dict[str, Any]:
        """Return what has to be the same on all ranks, besides the state of model, optimiser and generators."""
        images, labels = self.args.validation or (None, None)
        given = {**vars(self.args), "validation images": images, "validation labels": labels}
        own = ("time_limit", "progress")  # which rank 0 alone looks at
        return {name: _comparable(value) for name, value in given.items() if name not in own}

    def say(self, text: str) -> None:
        """Write a line above the bar. Paths and names in it cannot steer the terminal."""
        if self.bar is not None:
            self.bar.write(plain(text), file=sys.stderr)

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
        return self.step if self.history.ended else max(self.step, self.total)

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
        limit = self.args.time_limit
        late = limit is not None and self.ranks.rank == 0 and self.elapsed >= limit
        return [float(self.interrupt.is_set()), float(late)]

    def _stop_for(self, interrupted: float, late: float) -> None:
        if interrupted or late:
            self.stop(f"interrupted at step {self.step:,}" if interrupted else "time limit")

    def look_for_reasons(self) -> None:
        """Let the run end if any rank has a reason."""
        self._stop_for(*self.ranks.sum(self._own_reasons()))

    def stop(self, reason: str) -> None:
        """Let the run end after this step or pass, if it is not the last one."""
        if not self.history.ended and self.step < self.total:
            self.history.ended = reason
            self.say(reason)

    def call_back(self) -> None:
        """Let rank 0 call all callbacks, each of which may end the run."""

        def called() -> str:
            for callback in self.args.callbacks:
                if callback(self.history):
                    self.stop(EARLY_STOP)
            return self.history.ended

        self.history.ended = self.ranks.first(called)

    def batches(self) -> AbstractContextManager[Iterator[tuple[Array, Array]]]:
        """Prepare the remaining batches of this pass on a thread, until the ``with`` block ends, as `fed` does."""
        args = self.args
        if self.step == self.closed and args.rng is not None:
            self.current.seed = int(args.rng.integers(2**63))
        items = prepared(
            args.images, args.labels, args.batch_size, self.current.seed, args.augment, self.step - self.closed,
            self.ranks.share,
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
        self.figures = [*self.ranks.sum(figures, self.args.optimiser.parameters, before, weight)]

    def finish_step(self) -> None:
        """Note the figures of a step, which is over, and end the run if there is a reason."""
        loss, correct, *reasons = self.figures
        self.history.losses.append(loss)
        self.current.correct += correct
        if self.bar is not None:
            accuracy = {} if math.isnan(self.accuracy) else {"accuracy": f"{self.accuracy:.1%}"}
            self.bar.set_postfix({"loss": f"{loss:.5f}", **accuracy}, refresh=False)
            self.bar.update(self.images_of(self.step) - self.bar.n)
        self._stop_for(*reasons)

    def close(self, validation: Evaluation | None) -> None:
        """Append the Epoch of this pass, write its line, and look for reasons to end."""
        sizes = np.diff([self.images_of(step) for step in range(self.closed, self.step + 1)])
        loss = float(np.average(self.history.losses[self.closed :], weights=sizes))
        figures = (validation.loss, validation.accuracy) if validation else (math.nan, math.nan)
        now, seconds = self.current, self.elapsed - math.fsum(epoch.seconds for epoch in self.history.epochs)
        epoch = Epoch(
            self.step, loss, self.accuracy, *figures, seconds, float(self.args.optimiser.lr),
            now.gradients, now.dead, int(sizes.sum()) / self.sizes["images"],
        )  # fmt: skip
        self.history.epochs.append(epoch)
        self.current = Pass()
        passes = math.ceil(self.total / self.steps_per_pass)
        cut = f", step {len(sizes):,} of {self.steps_per_pass:,}" if epoch.part < 1 else ""
        self.say(f"epoch {len(self.history.epochs)}/{passes}{cut}: {epoch}")
        self.look_for_reasons()

    def compare(self, when: str) -> None:
        """Raise an error unless all ranks are in the same state, bit for bit."""

        def state() -> dict[str, Any]:
            arrays, record = full_state(self.args.model, self.args.optimiser, self.generators)
            names = {f"generator.{name}": bits for name, bits in record["generators"].items()}
            return {**arrays, **names, "settings": (self.sizes, self.total, record["optimiser"])}

        self.ranks.compare(state, f"fit: {when}")

    def check_gradients(self) -> None:
        """Raise an error, before the step, if a gradient is not finite."""
        for i, p in enumerate(self.args.optimiser.parameters):
            grad = p.grad.data if isinstance(p.grad, Tensor) else p.grad
            if grad is not None and (bad := not_finite(grad)):
                raise FloatingPointError(
                    f"fit: the gradient of {p.name or f'parameter {i}'} is {bad} at step {self.step:,}, though the "
                    f"loss is {self.figures[0]:.5g}. Nothing was changed. {self._origin}The slope of a root, a norm or "
                    "a logarithm is infinite at 0: add a small number there, as in ag.sqrt(x + 1e-12). If numbers have "
                    "grown too large: a lower learning rate"
                )
        self._origin = ""  # it was of a leaf that is not trained

    def note_gradient(self, problem: str, began: str) -> None:
        """Note where a gradient began to be not finite, for `check_gradients`."""
        self._origin = self._origin or (f"{began}. " if began else "")

    def checked_state(self) -> Contents:
        """Return the state of the run, or raise an error if a number is not finite, and was at the first such check."""
        state = full_state(self.args.model, self.args.optimiser, self.generators)
        found = checkpoint.names_not_finite(*state)
        if self._infinite is None:
            self._infinite = found
        for name, bad in found.items():
            if name not in self._infinite:
                raise FloatingPointError(
                    f"fit: {name} is {bad} after step {self.step:,}, and was finite before. A checkpoint is unchanged: "
                    "it is of an earlier step. A lower learning rate, or clip=1, keeps numbers small; so do images in "
                    "[0, 1]"
                )
        return state

    def save(self) -> None:
        """Check all numbers, note the norms of the gradients and, if there is a path, write a checkpoint."""
        arrays, record = self.checked_state()
        norms = {
            p.name or f"parameter {i}": float(np.sqrt(np.square(np.abs(p.grad), dtype=np.float64).sum()))
            for i, p in enumerate(self.args.optimiser.parameters)
            if p.grad is not None
        }
        self.current.gradients = norms or self.current.gradients  # those of before, if it resumed at the end of a pass
        if self.args.checkpoint is None or self.ranks.rank:
            return
        whose = {"sizes": self.sizes, "data": self._data, "kernels": kernels()}
        progress = {"history": asdict(self.history), "pass": asdict(self.current), "elapsed": self.elapsed}
        write_arrays(self.args.checkpoint, arrays, {**record, "state": {**whose, **progress}})

    def resume(self, path: AnyPath) -> None:
        """Continue from a checkpoint: restore the run, the model, the optimiser and the generators, or change nothing.

        Raises
        ------
        CheckpointError
            If the checkpoint does not match.
        """
        contents, args = self.ranks.first(checkpoint.read_checkpoint, path), self.args
        history, self.current, elapsed, before = checkpoint.restore_state(
            path, contents, args.model, args.optimiser, self.generators, self._progress
        )
        self.history = replace(history, name=self.history.name, ended="", planned=self.total)
        self._began = time.perf_counter() - elapsed
        if before != (now := kernels()) and self.ranks.rank == 0:
            warn(f"{path}: the run began with the kernels {before}, and goes on with {now}: last digits will differ")

    def _progress(self, state: Mapping[str, Any]) -> tuple[History, Pass, float, str]:
        """Return how far a checkpoint is, and its kernels, or raise an error if it is of another run."""
        if state.get("sizes") != self.sizes:
            raise ValueError(f"the checkpoint is of a run with {state.get('sizes')}, want {self.sizes}")
        if state["data"] != self._data:
            raise ValueError(
                "the checkpoint is of a run with other images or labels, or with the same in another order. Were they "
                "split or shuffled with another seed? For a new run: another checkpoint="
            )
        current = Pass(**{name: number(x) for name, x in state["pass"].items()})
        return History.from_record(state["history"]), current, float(state["elapsed"]), state.get("kernels", kernels())


def _comparable(value: Any) -> Any:
    """Return an array as it is, a number as float, and of anything else whether it is given."""
    if isinstance(value, np.ndarray):
        return value
    return "missing" if value is None else float(value) if isinstance(value, int | float | np.number) else "given"


def _digest(array: Array) -> str:
    """Return what tells data from others: of integers a hash of some hundred rows, as floats are rounded elsewhere."""
    form = f"{array.shape[1:]} {array.dtype}".encode()
    rows = array[:: -(-len(array) // 256)] if array.dtype.kind in "biu" else array[:0]
    return hashlib.sha256(form + np.ascontiguousarray(rows).tobytes()).hexdigest()[:16]
