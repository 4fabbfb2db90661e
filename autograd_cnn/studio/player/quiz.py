"""Writes the questions of the quiz, each asked before its step is shown; a wrong answer comes with its reason.

A question is a function that yields drafts for a step, and stands in `ASKED`.
"""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Iterator
from typing import Any

import numpy as np

from autograd_cnn.studio.player.lesson import before_and_after, movement
from autograd_cnn.studio.player.lines import as_mathematics
from autograd_cnn.studio.player.mistakes import PART
from autograd_cnn.studio.player.schema import Operation, Question, Step, Update
from autograd_cnn.studio.player.trials import RAISE, Trials, learning
from autograd_cnn.studio.player.wording import ADD, MINUS, brief, number, visible
from autograd_cnn.studio.records import Op, Value
from autograd_cnn.studio.text import clip, count_text, listed

QUESTIONS, WRONG = 10, 3
GLARING = "the sign is wrong", "counted twice"  # mistakes that are seen without understanding the rule

# `wrong` are answers with their reasons. With a `meaning` a draft is about it, and the first of these alone is used
Draft = namedtuple("Draft", "text right wrong meaning", defaults=("",))


def questions(t: Trials, steps: list[Step], facts: list[Operation], update: Update | None) -> list[Question]:
    """Return at most ten questions in the order of their steps; of too many, those about a meaning come first."""
    found: dict[str, tuple[bool, Question]] = {}
    meant: set[str] = set()
    for k, step in enumerate(steps):
        about = (t.ops[step.op], facts[step.op]) if step.op >= 0 else (None, update)
        for choice in ASKED.get(step.kind, []):
            each = ([draft for draft in ask(t, *about) if draft.meaning not in meant] for ask in choice)
            for text, right, wrong, meaning in next(filter(None, each), []):
                meant |= {meaning} - {""}
                others = {visible(answer): (answer, why) for answer, why in wrong if visible(answer) != visible(right)}
                if others:
                    answers = [(right, ""), *list(others.values())[:WRONG]]
                    found.setdefault(visible(text), (bool(meaning), Question(k, text, answers)))
    meaningful, rest = ([q for meaning, q in found.values() if meaning == kind] for kind in (True, False))
    room = QUESTIONS - len(meaningful)
    if len(rest) > room:
        rest = [rest[round(k * (len(rest) - 1) / (room - 1))] for k in range(room)]
    return sorted([*rest, *meaningful], key=lambda q: q.step)


def _result(t: Trials, op: Op, _: Any) -> Iterator[Draft]:
    """Ask for the result of an operation on single numbers."""
    values = [t.values[v] for v in (op.output, *(v for _, v in op.inputs))]
    arrays = [t.array(v) for v in values]
    if len(values) < 4 and all(a is not None and np.size(a) == 1 and np.all(np.isfinite(a)) for a in arrays):
        numbers, names = [float(np.reshape(a, -1)[0]) for a in arrays[1:]], [clip(v.name) for v in values[1:]]
        given = dict.fromkeys(f"{name} = {number(x)}" for name, x in zip(names, numbers, strict=True))
        text = f"{listed(list(given))}. What is {as_mathematics(t.author.call(op))}?"
        x, y, a, b = numbers[0], numbers[-1], names[0], names[-1]
        near = [(x + y, f"{a} + {b}"), (x * y, f"{a} × {b}"), (x - y, f"{a} − {b}"), (x, f"{a} alone")]
        if len(names) == 1:
            near = [(math.cos(x), f"cos({a})"), (math.sin(x), f"sin({a})"), (-x, f"−{a}"), (x * x, f"{a} × {a}")]
        wrong = [(number(n), f"That is {how}.") for n, how in near]
        yield Draft(text, number(np.reshape(arrays[0], -1)[0]), wrong)


def _seed(t: Trials, *_: Any) -> Iterator[Draft]:
    """Ask for the gradient with which the way back begins."""
    if (loss := t.graph.loss) is not None:
        why = f"If the loss rises by {RAISE}, the loss rises by {RAISE}, not by "
        wrong = [("0", f"{why}0."), (number(loss), f"{why}{number(RAISE * loss)}.")]
        yield Draft(f"What is g_{t.end}, with which the way back begins?", "1", wrong)


def _slope(t: Trials, op: Op, _: Any) -> Iterator[Draft]:
    """Ask what the gradient of a result says, at the step that uses it."""
    out, goal = t.values[op.output], t.goal
    if out.id not in t.outcomes or out is t.result:
        return
    if math.isclose(abs(float(t.pick(out).g)), abs(t.base), rel_tol=1e-3):
        return  # "the loss is ..." would be right
    (_, name, _, g), (way, _) = t.pick(out), movement(t, out)
    predicted = RAISE * abs(float(g))
    far = number(predicted, brief(predicted, 3))
    right, opposite = (
        f"Raise {name} by {RAISE}, and {goal} goes {w} by about {far}" for w in (way, "up" if way == "down" else "down")
    )
    wrong = [
        (opposite, "That is the other sign."),
        (f"{name} changes by {number(g)} in this step", "Nothing changes: it is how fast the loss would."),
        (f"{goal} is {number(g)}", f"That is the slope; {goal} is {number(t.base)}."),
    ]
    yield Draft(f"g_{name} is {number(g)}. What does that say?", right, wrong, "slope")


def _completed(t: Trials, op: Op) -> list[Value]:
    """Return the values whose gradients are sums that the rule of `op` completes."""
    values = [t.values[v] for v in learning(op) if len(t.shares[v]) > 1 and t.shares[v][-1].op is op]
    return [v for v in values if t.whole and v.size]


def _sum(t: Trials, op: Op, _: Any) -> Iterator[Draft]:
    """Ask for a gradient that this step completes, from its shares."""
    for v in _completed(t, op):
        pick = t.pick(v)
        parts = [float(np.reshape(s.array, -1)[pick.i]) for s in t.shares[v.id]]
        near = {"last share alone": parts[-1], "mean": sum(parts) / len(parts), "product": math.prod(parts)}
        wrong = [(number(x), f"That is the {how}; the shares add up.") for how, x in near.items()]
        shares = ", ".join(map(number, parts[:6])) + " …" * (len(parts) > 6)
        yield Draft(f"The ways of {clip(v.name)} send back {shares}. What is g_{pick.name}?", number(pick.g), wrong)


def _why_sum(t: Trials, op: Op, _: Any) -> Iterator[Draft]:
    """Ask why shares add up."""
    for v in _completed(t, op)[:1]:
        name, count = clip(v.name), len(t.shares[v.id])
        text = f"{name} is used {count:,} times. Why is g_{name} the sum of the shares, not their mean?"
        square = "The mean would say that x × x has slope x; it has 2x."
        wrong = [
            ("The sum is larger, so the steps are longer", f"The size does not decide. {square}"),
            (f"The {count_text(count, 'share')} must agree, and the sum is their vote", f"No vote: {square}"),
        ]
        yield Draft(text, ADD.format(name).partition(". ")[0], wrong, "sum")


def _gate(t: Trials, op: Op, _: Any) -> Iterator[Draft]:
    """Ask what comes back where a relu was shut."""
    if (i := t.gate(op)[1]) is not None:
        given, out = (t.values[v] for v in (op.inputs[0][1], op.output))
        x, y, g, a = t.named(given, i), t.named(out, i), float(t.gradient(out).flat[i]), float(t.array(given).flat[i])
        wrong = [
            (number(g), f"That passes only where {op.name} gave more than 0."),
            (number(g * a), f"{x} is no slope: a little more of it, and {y} is still 0."),
        ]
        if g:  # else nothing arrives, so nothing can be asked
            text = f"{x} is {number(a)}, so {y} was 0. g_{y} is {number(g)}. What is g_{x}?"
            yield Draft(text, "0", wrong, op.name)


def _loser(t: Trials, op: Op, _: Any) -> Iterator[Draft]:
    """Ask what comes back to the losers of a pool."""
    if any(name.startswith("argmax") for name in op.byproducts):
        name = clip(t.values[op.inputs[0][1]].name)
        text = f"A number of {name} was not the largest of its window. How much of the gradient does it get?"
        wrong = [
            ("As much as the largest", "Raise it a little, and the largest is what it was: nothing changes."),
            ("Its share: the gradient divided by the size of the window", "That is the rule of a mean."),
        ]
        yield Draft(text, "Nothing", wrong, op.name)


def _rule(t: Trials, op: Op, fact: Operation) -> Iterator[Draft]:
    """Ask for the line of a rule, among broken ones that were run."""
    mistakes = (fact.versions or [])[1:]
    mistakes = [m for m in mistakes if m.line == mistakes[0].line]
    others = len(fact.rules) - 1
    rest = f", with the other line{'s' * (others > 1)} as written" if others else ""
    wrong = []
    for m in mistakes:
        element, differences, rule, _ = m.rows[0]
        gives = f"{element.removesuffix(PART)} = {number(float(rule))}{rest}"
        gives += f"; differences give {number(float(differences))}"
        wrong.append((m.text, f"It gives {gives}: {m.what}."))
    if any(m.what not in GLARING for m in mistakes):
        text = f"Which line is {'one of the rules' if others else 'the rule'} of {clip(op.name)}?"
        yield Draft(text, fact.rules[mistakes[0].line], wrong)


def _update(t: Trials, _: Any, update: Update | None) -> Iterator[Draft]:
    """Ask for a number after a step against its gradient, and for the reason of the sign."""
    if update is None:
        return
    rate, (_, name, x, g) = update.rates[update.start], t.pick(t.learnt[0])
    x, g = float(x), float(g)
    before, right = before_and_after(t, t.learnt[0], rate)
    digits = len(visible(right).partition(".")[2])
    near = (
        (x + rate * g, f"{name} + lr × g_{name}, which climbs"),
        (x - g, f"{name} − g_{name}, without lr"),
        (rate * g, f"lr × g_{name}, the step alone"),
    )
    wrong = [(number(n, f"{n:.{digits}f}"), f"That is {how}.") for n, how in near]
    text = f"{name} is {before}, and g_{name} is {number(g)}. What is {name} after a step with lr = {number(rate)}?"
    yield Draft(text, right, wrong, "step")
    wrong = [
        ("Gradients are negative, and minus makes them positive", "They have either sign."),
        ("So that every number becomes smaller", "Where g is below 0, the number grows."),
    ]
    yield Draft(f"Why has {name} − lr × g_{name} a minus?", MINUS.partition(";")[0], wrong, "minus")


# The questions before a step of each kind. Of functions side by side, the first that has a new question asks it
ASKED: dict[str, list[tuple[Any, ...]]] = {
    "forward": [(_result,)],
    "loss": [(_seed,)],
    "backward": [(_slope,), (_why_sum,), (_sum, _gate, _loser, _rule)],
    "end": [(_update,)],
}
