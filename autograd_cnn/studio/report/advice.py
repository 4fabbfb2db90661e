"""Says what to do next, in sentences that follow from the facts of the run."""

from __future__ import annotations

import math
from collections.abc import Iterator
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from autograd_cnn.environment import command
from autograd_cnn.studio.report.facts import Facts, count_of, percent

FALLING = 0.01  # a loss that falls by so much in a pass, relatively, has not converged
GAP = 0.05  # training accuracy above validation accuracy
DEAD = 0.5  # share of the channels of a layer: a trained network can have some
SURE = 0.05  # mean confidence against accuracy
OFTEN = 0.1  # share of the mistakes
MISTAKES = 30  # fewer say little about classes
GUESS = 1.3  # times the accuracy of guessing: of few images, the standard error alone would pass for more
NO_BETTER, WORSE = 0.95, 1.1  # times the loss of a constant answer
LEARNT, FINE = 0.5, 0.99  # accuracy; below the first, most images are confused; above the second, passes add little
KNOWN = "It knows only what it was trained on: other sizes, backgrounds or light may mislead it"


class Step(NamedTuple):
    """A sentence, and the command for it, if there is one."""

    text: str
    command: str = ""


def next_steps(facts: Facts) -> list[Step]:
    """Return what to do next, the most useful first."""
    rules = [_chance] if _at_chance(facts) else [_course, _layers, _classes, _confidence]
    predict = command("-m", "autograd_cnn", "predict", facts.folder, "IMAGE.png", "--why")
    return [
        *(step for rule in (_ended, *rules) for step in rule(facts)),
        Step(f"Ask the model about images of your own. {KNOWN}:", predict),
        Step("Take the model into a program of your own:", f'model = ag.training.load_run("{facts.folder}")'),
    ]


def error_of(images: int) -> float:
    """Return twice the largest standard error of a share of so many images; smaller differences may be chance."""
    return 1 / math.sqrt(images) if images else 0.0


def _try(facts: Facts, words: str, **changes: float) -> str:
    """Return the options of the command line that change these settings, or `words` if the program has none."""
    known, options = facts.settings.get("settings", {}), facts.settings.get("options", ())
    ways = [
        f"--{name} {value:.3g}" if f"--{name}" in options else f"--set {name}={value:.3g}"
        for name, value in changes.items()
        if known.get(name, value) != value and "--set" in options
    ]
    return " ".join(ways) or words


def _more(facts: Facts, times: float) -> str:
    """Return how to make so many times the passes."""
    passes = round(times * math.ceil(facts.passes[-1]))
    return _try(facts, f"{passes} passes", epochs=passes)


def _regular(facts: Facts) -> str:
    """Return how to regularise more."""
    settings = facts.settings.get("settings", {})
    decay, size = 2 * settings.get("weight_decay", 0) or 0.01, settings.get("size", 32)
    return _try(facts, "weight decay, augmentation or dropout", weight_decay=decay, cutout=size // 4, shift=size // 8)


def _ended(facts: Facts) -> Iterator[Step]:
    from autograd_cnn.training.hooks import EARLY_STOP

    ended = facts.history.ended
    if ended and not ended.startswith(EARLY_STOP):
        text = f"The run ended early: {ended}."
        if facts.resume:
            yield Step(f"{text} Go on from where it stopped:", facts.resume)
        else:
            yield Step(f"{text} The same program, with RunFolder(..., resume=True), goes on from where it stopped.")


def _at_chance(facts: Facts) -> bool:
    """Whether the accuracy is within three standard errors of that of guessing, or less, and the loss says the same."""
    p = facts.chance
    most = min(GUESS * p, p + 3 * math.sqrt(p * (1 - p) / len(facts.labels)))
    return p < 1 and facts.result.accuracy <= most and not facts.relative_loss < NO_BETTER


def _chance(facts: Facts) -> Iterator[Step]:
    text = (
        f"The model has learned next to nothing yet: its accuracy, {percent(facts.result.accuracy)}, is about that of "
        f"guessing ({percent(facts.chance)})."
    )
    rate = facts.settings.get("settings", {}).get("lr", 0)
    if not facts.relative_loss <= WORSE:
        slower = _try(facts, "a learning rate 10 times smaller", lr=rate / 10)
        yield Step(
            f"{text} Its loss is larger than that of the same answer to all images: train again with {slower}, and "
            "repeat this until the loss falls."
        )
    else:
        longer = _more(facts, 10) if facts.epochs else "more passes"
        faster = _try(facts, "a larger learning rate", lr=3 * rate)
        yield Step(f"{text} Train again with {longer}, with more images, or with {faster}.")


def _course(facts: Facts) -> Iterator[Step]:
    """Compare the last passes with each other, and training with validation."""
    epochs, best, last = facts.epochs, facts.history.best if facts.epochs else 0, len(facts.epochs) - 1
    if last < 1:
        return
    name = "validation" if facts.validated else "training"
    losses = facts.column("validation_loss" if facts.validated else "loss").tolist()
    fine = max(epochs[last].validation_accuracy, facts.result.accuracy) >= FINE
    if not fine and best == last and losses[last - 1] > 0 and 1 - losses[last] / losses[last - 1] > FALLING:
        yield Step(
            f"The {name} loss was still falling in the last pass ({losses[last - 1]:.4f} to {losses[last]:.4f}): "
            f"train longer, with {_more(facts, 2)}."
        )
    elif facts.validated and not fine and best < last and losses[last] > losses[best] * (1 + FALLING):
        yield Step(
            f"The validation loss was least after pass {count_of(facts.passes[best])} ({losses[best]:.4f}) and rose to "
            f"{losses[last]:.4f}: the weights of that pass are kept. Stop there, or regularise more: {_regular(facts)}."
        )
    gap, least = epochs[last].accuracy - epochs[last].validation_accuracy, max(GAP, error_of(facts.held_apart))
    if gap > least:
        yield Step(
            f"Training accuracy is {100 * gap:.0f} points above validation accuracy: the model learns images by heart. "
            f"{_regular(facts)} will narrow the gap; so will more images."
        )
    elif gap < -least and not fine:
        yield Step(
            f"Training accuracy is {-100 * gap:.0f} points below validation accuracy: augmentation and dropout make "
            f"training harder than the task. There is room for {_more(facts, 2)}, a larger model, or less of both."
        )


def _layers(facts: Facts) -> Iterator[Step]:
    shares = facts.epochs[-1].dead if facts.epochs else {}
    dead = [(share, name) for name, share in shares.items() if share >= DEAD]
    if dead:
        share, name = max(dead, key=itemgetter(0))
        more = f" (in {len(dead)} layers more than {DEAD:.0%})" if len(dead) > 1 else ""
        yield Step(
            f"{share:.0%} of the channels of {name} are 0 in all images of a batch{more}, so they hardly learn: train "
            f"with {_try(facts, 'a lower learning rate', lr=facts.settings.get('settings', {}).get('lr', 0) / 3)}, or "
            "use leaky_relu."
        )


def _classes(facts: Facts) -> Iterator[Step]:
    names, wrong, most = facts.classes, len(facts.mistakes), facts.pairs[:3]
    share = sum(pair.total for pair in most) / max(wrong, 1)
    if wrong >= MISTAKES and facts.result.accuracy >= LEARNT and share >= OFTEN:
        listed = ", ".join(f"{names[p.first]} and {names[p.second]} ({p.total:,})" for p in most)
        yield Step(
            f"Of {wrong:,} mistakes, {share:.0%} confuse {listed}: look at these images first; more of them, or a "
            f"higher resolution{' (--size)' * ('--size' in facts.settings.get('options', ()))}, would help most."
        )


def _confidence(facts: Facts) -> Iterator[Step]:
    over = float(np.mean(facts.confidences)) - facts.result.accuracy
    if abs(over) > max(SURE, error_of(len(facts.labels))):
        smoothed = facts.settings.get("settings", {}).get("label_smoothing", 0)
        how, cure = "surer", _try(facts, "Label smoothing", label_smoothing=smoothed + 0.1)
        if over < 0:
            less = _try(facts, "Less label smoothing", label_smoothing=smoothed / 2)
            how, cure = "less sure", less if smoothed else f"Training with {_more(facts, 2)}"
        yield Step(
            f"The model's mean confidence is {np.mean(facts.confidences):.0%}, its accuracy "
            f"{facts.result.accuracy:.0%}: it is {how} than it should be. {cure} makes it more honest."
        )
