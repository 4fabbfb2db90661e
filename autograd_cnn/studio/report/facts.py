"""Collects the facts of a run, which the page and the text both show: figures, passes, mistakes, confusions.

Every number is formatted here once, so that the page and the text agree.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from autograd_cnn.training import Epoch, Evaluation, History

Array = NDArray[Any]


class Mistake(NamedTuple):
    """A test image that the model got wrong: what it is, what the model says, and the probabilities of both."""

    image: int
    label: int
    guess: int
    confidence: float
    chance: float


class Table(NamedTuple):
    """A table of formatted numbers, which the page and the text both show; the first column names the rows."""

    heads: list[str]
    rows: list[list[str]]


class Pair(NamedTuple):
    """Two classes that the model confuses: the images of `first` that it took for `second`, the reverse, and both."""

    total: int
    first: int
    second: int
    forth: int
    back: int


COLUMNS = {  # of the table of passes: the attribute of an Epoch, and its format
    "loss": ("loss", "{:.4f}"),
    "accuracy": ("accuracy", "{:.2%}"),
    "val. loss": ("validation_loss", "{:.4f}"),
    "val. accuracy": ("validation_accuracy", "{:.2%}"),
    "rate": ("rate", "{:.3g}"),
    "time": ("seconds", "{:.1f} s"),
    "waited": ("waited", "{:.2f} s"),
}


@dataclass(frozen=True)
class Facts:
    """Holds all that is known of a run.

    Attributes
    ----------
    folder : str
        The run folder, as the user wrote it.
    settings : dict
        The content of `settings.json`.
    history : History
    result : Evaluation
        Those of the test images.
    labels : array, (N,) integer
    probabilities : array, (N, K)
        Those of the test images.
    parameters : int
        How many numbers the model has learnt.
    looks : int
        How often the test images have been looked at, this time included.
    resume : str
        The command that goes on with the run, if there is one.
    note : str
        The recipe's explanation of its loss.
    """

    folder: str
    settings: dict[str, Any]
    history: History
    result: Evaluation
    labels: Array
    probabilities: Array
    parameters: int
    looks: int = 1
    resume: str = ""
    note: str = ""

    @property
    def held_apart(self) -> int:
        """The number of validation images, or 0 if the settings do not have it."""
        share = self.settings.get("settings", {}).get("validation")
        images = self.settings.get("images_per_pass")
        return round(images * share / (1 - share)) if images and share else 0

    @cached_property
    def independent(self) -> bool:
        """Whether each class has a probability of its own: those of an image do not add up to 1."""
        return not np.allclose(self.probabilities.sum(axis=1), 1, atol=0.01)

    @property
    def looked(self) -> str:
        """How often the test images were looked at, and when."""
        if self.looks == 1:
            return "looked at once, after the training"
        return f"looked at {self.looks} times: whenever the training ended, before it went on"

    @property
    def classes(self) -> list[str]:
        return [str(name) for name in self.settings["classes"]]

    @property
    def epochs(self) -> list[Epoch]:
        return self.history.epochs

    @property
    def validated(self) -> bool:
        return bool(np.isfinite(self.column("validation_loss")).any())

    def column(self, name: str) -> Array:
        """Return an attribute of every Epoch."""
        return np.array([getattr(epoch, name) for epoch in self.epochs])

    @cached_property
    def passes(self) -> Array:
        """The number of passes at the end of each Epoch; the last one may be cut short."""
        return np.cumsum(self.column("part"))

    @property
    def seconds(self) -> float:
        return math.fsum(self.column("seconds"))

    @property
    def waited(self) -> float:
        """The share of the time in which a step waited for its batch."""
        return math.fsum(self.column("waited")) / self.seconds if self.seconds else 0.0

    @cached_property
    def guesses(self) -> Array:
        return np.argmax(self.result.outputs, axis=-1)

    @cached_property
    def confidences(self) -> Array:
        """The probability of the predicted class of each test image."""
        return np.take_along_axis(self.probabilities, self.guesses[:, None], axis=1)[:, 0]

    @cached_property
    def mistakes(self) -> list[Mistake]:
        """All mistakes on the test images, those with most confidence first."""
        wrong = np.flatnonzero(self.guesses != self.labels)
        wrong = wrong[np.argsort(-self.confidences[wrong], kind="stable")]
        chances = self.probabilities[wrong, self.labels[wrong]]
        columns = wrong, self.labels[wrong], self.guesses[wrong], self.confidences[wrong], chances
        return list(map(Mistake, *(column.tolist() for column in columns)))

    @cached_property
    def pairs(self) -> list[Pair]:
        """The pairs of classes that are confused, the most frequent first."""
        c = self.result.confusion.tolist()
        both = [(i, j) if c[i][j] >= c[j][i] else (j, i) for i, j in combinations(range(len(c)), 2)]
        pairs = [Pair(c[i][j] + c[j][i], i, j, c[i][j], c[j][i]) for i, j in both if c[i][j]]
        return sorted(pairs, key=lambda pair: -pair.total)

    @cached_property
    def chance(self) -> float:
        """The accuracy of a model that answers without a look at the images: the same class always, or any."""
        counts = np.bincount(self.labels, minlength=self.probabilities.shape[1])
        return float(max(counts.max() / len(self.labels), 1 / len(counts)))

    @cached_property
    def relative_loss(self) -> float:
        """The logarithmic loss, divided by that of the shares of the classes as the answer to every image."""
        targets, own = np.eye(self.probabilities.shape[1])[self.labels], self.independent

        def loss(probabilities: Array) -> float:
            p = np.clip(np.asarray(probabilities, np.float64), 1e-7, 1 - 1e-7)
            return -float(np.mean(np.sum(targets * np.log(p) + own * (1 - targets) * np.log1p(-p), axis=1)))

        return loss(self.probabilities) / loss(targets.mean(axis=0))

    @cached_property
    def figures(self) -> dict[str, str]:
        """The headline, by name."""
        found = {"test accuracy": percent(self.result.accuracy), "test loss": f"{self.result.loss:.4f}"}
        if self.epochs:
            best = self.history.best  # the pass whose weights are in `best.safetensors`
            if math.isfinite(accuracy := self.epochs[best].validation_accuracy):
                found["validation accuracy"] = percent(accuracy)
            found["best pass"] = f"{count_of(self.passes[best])} of {count_of(self.passes[-1])}"
            found["time"] = duration(self.seconds)
            if "images_per_pass" in self.settings and self.seconds:
                found["images a second"] = f"{self.settings['images_per_pass'] * self.passes[-1] / self.seconds:,.0f}"
            found["waited for data"] = f"{self.waited:.1%}"
        found["parameters"] = f"{self.parameters:,}"
        return found

    @property
    def origin(self) -> dict[str, str]:
        """The names of the data and the recipe, and the seed, as far as the settings have them."""
        return {name: str(self.settings[name]) for name in ("data", "recipe", "seed") if name in self.settings}

    def passes_table(self) -> Table:
        """Return the figures of each pass, without the columns that have no number."""
        columns = {"pass": [count_of(at) for at in self.passes]}
        for head, (name, form) in COLUMNS.items():
            numbers = self.column(name)
            if not np.isnan(numbers).all():
                columns[head] = ["" if math.isnan(number) else form.format(number) for number in numbers]
        return Table(list(columns), [list(row) for row in zip(*columns.values(), strict=True)])

    def pairs_table(self, most: int) -> Table:
        """Return the classes that are confused most."""
        names, found = self.classes, Table(["pair", "mistakes", "1st as 2nd", "2nd as 1st"], [])
        for total, first, second, forth, back in self.pairs[:most]:
            found.rows.append([f"{names[first]}, {names[second]}", f"{total:,}", f"{forth:,}", f"{back:,}"])
        return found

    def mistakes_table(self, most: int) -> Table:
        """Return the mistakes that were made with most confidence."""
        names, wrong = self.classes, self.mistakes[:most]
        return Table(
            ["test image", "the model says", "confidence", "it is", "probability of that"],
            [[f"{m.image}", names[m.guess], f"{m.confidence:.1%}", names[m.label], f"{m.chance:.1%}"] for m in wrong],
        )


def count_of(passes: float) -> str:
    """Format a number of passes, of which the last may be cut short: ``3``, ``0.211``, ``1500``."""
    return f"{round(float(passes), 3):.15g}"


def digits(number: float) -> str:
    return f"{number:.3g}"


def percent(share: float) -> str:
    return f"{share:.2%}"


def duration(seconds: float) -> str:
    """Format a time in seconds, minutes, or hours and minutes.

    Examples
    --------
    >>> duration(48), duration(750), duration(3840)
    ('48 s', '12.5 min', '1 h 04 min')
    """
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min"
