"""Shows the progress of `fit` on stderr: as lines, with a bar on a terminal."""

from __future__ import annotations

import math
import sys
from typing import Any

from autograd_cnn.environment import needs, plain
from autograd_cnn.training.run import Run


class Progress:
    """A bar of the images of a run, with images per second, time left, loss and accuracy, and lines above it."""

    def __init__(self, run: Run, shown: bool) -> None:
        self.run = run
        self._bar: Any = None
        self._told = ""  # the reason to end that was written
        if shown:
            with needs("tqdm", "showing progress"):
                from tqdm import tqdm

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
