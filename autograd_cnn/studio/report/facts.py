"""Collects the facts of a run, the tables that the page shows, and what to do next."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from autograd_cnn.environment import command

if TYPE_CHECKING:
    from autograd_cnn.training import Evaluation, RunFolder

Facts = SimpleNamespace  # what `collect` returns
Step = tuple[str, str]  # what to do next, and the command for it, or ""

LISTED = 24  # mistakes, and pairs of classes
FALLING = 0.01  # a loss that falls by so much in a pass, relatively, has not converged
GAP = 0.05  # training accuracy above validation accuracy
DEAD = 0.5  # share of the channels of a layer: a trained network can have some
FEW = 50  # validation images; of fewer, the loss goes up and down by chance
GUESS = 1.3  # times the accuracy of guessing: of few images, the standard error alone would pass for more
FINE = 0.99  # accuracy; above it, passes add little


def collect(folder: RunFolder, labels: NDArray[Any], result: Evaluation, resume: str = "") -> Facts:
    """Return the facts of a run; the parameters are those of `write`."""
    settings, history = folder.settings, folder.history()
    values, epochs, confusion = settings.get("settings", {}), history.epochs, result.confusion
    classes, count = [str(name) for name in settings["classes"]], len(labels)
    images, apart = settings.get("images_per_pass", 0), values.get("validation", 0)
    shown = np.bincount(labels, minlength=len(classes)) / count
    errors = confusion * (1 - np.eye(len(classes), dtype=int))
    pairs = sorted(np.argwhere(errors), key=lambda pair: -errors[tuple(pair)])[:LISTED]
    facts = Facts(
        folder=str(folder.path),
        settings=settings,
        values=values,
        resume=resume,
        history=history,
        epochs=epochs,
        best=history.best if epochs else 0,  # the pass whose weights are in `best.safetensors`
        validated=any(math.isfinite(epoch.validation_loss) for epoch in epochs),
        learned_from=images,
        held_apart=round(images * apart / (1 - apart)),
        classes=classes,
        images=count,
        right=int(np.trace(confusion)),
        accuracy=result.accuracy,
        loss=result.loss,
        chance=max(shown.max(), 1 / len(classes)),  # of the same answer to all images, or of any
        confusion=confusion,
        errors=errors,
        shares=errors / np.maximum(confusion.sum(axis=1, keepdims=True), 1),  # of the images of each class
        pairs=[(classes[i], classes[j], f"{errors[i, j]:,}") for i, j in pairs],
        mistakes=_mistakes(result, labels, folder.module().probabilities(result.outputs)),
    )
    facts.parameters = sum(p.size for p in folder.model().parameters())
    return facts


def _mistakes(result: Evaluation, labels: NDArray[Any], chances: NDArray[Any]) -> list[tuple[int, int, str, int, str]]:
    """Return image, answer, label and the probabilities of the two, of the mistakes of which the model was surest."""
    guesses = result.outputs.argmax(-1)
    wrong = np.flatnonzero(guesses != labels)
    surest = wrong[np.argsort(-chances[wrong, guesses[wrong]], kind="stable")][:LISTED]
    both = zip(surest, guesses[surest], labels[surest], strict=True)
    return [(i, guess, f"{chances[i, guess]:.1%}", label, f"{chances[i, label]:.1%}") for i, guess, label in both]


def share(part: float, count: int) -> str:
    """Return a share of so many things as percent, with the digits that they can tell; "" of NaN.

    Examples
    --------
    >>> share(10 / 12, 12), share(0.8861, 10_000)
    ('83%', '88.61%')
    """
    return "" if math.isnan(part) else f"{part:.{min(max(len(f'{count - 1}') - 2, 0), 2)}%}"


def figures(facts: Facts) -> dict[str, str]:
    """Return the headline, by name."""
    found = {"test loss": f"{facts.loss:.4f}"}
    if facts.epochs:
        if accuracy := share(facts.epochs[facts.best].validation_accuracy, facts.held_apart):
            found["validation accuracy"] = accuracy
        found["best pass"] = f"{facts.best + 1} of {len(facts.epochs)}"
        found["time"] = f"{timedelta(seconds=round(math.fsum(epoch.seconds for epoch in facts.epochs)))}"
    return {**found, "parameters": f"{facts.parameters:,}"}


def next_steps(facts: Facts) -> list[Step]:
    """Return what to do next, the most useful first."""
    ask = (
        "Ask the model about images of your own. It knows only what it was trained on: other sizes, backgrounds or "
        "light may mislead it:"
    )
    found = _ended(facts) or _guessing(facts) or [(text, "") for text in (*_course(facts), *_layers(facts))]
    return [*found, (ask, command("-m", "autograd_cnn", "predict", facts.folder, "IMAGE.png", "--why"))]


def _ended(facts: Facts) -> list[Step]:
    from autograd_cnn.training.history import EARLY_STOP

    if not facts.history.ended or facts.history.ended == EARLY_STOP:
        return []
    again = "Go on from where it stopped:" if facts.resume else "The same program goes on from where it stopped."
    return [(f"The run ended early: {facts.history.ended}. {again}", facts.resume)]


def _guessing(facts: Facts) -> list[Step]:
    """If the accuracy is within three standard errors of that of guessing, or less, return what to do about it."""
    p, losses = facts.chance, facts.history.losses
    if facts.accuracy > min(GUESS * p, p + 3 * math.sqrt(p * (1 - p) / facts.images)) or p == 1:
        return []
    found, chance = share(facts.accuracy, facts.images), share(p, facts.images)
    text = f"The model has learned next to nothing yet: its accuracy, {found}, is about that of guessing ({chance})."
    cure = "Train again with more passes, with more images, or with a larger learning rate."
    if losses and not losses[-1] <= losses[0]:
        slower = "train again with a learning rate 10 times smaller, and repeat this until the loss falls."
        cure = f"Its loss did not fall: {slower}"
    return [(f"{text} {cure}", "")]


def _course(facts: Facts) -> Iterator[str]:
    """Compare the last passes with each other, and training with validation."""
    best, last = facts.best, len(facts.epochs) - 1
    if last < 1 or 0 < facts.held_apart < FEW or max(facts.epochs[last].validation_accuracy, facts.accuracy) >= FINE:
        return
    name = "validation" if facts.validated else "training"
    losses = [epoch.validation_loss if facts.validated else epoch.loss for epoch in facts.epochs]
    if best == last and losses[last - 1] > 0 and 1 - losses[last] / losses[last - 1] > FALLING:
        fell = f"still falling in the last pass ({losses[last - 1]:.4f} to {losses[last]:.4f})"
        yield f"The {name} loss was {fell}: train longer, with more passes."
    gap = facts.epochs[last].accuracy - facts.epochs[last].validation_accuracy
    rose = facts.validated and losses[last] > losses[best] * (1 + FALLING)
    if rose or gap > max(GAP, 1 / math.sqrt(facts.held_apart or math.inf)):  # twice the standard error
        sign = f"Training accuracy is {100 * gap:.0f} points above validation accuracy"
        if rose:
            rise = f"({losses[best]:.4f} to {losses[last]:.4f})"
            sign = f"The validation loss was least after pass {best + 1} and rose {rise}"
        cure = "Train again with weight decay, augmentation or dropout, or with more images."
        yield f"{sign}: the model learns images by heart. {cure}"


def _layers(facts: Facts) -> Iterator[str]:
    dead = {name: part for name, part in facts.epochs[-1].dead.items() if part >= DEAD} if facts.epochs else {}
    if dead:
        name = max(dead, key=lambda name: dead[name])
        yield (
            f"{dead[name]:.0%} of the channels of {name} are 0 in all images of a batch, so they hardly learn: train "
            "again with a lower learning rate."
        )
