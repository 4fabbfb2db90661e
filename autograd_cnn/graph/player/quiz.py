"""Writes the questions of the quiz, about what a step has shown; a wrong answer comes with the number it would give."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from autograd_cnn.graph.player.lesson import RAISE, Lesson, bare, brief, moved, number
from autograd_cnn.graph.records import Op
from autograd_cnn.graph.text import clip, listed, shape_text

QUESTIONS, WRONG = 10, 3

Question = tuple[int, str, str, list[tuple[str, str]]]  # the step, the text, the right answer, wrong ones with reasons


def questions(lesson: Lesson, ops: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Return at most ten questions by step, each with its answers, of which the first is right.

    `ops` are the facts of the operations, with their rules and broken versions of these.
    """
    found: dict[int, dict[str, Any]] = {}
    for step, text, right, wrong in _all(lesson, ops):
        others = {_visible(answer): [answer, why] for answer, why in wrong if _visible(answer) != _visible(right)}
        if others:
            found[step] = {"text": text, "answers": [[right, ""], *list(others.values())[:WRONG]]}
    steps = sorted(found)
    if len(steps) > QUESTIONS:
        steps = [steps[round(k * (len(steps) - 1) / (QUESTIONS - 1))] for k in range(QUESTIONS)]
    return {step: found[step] for step in steps}


def _visible(text: str) -> str:
    return re.sub("\ue000([^\ue001\ue002]*)[^\ue002]*\ue002", r"\1", text)


def _all(lesson: Lesson, ops: list[dict[str, Any]]) -> Iterator[Question]:
    yield from _raised(lesson)
    for k, (op, fact) in enumerate(zip(lesson.ops, ops, strict=True), 1):
        yield from _forward(lesson, op, k)
        if op.id in lesson.back:
            yield from _sum(lesson, op) or _rule(lesson, op, fact)
    if lesson.graph.loss is not None:
        why = f"Raise the loss by {RAISE}, and the loss rises by {RAISE}, not by "
        wrong = [("0", f"{why}0."), (number(lesson.graph.loss), why + number(RAISE * lesson.graph.loss) + ".")]
        yield len(lesson.ops) + 1, f"What is g_{lesson.end}, with which the way back begins?", "1", wrong
    yield from _updated(lesson)


def _raised(lesson: Lesson) -> Iterator[Question]:
    for value in lesson.learnt[:1]:
        pick, goal = lesson.pick(value), lesson.goal
        if change := lesson.trials.get(value.id, (0, RAISE * float(pick.g)))[1]:
            why = f"g_{pick.name} is {number(pick.g)}, and {RAISE} times that is {number(change, brief(change))}."
            wrong = [
                (f"{goal} goes {moved(-change)}", f"This is the other sign: {why}"),
                (f"{goal} goes {moved(change / RAISE)}", f"This is for a raise by 1: {why}"),
                (f"{goal} does not move", f"This is for a gradient of 0: {why}"),
            ]
            yield 0, f"{pick.name} is raised by {RAISE}. What happens?", f"{goal} goes {moved(change)}", wrong


def _forward(lesson: Lesson, op: Op, k: int) -> Iterator[Question]:
    out, given = lesson.values[op.output], [lesson.values[v] for _, v in op.inputs]
    arrays = [lesson.array(v) for v in given]
    if (
        out.size == 1
        and len(given) < 3
        and all(a is not None and np.size(a) == 1 for a in [lesson.array(out), *arrays])
    ):
        numbers = [float(np.reshape(a, -1)[0]) for a in arrays]
        said = dict.fromkeys(f"{clip(v.name)} = {number(x)}" for v, x in zip(given, numbers, strict=True))
        line = bare(lesson.author.forward_lines[k - 1].partition(" = ")[2])
        right = number(np.reshape(lesson.array(out), -1)[0])
        yield (
            k,
            f"{listed(list(said))}. What is {line}?",
            right,
            [(number(x), f"This is {how}.") for x, how in _near(*numbers)],
        )
    elif out.shape and all(v.shape != out.shape for v in given):
        wrong = [(shape_text(v.shape), f"This is the shape of {clip(v.name)}.") for v in given if v.shape]
        yield k, f"Which shape has {clip(out.name)}, the result of {clip(op.name)}?", shape_text(out.shape), wrong


def _near(x: float, y: float | None = None) -> Iterator[tuple[float, str]]:
    """Yield numbers that may be mistaken for the result, and how they come about."""
    if y is None:
        yield from ((math.cos(x), "the cosine"), (math.sin(x), "the sine"), (-x, "the opposite"), (x * x, "the square"))
    else:
        yield from (
            (x + y, "the sum"),
            (x * y, "the product"),
            (x - y, "the difference"),
            (x, "the first number alone"),
        )


def _sum(lesson: Lesson, op: Op) -> list[Question]:
    """Ask for a gradient that this step completes, from its shares."""
    for v in dict.fromkeys(v for p, v in op.inputs if p in op.rules):
        shares = lesson.shares[v]
        if len(shares) == 1 or shares[-1].op is not op or not lesson.whole or not lesson.values[v].size:
            continue
        pick = lesson.pick(lesson.values[v])
        parts = [float(np.reshape(s.array, -1)[pick.i]) for s in shares]
        wrong = [
            (parts[-1], "only the last share"),
            (sum(parts) / len(parts), "their mean"),
            (math.prod(parts), "their product"),
        ]
        reasons = [(number(x), f"This is {how}; the ways add up to {number(pick.g)}.") for x, how in wrong]
        said = ", ".join(map(number, parts[:6])) + " …" * (len(parts) > 6)
        name = clip(lesson.values[v].name)
        return [
            (
                lesson.back[op.id],
                f"The ways of {name} send back the shares {said}. What is g_{pick.name}?",
                number(pick.g),
                reasons,
            )
        ]
    return []


def _rule(lesson: Lesson, op: Op, fact: dict[str, Any]) -> Iterator[Question]:
    """Ask for the line of a rule, among broken ones that were run."""
    slips = (fact.get("trial") or {"slips": []})["slips"]
    slips = [s for s in slips if s["line"] == slips[0]["line"]]
    if slips:
        wrong = []
        for s in slips:
            element, says, shows = (
                f"g_{s['name']}{s['at'][0].replace('[]', '')}",
                float(s["rule"][0]),
                float(s["fd"][0]),
            )
            gives = f"It would give {element} = {number(says)}, but differences give {number(shows)}: {s['what']}."
            wrong.append((s["text"], gives))
        yield (
            lesson.back[op.id],
            f"Which line is the rule of {clip(op.name)}?",
            fact["rules"][slips[0]["line"]][0],
            wrong,
        )


def _updated(lesson: Lesson) -> Iterator[Question]:
    if update := lesson.update:
        choice = update["choices"][update["start"]]
        pick, lr = lesson.pick(lesson.learnt[0]), choice["lr"]
        x, g, rate = float(pick.x), float(pick.g), choice["rate"]
        right = choice["lines"][0][1].rpartition(" = ")[2]
        wrong = [
            (x + rate * g, "w + lr × g, which climbs"),
            (x - g, "w − g, without lr"),
            (rate * g, "the step alone, lr × g"),
        ]
        reasons = [(number(n, brief(n, 6)), f"This is {how}.") for n, how in wrong]
        text = (
            f"{pick.name} is {number(pick.x)}, its gradient {number(pick.g)}. What is it after a step with lr = {lr}?"
        )
        yield len(lesson.ops) + 2 + len(lesson.back), text, right, reasons
