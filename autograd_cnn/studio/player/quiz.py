"""Writes the questions of the quiz, each asked before its step is shown; a wrong answer comes with its reason."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from autograd_cnn.studio.player.lesson import before_and_after, movement
from autograd_cnn.studio.player.lines import as_mathematics, statement
from autograd_cnn.studio.player.schema import Operation, Question, Update
from autograd_cnn.studio.player.trials import RAISE, Trials
from autograd_cnn.studio.player.wording import ADD, MINUS, brief, number, visible
from autograd_cnn.studio.records import Op
from autograd_cnn.studio.text import clip, count_text, listed

QUESTIONS, WRONG = 10, 3
GLARING = "the sign is wrong", "counted twice"  # mistakes that are seen without understanding the rule
MEANING, COUNT = range(2)  # the questions about meaning come first if there are too many

Draft = tuple[int, int, str, str, list[tuple[str, str]]]  # kind, step, text, the right answer, wrong ones, reasons


def questions(t: Trials, ops: list[Operation], update: Update | None) -> list[Question]:
    """Return at most ten questions in the order of their steps."""
    found: dict[str, tuple[int, Question]] = {}
    for kind, step, text, right, wrong in _all(t, ops, update):
        others = {visible(answer): (answer, why) for answer, why in wrong if visible(answer) != visible(right)}
        if others:
            answers = [(right, ""), *list(others.values())[:WRONG]]
            found.setdefault(visible(text), (kind, Question(step, text, answers)))
    meaning, rest = ([q for kind, q in found.values() if kind == k] for k in (MEANING, COUNT))
    room = QUESTIONS - len(meaning)
    if len(rest) > room:
        rest = [rest[round(k * (len(rest) - 1) / (room - 1))] for k in range(room)]
    return sorted([*rest, *meaning], key=lambda q: q.step)


def _all(t: Trials, ops: list[Operation], update: Update | None) -> Iterator[Draft]:
    for k, op in enumerate(t.ops, 1):
        yield from _forward(t, op, k)
    if t.graph.loss is not None:
        why = f"If the loss rises by {RAISE}, the loss rises by {RAISE}, not by "
        wrong = [("0", f"{why}0."), (number(t.graph.loss), why + number(RAISE * t.graph.loss) + ".")]
        text = f"What is g_{t.end}, with which the way back begins?"
        yield COUNT, len(t.ops) + 1, text, "1", wrong
    meant = added = False
    asked = set()  # operations about whose gates there was a question
    for op, fact in reversed(list(zip(t.ops, ops, strict=True))):
        if op.id not in t.back:
            continue
        if not meant:
            for question in _meaning(t, op):
                meant = True
                yield question
        sums = list(_sum(t, op, added))
        added = added or bool(sums)
        gates = [] if op.name in asked else list(_gate(t, op))
        asked |= {op.name} if gates else set()
        yield from sums or gates or _rule(t, op, fact)
    if update:
        yield from _updated(t, update)


def _meaning(t: Trials, op: Op) -> Iterator[Draft]:
    """Ask what the gradient of a result says, at the step that uses it."""
    out = t.values[op.output]
    if out.id not in t.trials or out is t.result:
        return
    if math.isclose(abs(float(t.pick(out).g)), abs(t.base), rel_tol=1e-3):
        return  # "the loss is ..." would be right
    pick, (way, _), goal = t.pick(out), movement(t, out), t.goal
    predicted = RAISE * abs(float(pick.g))
    far = number(predicted, brief(predicted, 3))
    other = "up" if way == "down" else "down"
    right = f"Raise {pick.name} by {RAISE}, and {goal} goes {way} by about {far}"
    wrong = [
        (f"Raise {pick.name} by {RAISE}, and {goal} goes {other} by about {far}", "That is the other sign."),
        (f"{pick.name} changes by {number(pick.g)} in this step", "Nothing changes: it is how fast the loss would."),
        (f"{goal} is {number(pick.g)}", f"That is the slope; {goal} is {number(t.base)}."),
    ]
    yield MEANING, t.back[op.id], f"g_{pick.name} is {number(pick.g)}. What does that say?", right, wrong


def _forward(t: Trials, op: Op, k: int) -> Iterator[Draft]:
    out, given = t.values[op.output], [t.values[v] for _, v in op.inputs]
    arrays = [t.array(v) for v in [out, *given]]
    if len(given) < 3 and all(a is not None and np.size(a) == 1 and np.all(np.isfinite(a)) for a in arrays):
        numbers = [float(np.reshape(a, -1)[0]) for a in arrays[1:]]
        said = dict.fromkeys(f"{clip(v.name)} = {number(x)}" for v, x in zip(given, numbers, strict=True))
        line = as_mathematics(statement(t.lines[op.id]).value)
        right = number(np.reshape(arrays[0], -1)[0])
        wrong = [(number(x), f"That is {how}.") for x, how in _near(*[clip(v.name) for v in given], numbers=numbers)]
        yield COUNT, k, f"{listed(list(said))}. What is {line}?", right, wrong


def _near(a: str, b: str = "", *, numbers: list[float]) -> Iterator[tuple[float, str]]:
    """Yield numbers that may be mistaken for the result, and how they come about."""
    x, y = numbers[0], numbers[-1]
    if not b:
        yield from ((math.cos(x), f"cos({a})"), (math.sin(x), f"sin({a})"), (-x, f"−{a}"), (x * x, f"{a} × {a}"))
    else:
        yield from ((x + y, f"{a} + {b}"), (x * y, f"{a} × {b}"), (x - y, f"{a} − {b}"), (x, f"{a} alone"))


def _sum(t: Trials, op: Op, asked: bool) -> Iterator[Draft]:
    """Ask for a gradient that this step completes, from its shares, and why these add up."""
    for v in dict.fromkeys(v for p, v in op.inputs if p in op.rules):
        shares = t.shares[v]
        if len(shares) == 1 or shares[-1].op is not op or not t.whole or not t.values[v].size:
            continue
        pick, step, name = t.pick(t.values[v]), t.back[op.id], clip(t.values[v].name)
        parts = [float(np.reshape(s.array, -1)[pick.i]) for s in shares]
        near = {"last share alone": parts[-1], "mean": sum(parts) / len(parts), "product": math.prod(parts)}
        wrong = [(number(x), f"That is the {how}; the shares add up.") for how, x in near.items()]
        said = ", ".join(map(number, parts[:6])) + " …" * (len(parts) > 6)
        yield COUNT, step, f"The ways of {name} send back {said}. What is g_{pick.name}?", number(pick.g), wrong
        if not asked:
            text = f"{name} is used {len(parts):,} times. Why is g_{name} the sum of the shares, not their mean?"
            square = "The mean would say that x × x has slope x; it has 2x."
            wrong = [
                ("The sum is larger, so the steps are longer", f"The size does not decide. {square}"),
                (f"The {count_text(len(parts), 'share')} must agree, and the sum is their vote", f"No vote: {square}"),
            ]
            yield MEANING, step, text, ADD.format(name).partition(". ")[0], wrong
            asked = True


def _gate(t: Trials, op: Op) -> Iterator[Draft]:
    """Ask what comes back where a relu was shut, or to the losers of a pool."""
    out, given, step = t.values[op.output], t.values[op.inputs[0][1]], t.back[op.id]
    if t.rectified(op) and (i := t.blocked(op)) is not None:
        x, y = t.named(given, i), t.named(out, i)
        g = float(np.reshape(t.scope[t.author.gradient(out)], -1)[i])
        a = float(np.reshape(t.array(given), -1)[i])
        if not g:  # nothing arrives, so nothing can be asked
            return
        wrong = [
            (number(g), f"That passes only where {op.name} gave more than 0."),
            (number(g * a), f"{x} is no slope: a little more of it, and {y} is still 0."),
        ]
        text = f"{x} is {number(a)}, so {y} was 0. g_{y} is {number(g)}. What is g_{x}?"
        yield MEANING, step, text, "0", wrong
    elif any(name.startswith("argmax") for name in op.byproducts):
        name = clip(given.name)
        text = f"A number of {name} was not the largest of its window. How much of the gradient does it get?"
        wrong = [
            ("As much as the largest", "Raise it a little, and the largest is what it was: nothing changes."),
            ("Its share: the gradient divided by the size of the window", "That is the rule of a mean."),
        ]
        yield MEANING, step, text, "Nothing", wrong


def _rule(t: Trials, op: Op, fact: Operation) -> Iterator[Draft]:
    """Ask for the line of a rule, among broken ones that were run."""
    mistakes, name = fact.comparison.mistakes if fact.comparison else [], clip(op.name)
    mistakes = [m for m in mistakes if m.line == mistakes[0].line]
    others = len(fact.rules) - 1
    rest = f", with the other line{'s' * (others > 1)} as written" if others else ""
    wrong = []
    for m in mistakes:
        element = f"g_{m.table.name}{m.table.at[0].replace('[]', '')}"
        rule, differences = float(m.table.rule[0]), float(m.table.differences[0])
        gives = f"{element} = {number(rule)}{rest}; differences give {number(differences)}"
        wrong.append((m.text, f"It gives {gives}: {m.what}."))
    if any(m.what not in GLARING for m in mistakes):
        text = f"Which line is {'the rule' if len(fact.rules) == 1 else 'one of the rules'} of {name}?"
        yield COUNT, t.back[op.id], text, fact.rules[mistakes[0].line], wrong


def _updated(t: Trials, update: Update) -> Iterator[Draft]:
    choice, pick, step = update.choices[update.start], t.pick(t.learnt[0]), len(t.ops) + 2 + len(t.back)
    x, g, rate, name = float(pick.x), float(pick.g), choice.rate, pick.name
    before, right = before_and_after(t, t.learnt[0], rate)
    digits = len(visible(right).partition(".")[2])
    near = (
        (x + rate * g, f"{name} + lr × g_{name}, which climbs"),
        (x - g, f"{name} − g_{name}, without lr"),
        (rate * g, f"lr × g_{name}, the step alone"),
    )
    wrong = [(number(n, f"{n:.{digits}f}"), f"That is {how}.") for n, how in near]
    text = f"{name} is {before}, and g_{name} is {number(g)}. What is {name} after a step with lr = {choice.lr}?"
    yield MEANING, step, text, right, wrong
    wrong = [
        ("Gradients are negative, and minus makes them positive", "They have either sign."),
        ("So that every number becomes smaller", "Where g is below 0, the number grows."),
    ]
    yield MEANING, step, f"Why has {name} − lr × g_{name} a minus?", MINUS.partition(";")[0], wrong
