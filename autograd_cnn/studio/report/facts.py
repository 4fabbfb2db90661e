"""Collects the facts of a run: numbers, and the tables that the page and the text both show."""

from __future__ import annotations

import math
from datetime import timedelta
from itertools import combinations
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from autograd_cnn.training import Evaluation, History

Array = NDArray[Any]
Facts = SimpleNamespace  # what `collect` returns

LISTED = 200  # mistakes
POINTS = 300  # of the line of all steps
COLUMNS = {  # of the table of passes: the attribute of an Epoch, and the format of its numbers
    "loss": ("loss", ".4f"),
    "accuracy": ("accuracy", ".2%"),
    "val. loss": ("validation_loss", ".4f"),
    "val. accuracy": ("validation_accuracy", ".2%"),
    "rate": ("rate", ".3g"),
    "seconds": ("seconds", ".1f"),
    "waited": ("waited", ".2f"),
}


class Table(NamedTuple):
    """A table of formatted numbers; the first column names the rows."""

    heads: list[str]
    rows: list[list[str]]


def collect(
    settings: dict[str, Any], history: History, result: Evaluation, labels: Array, probabilities: Array
) -> Facts:
    """Return the facts that follow from numbers; `write` adds those of its folder and model.

    Parameters
    ----------
    settings : dict
        The content of `settings.json`.
    history : History
    result : Evaluation
        The evaluation on the test images; labels and probabilities are theirs, too.
    labels : array, (N,) integer
    probabilities : array, (N, K)
    """
    classes = [str(name) for name in settings["classes"]]
    return Facts(
        settings=settings,
        origin={name: settings[name] for name in ("data", "recipe", "seed") if name in settings},
        classes=classes,
        **_of_course(history, settings),
        **_of_test(result, labels, probabilities),
        **_of_mistakes(result, labels, probabilities, classes),
    )


def _of_course(history: History, settings: dict[str, Any]) -> dict[str, Any]:
    epochs, share = history.epochs, settings.get("settings", {}).get("validation")
    column = {name: np.array([getattr(epoch, name) for epoch in epochs]) for name, _ in COLUMNS.values()}
    parts = np.array([epoch.part for epoch in epochs])
    seconds, images = math.fsum(column["seconds"]), settings.get("images_per_pass")
    cells = {"pass": [str(i) if part == 1 else f"{i} ({part:.1%})" for i, part in enumerate(parts, 1)]}
    for head, (name, form) in COLUMNS.items():
        if not np.isnan(column[name]).all():
            cells[head] = ["" if math.isnan(number) else format(number, form) for number in column[name]]
    return {
        "history": history,
        "epochs": epochs,
        "ends": np.cumsum(parts),  # of each pass, in passes
        "parts": parts,
        "steps": _means(np.array(history.losses)),
        "gradients": _of_each_name([epoch.gradients for epoch in epochs]),
        "dead": _of_each_name([epoch.dead for epoch in epochs]),
        "silent": _of_each_name([epoch.silent for epoch in epochs]),
        "best": history.best if epochs else 0,  # the pass whose weights are in `best.safetensors`
        "column": column,
        "validated": bool(np.isfinite(column["validation_loss"]).any()),
        "held_apart": round(images * share / (1 - share)) if images and share else 0,
        "seconds": seconds,
        "waited": math.fsum(column["waited"]) / seconds if seconds else 0.0,
        "rate": images * parts.sum() / seconds if images and seconds else 0.0,  # images a second
        "passes": Table(list(cells), [list(row) for row in zip(*cells.values(), strict=True)]),
    }


def _means(losses: Array) -> Array:
    """Return the losses of all steps, of many the means of `POINTS` parts."""
    cuts = np.linspace(0, len(losses), min(len(losses), POINTS) + 1).astype(int)
    return np.add.reduceat(losses, cuts[:-1]) / np.diff(cuts) if len(losses) else losses


def _of_each_name(records: list[dict[str, float]]) -> dict[str, Array]:
    """Turn one record of numbers per pass into the numbers of each name, NaN where a pass has none."""
    names = dict.fromkeys(name for record in records for name in record)
    return {name: np.array([record.get(name, math.nan) for record in records]) for name in names}


def _of_test(result: Evaluation, labels: Array, probabilities: Array) -> dict[str, Any]:
    count, shares = len(labels), np.bincount(labels, minlength=probabilities.shape[1]) / len(labels)
    return {
        "images": count,
        "accuracy": result.accuracy,
        "loss": result.loss,
        "confidence": float(probabilities[np.arange(count), result.outputs.argmax(-1)].mean()),
        "chance": max(shares.max(), 1 / len(shares)),  # of the same answer to all images, or of any
    }


def _of_mistakes(result: Evaluation, labels: Array, probabilities: Array, classes: list[str]) -> dict[str, Any]:
    """Return the mistakes with most confidence first, and the pairs of classes that are confused most."""
    guesses, confusion = result.outputs.argmax(-1), result.confusion
    wrong = np.flatnonzero(guesses != labels)
    surest = wrong[np.argsort(-probabilities[wrong, guesses[wrong]], kind="stable")][:LISTED]
    mistakes = [
        [str(i), classes[guess], f"{probabilities[i, guess]:.1%}", classes[label], f"{probabilities[i, label]:.1%}"]
        for i, guess, label in zip(surest, guesses[surest], labels[surest], strict=True)
    ]
    both = [(i, j) if confusion[i, j] >= confusion[j, i] else (j, i) for i, j in combinations(range(len(classes)), 2)]
    pairs = [(classes[i], classes[j], int(confusion[i, j]), int(confusion[j, i])) for i, j in both if confusion[i, j]]
    pairs.sort(key=lambda pair: -pair[2] - pair[3])
    errors = confusion * (1 - np.eye(len(classes), dtype=int))
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    return {
        "confusion": confusion,
        "errors": errors,
        "shares": shares,  # of the images of each class
        "largest": max(np.max(shares * (errors > 0)), 1e-12),
        "wrong": len(wrong),
        "mistakes": Table(["test image", "the model says", "confidence", "it is", "probability of that"], mistakes),
        "pairs": pairs,
        "confused": Table(
            ["pair", "mistakes", "1st as 2nd", "2nd as 1st"],
            [[f"{a}, {b}", f"{m + n:,}", f"{m:,}", f"{n:,}"] for a, b, m, n in pairs],
        ),
    }


def figures(facts: Facts) -> dict[str, str]:
    """Return the headline, by name."""
    found = {"test accuracy": f"{facts.accuracy:.2%}", "test loss": f"{facts.loss:.4f}"}
    if facts.epochs:
        if math.isfinite(accuracy := facts.epochs[facts.best].validation_accuracy):
            found["validation accuracy"] = f"{accuracy:.2%}"
        found["best pass"] = f"{facts.best + 1} of {len(facts.epochs)}"
        if facts.epochs[-1].part < 1:
            found["last pass, cut short"] = f"{facts.epochs[-1].part:.1%}"
        found["time"] = f"{timedelta(seconds=round(facts.seconds))}"
        if facts.rate:
            found["images a second"] = f"{facts.rate:,.0f}"
        found["waited for data"] = f"{facts.waited:.1%}"
    return {**found, "parameters": f"{facts.parameters:,}"}
