"""Callbacks, the checkpoint, Ctrl-C and the progress on stderr, which `fit` looks after between the steps of a run."""

from __future__ import annotations

import errno
import math
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from autograd_cnn.arrayfile import write_arrays
from autograd_cnn.environment import needs, plain
from autograd_cnn.nn import Module
from autograd_cnn.training.arguments import check, described
from autograd_cnn.training.health import Health
from autograd_cnn.training.history import History
from autograd_cnn.training.run import Run

Callback = Callable[[History], object]
EARLY_STOP = "early stop"


def check_callbacks(callbacks: Sequence[Any]) -> None:
    """Raise an error unless all callbacks can be called."""
    for i, callback in enumerate(callbacks):
        if not callable(callback):
            cure = "folder.callback(model)" if hasattr(callback, "callback") else "a function of the History"
            raise TypeError(f"fit: callbacks[{i}] is {described(callback)}, want {cure}")


def called(run: Run, callbacks: Sequence[Callback]) -> str:
    """Call all callbacks; return why the run ends, if it does."""
    for callback in callbacks:
        if reason := callback(run.history):
            run.stop(f"{EARLY_STOP}: {reason}" if isinstance(reason, str) else EARLY_STOP)
    return run.history.ended


class Checkpoint:
    """Writes the checkpoint after every so many steps, and after each pass; without a path, checks the numbers only."""

    def __init__(self, run: Run, health: Health, path: str | os.PathLike[str] | None, every: int | None) -> None:
        if path is None and every is not None:
            raise ValueError(
                f"fit: every is {every}, but there is no checkpoint to write: checkpoint='last.safetensors'"
            )
        if path is not None and run.ranks.rank == 0:
            _check_place(path)
        self.run, self.health, self.path, self.every = run, health, path, every

    def save(self) -> None:
        state = self.health.checked_state()
        if self.path is not None and self.run.ranks.rank == 0:
            self.run.save(self.path, state)

    def on_step(self) -> None:
        if self.every and self.run.step % self.every == 0 and not self.run.history.ended:
            self.save()

    def on_pass(self) -> None:
        if self.run.history.epochs[-1].part == 1:  # else a resumed run completes the pass
            self.save()


def _check_place(path: str | os.PathLike[str]) -> None:
    """Raise an error unless the file can be written, as far as its folder shows, before hours of work are in it."""
    with needs("safetensors", "fit(checkpoint=...)"):
        import safetensors  # noqa: F401
    if os.path.isdir(path) or not os.access(os.path.dirname(os.path.realpath(path)), os.W_OK):
        raise OSError(
            errno.EACCES, "fit: checkpoint wants a file in a folder that exists and can be written", os.fspath(path)
        )


@contextmanager
def ctrl_c(event: threading.Event) -> Iterator[None]:
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


def early_stop(patience: int) -> Callable[[History], str]:
    """End a run when `patience` passes have gone by without a better one.

    Passes are compared by validation loss, or by training loss if nothing was validated. All of them are in the
    History, so a run that was interrupted and resumed ends after the same pass.

    Examples
    --------
    >>> from autograd_cnn.training import Epoch, History
    >>> losses = [0.9, 0.5, 0.6, 0.7]
    >>> history = History("", losses, [Epoch(i + 1, x, 1.0, x, 1.0, 1.0) for i, x in enumerate(losses)])
    >>> early_stop(2)(history), early_stop(3)(history)
    ('no better pass in 2', '')
    """
    check("early_stop", patience=patience)
    return lambda history: f"no better pass in {patience}" * (len(history.epochs) - 1 - history.best >= patience)


def keep_best(path: str | os.PathLike[str], model: Module) -> Callable[[History], None]:
    """Save the weights of `model` after each pass that is better than all before.

    Passes are compared as by `early_stop`. ``ag.interop.load_weights(path, model)`` reads the file.
    """
    if not isinstance(model, Module):
        raise TypeError(f"keep_best: model is {type(model).__name__}, want a Module: keep_best(path, model)")

    def save(history: History) -> None:
        if history.best == len(history.epochs) - 1:
            write_arrays(path, model.state_dict(), {})

    return save


class Progress:
    """A bar of the images of a run, with images per second, time left, loss and accuracy, and lines above it."""

    def __init__(self, run: Run, shown: bool) -> None:
        self.run = run
        self._bar: Any = None
        self._told = ""  # the reason to end that was written
        if shown:
            with needs("tqdm", "showing progress"):
                from tqdm.auto import tqdm

            done, total = run.images_of(run.step), run.images_of(run.total)
            self._bar = tqdm(initial=done, total=total, unit=" images", unit_scale=True, disable=None)  # on a terminal

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *error: object) -> None:
        self._tell()
        if self._bar is not None:
            self._bar.close()

    def line(self, text: str) -> None:
        """Write a line above the bar. Paths and names in it cannot steer the terminal."""
        if self._bar is not None:
            self._bar.write(plain(text), file=sys.stderr)

    def on_step(self) -> None:
        """Move the bar to the step of the run, with its loss, and the accuracy of the pass so far."""
        if self._bar is not None:
            figures = {"loss": f"{self.run.history.losses[-1]:.5f}"}
            if not math.isnan(self.run.accuracy):
                figures["accuracy"] = f"{self.run.accuracy:.1%}"
            self._bar.set_postfix(figures, refresh=False)
            self._bar.update(self.run.images_of(self.run.step) - self._bar.n)
        self._tell()

    def on_pass(self) -> None:
        """Write the figures of the latest pass; of one that was cut short, also how far it got."""
        self._tell()
        run, epochs = self.run, self.run.history.epochs
        cut = ""
        if epochs[-1].part < 1:
            begun = epochs[-2].step if len(epochs) > 1 else 0
            cut = f", step {epochs[-1].step - begun:,} of {run.steps_per_pass:,}"
        self.line(f"epoch {len(epochs)}/{math.ceil(run.total / run.steps_per_pass)}{cut}: {epochs[-1]}")

    def _tell(self) -> None:
        """Write why the run ends, once."""
        if self.run.history.ended != self._told:
            self._told = self.run.history.ended
            self.line(self._told)
