"""The results of training and of evaluation."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn import plots
from autograd_cnn.environment import plain

EARLY_STOP = "early stop"  # the reason to end, if a callback wants it


@dataclass
class Epoch:
    """The figures of one pass over the images.

    Figures that were not computed are NaN: those of validation if there are no validation images, and accuracies if
    outputs or labels are not classes.

    Attributes
    ----------
    step : int
        The number of steps from the beginning of the run to the end of the pass.
    loss, accuracy : float
        Means over the pass, during which the model changed. Accuracies are shares of the images.
    validation_loss, validation_accuracy : float
        Validation uses the model as it is after the pass.
    seconds : float
        The time since the pass before, with evaluation; so callbacks and saving count for the next pass.
    rate : float
        The learning rate of the last step.
    gradients : dict of str to float
        The norm of the gradient of each parameter at the last step, after clipping.
    dead : dict of str to float
        For each rectifier of maps, (N, H, W, C), the share of its channels that were 0 for the whole first batch, or
        the first part of it.
    part : float
        The share of the images that was used: less than 1 if the run ended within the pass.
    """

    step: int
    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float
    seconds: float
    rate: float = math.nan
    gradients: dict[str, float] = field(default_factory=dict)
    dead: dict[str, float] = field(default_factory=dict)
    part: float = 1.0

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
    ended : str
        Why the run ended early: ``"interrupted at step 47"`` (Ctrl-C), ``"time limit"`` or ``"early stop"``, which a
        callback wanted; else empty.
    planned : int
        The number of steps of the whole run.

    Examples
    --------
    >>> history = History("shapes (synthetic)", [0.7, 0.6], [Epoch(2, 0.65, 0.1, 0.6, 0.12, 1.5)])
    >>> print(history.epochs[-1])
    loss 0.65000, accuracy 10.0%, validation loss 0.60000, validation accuracy 12.0%, time 1.5 s
    >>> History("digits", [0.7, 0.6], ended="interrupted at step 2")
    History of digits: epochs 0, steps 2, interrupted at step 2
    """

    name: str = ""
    losses: list[float] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    ended: str = ""
    planned: int = 0

    def __repr__(self) -> str:
        count = f"epochs {len(self.epochs)}, steps {len(self.losses)}"
        return f"History of {plain(self.name) or 'a run'}: {', '.join(filter(None, [count, self.ended]))}"

    def _repr_png_(self) -> bytes | None:
        """Return the curve for a notebook, unless matplotlib or losses are missing."""
        return plots.content(plots.loss_curve(self), ".png") if self.losses and find_spec("matplotlib") else None

    @property
    def best(self) -> int:
        """The index of the pass with the least validation loss, or with the least loss if nothing was validated.

        A pass that was cut short counts only if there is no other, because a resumed run completes it.
        """
        cut = bool(self.ended) and self.epochs[-1].part < 1 and len(self.epochs) > 1
        figures = np.array([(epoch.validation_loss, epoch.loss) for epoch in self.epochs[: -1 if cut else None]])
        validated = np.isfinite(figures[:, 0]).any()
        return int(np.nanargmin(figures[:, 0 if validated else 1]))

    @property
    def since_best(self) -> int:
        """The number of passes since the best one: 0 after a pass that is better than all before.

        ``lambda history: history.since_best >= 3`` is a callback of `fit` that ends a run which no longer improves.

        Examples
        --------
        >>> losses = [0.9, 0.5, 0.6, 0.7]
        >>> History("", losses, [Epoch(i + 1, x, 1.0, x, 1.0, 1.0) for i, x in enumerate(losses)]).since_best
        2
        """
        return len(self.epochs) - 1 - self.best

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> History:
        """Build a History from the dict that `dataclasses.asdict` made of one, also after a round trip through JSON."""
        epochs = [Epoch(**{name: number(x) for name, x in epoch.items()}) for epoch in record["epochs"]]
        losses = [float(x) for x in record["losses"]]
        return cls(str(record["name"]), losses, epochs, str(record["ended"]), int(record["planned"]))


Callback = Callable[[History], object]


def number(value: Any) -> Any:
    """Return a number, or a dict of numbers, as JSON holds it: NaN and infinities are strings there."""
    if isinstance(value, Mapping):
        return {name: float(x) for name, x in value.items()}
    return value if value is None or isinstance(value, int) else float(value)


@dataclass(repr=False)
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

    Examples
    --------
    The loss of each image, and the image whose loss is greatest:

    >>> import autograd_cnn as ag
    >>> images, labels = np.array([[2.0, 0.0], [0.0, 3.0], [1.0, 0.0]]), np.array([0, 1, 1])
    >>> result = ag.training.evaluate(lambda x: x, ag.cross_entropy, images, labels)
    >>> losses = ag.cross_entropy(result.outputs, labels, reduction="none")
    >>> losses.round(3), int(losses.argmax())
    (array([0.127, 0.049, 1.313]), 2)
    """

    loss: float
    accuracy: float
    outputs: NDArray[Any]
    confusion: NDArray[np.int64]

    def __repr__(self) -> str:
        return f"Evaluation: loss {self.loss:.5f}, accuracy {self.accuracy:.1%}, outputs {self.outputs.shape}"
