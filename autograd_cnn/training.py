"""From a model, a loss and an optimiser to a trained model: one loop, what it records, how it is interrupted and resumed.

May import everything but pictures. The loop is the one anybody would write (batch, forward, `zero_grad`, `backward`,
`step`); around it are what a long run needs. A run can stop after any step and go on in another process with not a
bit's difference, because all that decides the next step is kept: parameters and buffers, the optimiser's state, the
number of the step (so the place in the schedule), the order of the images in this epoch and the place in it, and
every random generator.
"""
from __future__ import annotations

import itertools
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

__all__ = ["CheckpointError", "Epoch", "Evaluation", "History", "evaluate", "fit", "load_checkpoint", "predict",
           "save_checkpoint"]

Model = Callable[[Tensor], Tensor]
Loss = Callable[[Tensor, Any], Tensor]
Arrays = NDArray[Any]


@dataclass
class Epoch:
    """What one pass over the images came to: means over its steps, while the model was changing.

    Accuracies are shares; they are None where outputs or labels name no classes, validation where there was none.
    """

    step: int
    loss: float
    accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    seconds: float

    def __str__(self) -> str:
        parts = [f"loss {self.loss:.4f}"]
        if self.accuracy is not None:
            parts.append(f"accuracy {self.accuracy:.1%}")
        if self.validation_loss is not None:
            parts.append(f"validation loss {self.validation_loss:.4f}")
        if self.validation_accuracy is not None:
            parts.append(f"accuracy {self.validation_accuracy:.1%}")
        return ", ".join(parts)


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
    """

    name: str = ""
    losses: list[float] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    interrupted: bool = False

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as JSON."""
        write_atomically(path, json.dumps(spelled(asdict(self)), indent=1, allow_nan=False).encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Read what `save` wrote.

        Raises
        ------
        ValueError
            The file holds something else.
        """
        try:
            with open(path, encoding="utf-8") as file:
                return cls._from(json.load(file))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path}: not a saved History ({error})") from error

    @classmethod
    def _from(cls, record: Mapping[str, Any]) -> History:
        epochs = [
            Epoch(int(e.pop("step")), **{name: None if value is None else float(value) for name, value in e.items()})
            for e in map(dict, record["epochs"])
        ]
        return cls(record["name"], [float(loss) for loss in record["losses"]], epochs, bool(record["interrupted"]))


@dataclass
class Evaluation:
    """How a model does on a set of images.

    Attributes
    ----------
    loss : float
        Over the whole set.
    accuracy : float or None
        Share of the images whose label has the largest output; None where outputs or labels name no classes.
    confusion : array, (K, K) int64, or None
        How many images of each class (rows) were taken for each class (columns).
    outputs : array, (N, ...)
        What the model gave.
    """

    loss: float
    accuracy: float | None
    confusion: NDArray[np.int64] | None
    outputs: Arrays
