"""The course of a training run: losses by step, figures by pass."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from autograd_cnn.arrayfile import spelled
from autograd_cnn.files import write_atomically


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
        figures = {
            "loss": f"{self.loss:.5f}",
            "accuracy": f"{self.accuracy:.1%}",
            "validation loss": f"{self.validation_loss:.5f}",
            "validation accuracy": f"{self.validation_accuracy:.1%}",
            "time": f"{self.seconds:.1f} s",
        }
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
    loss 0.65000, accuracy 10.0%, validation loss 0.60000, validation accuracy 12.0%, time 1.5 s
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
            Epoch(int(epoch["step"]), **{name: float(x) for name, x in epoch.items() if name != "step"})
            for epoch in record["epochs"]
        ]
        return cls(record["name"], [float(x) for x in record["losses"]], epochs, record["interrupted"])
