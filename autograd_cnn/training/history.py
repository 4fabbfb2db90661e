"""The results of training and of evaluation. Imports NumPy, `autograd_cnn.files` and `autograd_cnn.arrayfile`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.arrayfile import spelled
from autograd_cnn.files import write_atomically


@dataclass
class Epoch:
    """The figures of one pass over the images.

    `loss` and `accuracy` are means over the pass, during which the model changed. Accuracies are shares of the images.
    Figures that were not computed are NaN: those of validation if there are no validation images, and accuracies if
    outputs or labels are not classes.
    """

    step: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float

    def __str__(self) -> str:
        figures = {
            "loss": f"{self.loss:.5f}",
            "accuracy": f"{self.accuracy:.1%}",
            "validation loss": f"{self.validation_loss:.5f}",
            "validation accuracy": f"{self.validation_accuracy:.1%}",
            "time": f"{self.seconds:.1f} s",
        }
        return ", ".join(f"{name} {figure}" for name, figure in figures.items() if "nan" not in figure)


@dataclass(repr=False)
class History:
    """The course of a training run.

    Attributes
    ----------
    name : str
        Describes the images.
    losses : list of float
        One per step.
    epochs : list of Epoch
        One per pass. If the run ended within a pass, the last one covers a part of it.
    interrupted : bool
        Whether Ctrl-C ended the run.

    Examples
    --------
    >>> history = History("shapes (synthetic)", [0.7, 0.6], [Epoch(2, 0.65, 0.1, 0.6, 0.12, 1.5)])
    >>> print(history.epochs[-1])
    loss 0.65000, accuracy 10.0%, validation loss 0.60000, validation accuracy 12.0%, time 1.5 s
    >>> History("digits", [0.7, 0.6])
    History of digits: epochs 0, steps 2
    """

    name: str = ""
    losses: list[float] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    interrupted: bool = False

    def __repr__(self) -> str:
        latest = f", {self.epochs[-1]}" if self.epochs else ""
        return f"History of {self.name or 'a run'}: epochs {len(self.epochs)}, steps {len(self.losses)}{latest}"

    @property
    def best(self) -> int:
        """The index of the pass with the least validation loss, or with the least loss if nothing was validated."""
        figures = np.array([(epoch.validation_loss, epoch.loss) for epoch in self.epochs])
        validated = np.isfinite(figures[:, 0]).any()
        return int(np.nanargmin(figures[:, 0 if validated else 1]))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the History as JSON."""
        write_atomically(path, json.dumps(spelled(asdict(self)), indent=1).encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> History:
        """Read a History that `save` wrote.

        Raises
        ------
        ValueError
            If the file holds no History.
        """
        with open(path, "rb") as file:
            try:
                return cls.from_record(json.load(file))
            except (ValueError, TypeError, KeyError, RecursionError) as error:
                raise ValueError(f"{path}: no saved History ({error!r})") from error

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> History:
        """Build a History from the dict that `dataclasses.asdict` made of one, also after a round trip through JSON."""
        epochs = [
            Epoch(int(epoch["step"]), **{name: float(x) for name, x in epoch.items() if name != "step"})
            for epoch in record["epochs"]
        ]
        return cls(record["name"], [float(x) for x in record["losses"]], epochs, record["interrupted"])


@dataclass
class Evaluation:
    """The results of a model on a set of images.

    Attributes
    ----------
    loss : float
        The loss of the whole set.
    accuracy : float
        Share of the images whose label has the largest output; NaN if outputs or labels are not classes.
    outputs : array, (N, ...)
        The outputs of the model.
    confusion : array, (K, K) int64
        Number of images of each class (rows) that the model took for each class (columns); empty without classes.
    """

    loss: float
    accuracy: float
    outputs: NDArray[Any]
    confusion: NDArray[np.int64]
