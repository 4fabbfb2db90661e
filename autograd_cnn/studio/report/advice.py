"""Decides what to do next from the facts of a run; `advice.txt` has the sentences, by the names of these steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from autograd_cnn.environment import command
from autograd_cnn.studio.report.facts import Facts

FALLING = 0.01  # a loss that falls by so much in a pass, relatively, has not converged
GAP = 0.05  # training accuracy above validation accuracy
DEAD = 0.5  # share of the channels of a layer: a trained network can have some
FEW = 50  # validation images; of fewer, the loss goes up and down by chance
GUESS = 1.3  # times the accuracy of guessing: of few images, the standard error alone would pass for more
FINE = 0.99  # accuracy; above it, passes add little


class Step(NamedTuple):
    """The name of a sentence, the values in it, and the command for it, if there is one."""

    name: str
    values: dict[str, Any]
    command: str = ""


def next_steps(facts: Facts) -> list[Step]:
    """Return what to do next, the most useful first."""
    ended = [*_ended(facts)]
    rules = [] if ended else [_chance] if _at_chance(facts) else [_course, _layers]
    predict = command("-m", "autograd_cnn", "predict", facts.folder, "IMAGE.png", "--why")
    return [
        *ended,
        *(step for rule in rules for step in rule(facts)),
        Step("ask", {}, predict),
        Step("take", {}, f'model = ag.training.load_run("{facts.folder}")'),
    ]


def error_of(images: int) -> float:
    """Return twice the largest standard error of a share of so many images; smaller differences may be chance."""
    return 1 / math.sqrt(images) if images else 0.0


def _options(facts: Facts, **changes: float) -> str:
    """Return the options of the command line that change these settings, or "" if the program has none."""
    known, options = facts.settings.get("settings", {}), facts.settings.get("options", ())
    return " ".join(
        f"--{name} {value:.3g}" if f"--{name}" in options else f"--set {name}={value:.3g}"
        for name, value in changes.items()
        if known.get(name, value) != value and "--set" in options
    )


def _setting(facts: Facts, name: str, default: float = 0) -> Any:
    return facts.settings.get("settings", {}).get(name, default)


def _longer(facts: Facts, times: int) -> dict[str, Any]:
    """Return so many times the passes, and the option for them."""
    passes = times * len(facts.epochs)
    return {"passes": passes, "options": _options(facts, epochs=passes)}


def _regular(facts: Facts) -> str:
    """Return the options that regularise more."""
    size, decay = _setting(facts, "size", 32), 2 * _setting(facts, "weight_decay") or 0.01
    return _options(facts, weight_decay=decay, cutout=size // 4, shift=size // 8)


def _ended(facts: Facts) -> Iterator[Step]:
    from autograd_cnn.training.hooks import EARLY_STOP

    if facts.history.ended and not facts.history.ended.startswith(EARLY_STOP):
        yield Step("resume", {"reason": facts.history.ended, "again": bool(facts.resume)}, facts.resume)


def _at_chance(facts: Facts) -> bool:
    """Whether the accuracy is within three standard errors of that of guessing, or less."""
    p = facts.chance
    most = min(GUESS * p, p + 3 * math.sqrt(p * (1 - p) / facts.images))
    return p < 1 and facts.accuracy <= most


def _chance(facts: Facts) -> Iterator[Step]:
    rate = _setting(facts, "lr")
    rates = {"slower": _options(facts, lr=rate / 10), "faster": _options(facts, lr=3 * rate)}
    diverged = bool(facts.steps.size) and not facts.steps[-1] <= facts.steps[0]
    values = {"accuracy": facts.accuracy, "chance": facts.chance, "diverged": diverged, **rates, **_longer(facts, 10)}
    yield Step("guessing", values)


def _course(facts: Facts) -> Iterator[Step]:
    """Compare the last passes with each other, and training with validation."""
    best, last = facts.best, len(facts.epochs) - 1
    if last < 1:
        return
    losses = facts.column["validation_loss" if facts.validated else "loss"].tolist()
    training, validation = facts.epochs[last].accuracy, facts.epochs[last].validation_accuracy
    fine = max(validation, facts.accuracy) >= FINE
    if 0 < facts.held_apart < FEW:
        yield Step("few", {"tested": facts.images, "apart": facts.held_apart})
        return
    if not fine and best == last and losses[last - 1] > 0 and 1 - losses[last] / losses[last - 1] > FALLING:
        values = {"name": "validation" if facts.validated else "training", "before": losses[last - 1]}
        yield Step("falling", {**values, "after": losses[last], **_longer(facts, 2)})
    elif facts.validated and not fine and best < last and losses[last] > losses[best] * (1 + FALLING):
        values = {"best": best + 1, "least": losses[best], "last": losses[last]}
        yield Step("rising", {**values, "options": _regular(facts)})
    least = max(GAP, error_of(facts.held_apart))
    if training - validation > least:
        yield Step("by_heart", {"gap": training - validation, "options": _regular(facts)})


def _layers(facts: Facts) -> Iterator[Step]:
    dead = {name: share for name, share in facts.epochs[-1].dead.items() if share >= DEAD} if facts.epochs else {}
    if dead:
        name = max(dead, key=lambda name: dead[name])
        slower = _options(facts, lr=_setting(facts, "lr") / 3)
        yield Step("dead", {"share": dead[name], "layer": name, "layers": len(dead), "most": DEAD, "options": slower})
