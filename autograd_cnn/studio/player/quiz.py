"""Writes the questions of the quiz, each asked before its step is shown; a wrong answer comes with its reason.

A question is a function below. `@asked` says before which steps it is asked; it yields a `Draft`, or nothing where it
does not fit. Of too many questions, those of functions further up stay.
"""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from autograd_cnn.studio.player.lesson import class_losses
from autograd_cnn.studio.player.trials import RAISE, Trials, attempt, learning
from autograd_cnn.studio.player.wording import number
from autograd_cnn.studio.records import Op
from autograd_cnn.studio.text import clip

QUESTIONS, WRONG, CLASSES = 10, 3, 6  # in all; wrong answers; classes whose shares are listed

# An answer is text or a number. `wrong` are answers by what is wrong with them, or by what a number is; `given` are the
# numbers of the text
Draft = namedtuple("Draft", "text right wrong given", defaults=((),))
ASKED: list[tuple[str, int, Callable[..., Iterator[Draft]]]] = []


def asked(kind: str, most: int = 2) -> Callable[..., Any]:
    """Let a function ask before steps of a kind: forward, backward or end; before at `most` so many."""

    def listed(ask: Callable[..., Iterator[Draft]]) -> Any:
        ASKED.append((kind, most, ask))
        return ask

    return listed


def questions(t: Trials, steps: list[Any], update: Any) -> list[dict[str, Any]]:
    """Return at most ten questions in the order of their steps: one of each function, then a second.

    Each answer of a question has its reason, and the first answer is right.
    """
    found: dict[str, Any] = {}
    for kind, most, ask in ASKED:
        times = 0
        for k, step in enumerate(steps):
            if step["kind"] == kind and times < most:
                drafts = [(d, _answers(d)) for d in ask(t, t.ops[step["op"]] if step["op"] >= 0 else update)]
                fresh = {
                    d.text: (times, {"step": k, "text": d.text, "given": d.given, "answers": answers})
                    for d, answers in drafts
                    if len(answers) > 1 and d.text not in found
                }
                found |= fresh
                times += bool(fresh)
    chosen = sorted(found.values(), key=lambda pair: pair[0])[:QUESTIONS]
    return sorted((question for _, question in chosen), key=lambda q: q["step"])


def _answers(draft: Draft) -> list[tuple[str, str]]:
    """Return the answers with their reasons, the right one first; all are finite, and differ as they are shown."""
    found: dict[str, str] = {}
    numbers = [x for x in (*draft.given, draft.right) if not isinstance(x, str)]
    for why, x in [("", draft.right), *draft.wrong.items()] if np.isfinite(numbers).all() else []:
        if isinstance(x, str) or np.isfinite(x):
            answer, reason = (x, why) if isinstance(x, str) else (number(x + 0), f"That is {why}.")
            found.setdefault(answer, reason)
    return [(text, reason if k else "") for k, (text, reason) in enumerate(found.items())][: 1 + WRONG]


def _agrees(t: Trials, v: Any) -> bool:
    """Return whether the loss changes as the gradient of a value says: it does not bend, and no rule is wrong."""
    i, _, _, g = t.pick(v)
    return math.isclose(t.tried[v.id].get(i, [math.nan])[0], RAISE * g, rel_tol=0.2)


@asked("backward", most=1)
def slope(t: Trials, op: Op) -> Iterator[Draft]:
    """Ask what the gradient of a result says about the loss, at the step that uses it."""
    out = t.values[op.output]
    if out.id in t.tried and out is not t.result and _agrees(t, out):
        _, name, _, g = t.pick(out)
        far = number(RAISE * abs(g), 3)
        ways = ("down", "up") if g < 0 else ("up", "down")
        right, other = (f"Raise {name} by {RAISE}, and {t.goal} goes {way} by about {far}" for way in ways)
        wrong = {
            "That is the other sign.": other,
            "Nothing changes: it is how fast the loss would.": f"{name} changes by {number(g)} in this step",
            "It tells the way, but not how far to go.": f"{name} is off by {number(g)}, and should be mended by it",
        }
        yield Draft(f"g_{name} is {number(g)}. What does that say?", right, wrong, [float(g)])


@asked("backward")
def total(t: Trials, op: Op) -> Iterator[Draft]:
    """Ask for a gradient that this step completes, from its shares, and for the reason why they add up."""
    values = [t.values[v] for v in learning(op) if len(t.shares[v]) > 1 and t.shares[v][-1].op is op]
    for v in (v for v in values if t.whole and v.size and (v.id not in t.tried or _agrees(t, v))):
        pick, name = t.pick(v), clip(v.name)
        parts = [float(np.reshape(s.array, -1)[pick.i]) for s in t.shares[v.id]]
        mean, product = sum(parts) / len(parts), math.prod(parts)
        wrong: dict[str, Any] = {"the last share alone": parts[-1], "the mean": mean, "the product": product}
        shares = ", ".join(map(number, parts[:6])) + " …" * (len(parts) > 6)
        yield Draft(f"The ways of {name} send back {shares}. What is g_{pick.name}?", pick.g, wrong, parts)
        square = "The mean would say that the slope of a square is the number; it is twice the number."
        wrong = {
            f"The size does not decide. {square}": "The sum is larger, so that the steps are longer, too",
            f"No vote. {square}": "The shares must agree with each other, and the sum is their vote",
        }
        text = f"{name} is used {len(parts):,} times. Why is g_{name} a sum, and not a mean?"
        yield Draft(text, "Each way changes the loss, and the changes add up", wrong)


@asked("end")
def moved(t: Trials, update: Any) -> Iterator[Draft]:
    """Ask for a number after a step against its gradient, and for the reason of the sign."""
    if update is None:
        return
    lr, (_, name, x, g) = update["rates"][update["start"]], t.pick(t.learnt[0])
    wrong: dict[str, Any] = {"the way up the slope": x + lr * g, "a step without lr": x - g, "the step alone": lr * g}
    text = f"{name} is {number(x)}, g_{name} {number(g)}, and lr, the learning rate or length of a step, {number(lr)}. "
    yield Draft(f"{text}What is {name} after a step against its gradient?", x - lr * g, wrong, [float(x), float(g), lr])
    wrong = {
        "They have either sign.": "Gradients are negative, and a minus makes them positive",
        "Where g is below 0, the number grows.": "So that every number becomes smaller with every step",
    }
    right = "Where g is above 0, a larger number makes a larger loss"
    yield Draft(f"A step takes lr × g_{name} away from {name}. Why is it not added?", right, wrong)


@asked("forward", most=1)
def item(t: Trials, op: Op) -> Iterator[Draft]:
    """Ask for the loss of one item, from the shares that softmax gives its classes."""
    if found := attempt(class_losses, t, op):
        (p, *_), (k, *_), (loss, *_) = found
        wrong = {"−ln of another share": -np.log(p[k - 1]), "the share itself": p[k], "ln of the share": -loss}
        shares = ", ".join(map(number, p[:CLASSES])) + " …" * (len(p) > CLASSES)
        text = f"Classes 0, 1, … have the shares {shares}; that of the right class is {number(p[k])}. "
        yield Draft(f"{text}The loss of an item is −ln of this share. What is it?", loss, wrong, [float(p[k])])


@asked("backward", most=4)
def chain(t: Trials, op: Op) -> Iterator[Draft]:
    """Ask for a gradient that is one product: incoming gradient times local slope."""
    for v in (t.values[v] for v in learning(op) if len(t.shares[v]) == 1):
        if len(t.changed(op, v)) == 1 and (slopes := t.slopes(op, v)) is not None:
            (_, x, _, gradient), (i, y, _, g) = t.pick(v), t.pick(t.values[op.output])
            s = float(f"{slopes[i]:.6g}")
            wrong = {"their sum": g + s, "the local slope alone": s, "the incoming gradient alone": g}
            text = f"Raise {x} a little: {y} changes {number(s)} times as much. g_{y} is {number(g)}. What is g_{x}?"
            if abs(s) not in (0, 1) and abs(g) != 1 and math.isclose(g * s, gradient, rel_tol=1e-3):
                yield Draft(text, gradient, wrong, [s, float(g)])


@asked("backward")
def shut(t: Trials, op: Op) -> Iterator[Draft]:
    """Ask what comes back to a number that a relu or a pool did not let through."""
    reach, out = t.reach.get(op.id), t.values[op.output]
    if reach and (reach.gate or reach.won) and out.size:
        sizes = np.abs(t.gradient(out)) * (np.asarray(t.array(out)) == 0 if reach.gate else 1)
        i, lost = int(np.argmax(sizes)), "a number below 0" if reach.gate else "the smaller numbers of this window"
        g = float(np.reshape(t.gradient(out), -1)[i])
        wrong = {"what a number gets that passes": g, "half of it": g / 2, "the other sign": -g}
        text = f"{clip(op.name)} did not let {lost} through. g_{t.named(out, i)} is {number(g)}. What comes back?"
        if sizes.flat[i]:
            yield Draft(text, 0, wrong, [g])
