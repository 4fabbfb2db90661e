"""Teaches the steps of the player: what each means, the chain rule with its numbers, plots, and the update."""

from __future__ import annotations

import ast
import math
from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np

from autograd_cnn.studio.player.array_views import BARS
from autograd_cnn.studio.player.trials import EFFORT, PLACES, RAISE, Trials, attempt, inputs_of
from autograd_cnn.studio.player.wording import bare, number, signed
from autograd_cnn.studio.records import Op, Use, Value
from autograd_cnn.studio.text import clip, count_text, listed

MANY = 4  # parameters
TERMS, CLASSES = 4, 10  # that are written out
Formula = dict[str, Any]  # lines, and a note; if the number is tried, a check and a plot
LOSS = "Loss: the number at the end, to be made small. Gradient: how fast the loss changes when one number is raised."
SHORT = "g_{0} is short for the gradient of the loss with respect to {0}; calculus writes d loss / d {0}."
BACKWARD = (
    "Local slope: how fast the result of one operation changes when its input is raised. Rule: the line that "
    "multiplies the incoming gradient by it. Kept: what stayed in memory because a rule needs it. Check: a gradient "
    "predicts a straight line, which only nearly fits: drag the point. Numbers are shown with four digits, so a "
    "product of two can differ in the last."
)
ARRAYS = {  # explained at the start, if a role or an axis has one of these names
    "parameter": " Parameters: the numbers that training changes.",
    "item image": " Batch: the items that run together, along the first axis.",
    "channel colour": " Channel: one place on the last axis, as a colour of an image or what one filter makes.",
    "row": " In brackets: [item, row, column, channel]; of filters [row, column, input channel, filter].",
}
FIRST = {  # explained where they first appear
    "class": "Class: one of the answers to choose from; each has a score, and the highest is the network's answer.",
    "softmax": (
        "one_hot(y): 1 for the right class y, 0 for the others. "
        "Softmax: turns the scores of an item into probabilities, which add up to 1: exp of each, divided by the sum "
        "of all. If the right class has probability p, −log p is near 0 for p near 1, and large for p near 0."
    ),
}
DEAD = (
    "Where relu gives 0 its slope is 0: nothing comes back. A channel that is 0 for all items of this batch gets no "
    "gradient from it; if it is 0 for all others too, it never learns, and is wasted."
)
JUDGE = (
    "The rules of {} are your own, and may be wrong. On the way back you judge each one, right or wrong, before the "
    "page compares it with finite differences."
)
ADD = "Raise {0} a little: each use changes the loss a little, and the changes add up."
PLAIN = "Here each number takes a plain step, lr × g; the moments of a training are steps of its optimiser, as Adam's."
MINUS = "Where g is above 0, raising the number raises the loss, so it goes down; where g is below 0, it goes up."
RATE = (
    "lr, the learning rate, is yours to choose: too small is slow, too large jumps past the bottom. A usual choice is "
    "the largest at which the loss still falls well. Training repeats this step many times, with new gradients."
)


# What the steps mean


def begin(t: Trials) -> list[str]:
    """Return the result with these numbers, the goal, and how to go on."""
    given = [v for v in t.author.initial if v.role in ("input", "target") and t.array(v) is not None]
    alike = [v for v in given if v.size == 1 or (v.size and not np.any(t.array(v)))]  # one number, or all are 0
    numbers = {v.id: f" = {number(np.reshape(t.array(v), -1)[0])}" for v in alike}
    shown = [clip(v.name) + numbers.get(v.id, t.extent(v)) for v in given[:MANY]]
    if count := sum(v.size for v in t.graph.parameters):
        shown.append(count_text(count, "parameter"))
    end = number(t.graph.loss) if t.graph.loss is not None else f"{t.end}, of {t.result.size:,} numbers"
    end = f"it ends with an error in {clip(t.graph.failure.op.name)}" if t.graph.failure else f"the result is {end}"
    lines = [f"With {listed(shown)} {end}." if shown else f"Here {end}."]
    known = not t.graph.failure and attempt(lambda: np.isfinite(t.array(t.result)).all())
    for value in t.learnt[:1] if known else []:
        pick, place = t.pick(value), t.told(value, t.pick(value).i)
        tried = t.tried.get(value.id, {}).get(pick.i)
        change = tried[0] if tried else RAISE * float(pick.g)
        digits = 3 - math.floor(math.log10(abs(change) or 1))
        if tried and digits < 13:  # as the check of its step writes it: the difference of two numbers that are rounded
            change = round(t.base + change, max(4, digits)) - round(t.base, max(4, digits))
        ask = f"How does {t.goal} change when {pick.name}{f' ({place})' * bool(place)} changes a little?"
        happens = f"{t.goal} {'falls' if change < 0 else 'rises'} by {'about ' * (not tried)}{number(abs(change), 4)}"
        lines += [f"{ask} Raise {pick.name} by {RAISE} and {happens}."] * math.isfinite(change)
    return [*lines, f"Go on with next: forward{' to the loss, and from there back' * (not t.graph.failure)}."]


def backward(t: Trials, op: Op, values: list[Value]) -> str:
    """Return the meaning of a step back to `values`."""
    out, name, reach = clip(t.values[op.output].name), f"{clip(op.name)}()", t.reach.get(op.id)
    words, alone, shared = [], [v for v in values if len(t.shares[v.id]) == 1], defaultdict(list)
    for v in (v for v in values if len(t.shares[v.id]) > 1):
        shared[len(t.shares[v.id]), tuple(t.uses[op.id, v.id])].append(v)
    for (ways, mine), these in shared.items():
        are, one, its = "is", (here := clip(these[0].name)), f"g_{here}"
        if these[1:]:
            are, one, its = "are each", "one of them", "each gradient"
        share = f"share{'s' * (len(mine) > 1)} {listed([f'{k + 1:,}' for k in mine])}"
        words.append(
            f"{listed([t.introduced(v) for v in these])} {are} used {ways:,} times. {ADD.format(one)} "
            f"So {its} is the sum of {ways:,} shares. This step adds {share}."
        )
    if alone:
        its, them = ("each gradient", "them") if alone[1:] else (f"g_{clip(alone[0].name)}", "it")
        many = [clip(v.name) for v in alone if len(t.changed(op, v)) > 1]
        words.append(
            f"{name} uses {listed([t.introduced(v) for v in alone])} to make {t.introduced(t.values[op.output])}, "
            f"and nothing else uses {them}. So {its} is g_{out} times the local slope of {name}."
        )
        summed = f"Each number of {listed(many)} changes several numbers of {out}, so its gradient is a sum."
        words += [summed] * bool(many)
    kept, why = [clip(k.label) for k in (op.kept or ())[:MANY]], ""
    if op.call.primitive.rectifies and len(op.inputs) == 1:
        why = f"The slope is 1 where {out} is above 0, and 0 elsewhere. "
    elif reach and reach.won:
        why = "The gradient goes to the winner of each window only. "
    them = "them" if kept[1:] else "it"
    words += [f"{why}The rule needs {listed(kept)}, so the forward pass kept {them}."] * bool(kept)
    parts = defaultdict(list)
    for v in (t.values[op.output], *values):
        if v.id in t.origins and not t.origins[v.id].short:
            parts[t.origins[v.id].told].append(clip(v.name))
    words += [f"{'Each of ' * bool(names[1:])}{listed(names)} is {told}." for told, names in parts.items()]
    return " ".join(words)


# The update


def update(t: Trials, rates: Sequence[float] = ()) -> dict[str, Any] | None:
    """Return steps against the gradient: at the learning `rates`, or at some that suit, the change of the loss."""
    pairs = [(v, t.array(v), t.gradient(v)) for v in t.learnt]
    slope = sum(float(np.sum(np.square(np.asarray(g, np.float64)))) for _, _, g in pairs)
    loss = math.nan if t.array(t.result) is None else float(np.sum(t.array(t.result)))
    if not t.ops or not slope or not 1e-290 < abs(loss or 1.0) / slope < math.inf:
        return None

    def after(lr: float) -> float:
        new = {t.author.name(v): np.asarray(w - np.asarray(lr, w.dtype) * g, w.dtype) for v, w, g in pairs}
        return t.run({**t.scope, **new}, set(new))

    # If the loss were linear, one unit would remove 40 % of it; units shrink until a step of four lowers the loss
    units = [float(f"{0.4 * abs(loss or 1.0) / slope / 4**k:.1g}") for k in range(5)]
    unit = next((u for u in units if after(4 * u) < loss), units[-1])
    g = t.pick(t.learnt[0]).g
    alone = sum(v.size for v in t.learnt) == 1
    way = -1 if alone and g > 0 else 1  # from left to right on the axis of the only number
    count = PLACES if t.whole and sum(t.costs) < EFFORT / PLACES else 4
    rates = sorted(rates or [float(f"{k * unit:.4g}") for k in range(count)])[::way]
    losses, shown = [after(lr) if lr else loss for lr in rates], MANY if t.scalar else 2
    return {
        "rates": rates, "start": rates.index(0) + way, "loss": loss, "alone": alone, "slope": slope,
        "changes": [end - loss if math.isfinite(end) else None for end in losses], "wrong": bool(t.wrong),
        "learnt": [v.id for v in t.learnt[:shown]], "more": max(0, len(pairs) - shown),
    }  # fmt: skip


# Sums: of which terms a result consists, and over which numbers a gradient is summed


def terms(t: Trials, op: Op) -> list[Formula] | None:
    """Return the first term of a loss with its numbers, and the mean or sum that is the result; of an array the latter.

    The terms of a loss are its results without a reduction or, of scores and labels, the logarithms of softmax.
    """
    options = dict(zip(op.call.primitive.parameters, op.call.arguments, strict=False))
    z, *others = (t.values[v] for v in inputs_of(op))
    x, out = np.asarray(t.array(z)), np.asarray(t.array(t.values[op.output]))
    line = f"{t.author.name(t.values[op.output])} = {bare(ast.unparse(t.author.call(op)))}"
    one: list[Formula] = []
    each = np.reshape(x, -1)
    if found := attempt(class_losses, t, op):
        each = found[-1]
        one = [{"each": [_item(t, z, k, *a) for k, a in enumerate(islice(zip(*found, strict=True), BARS))]}]
    elif "reduction" in options:
        given = {n: t.array(a.value) if isinstance(a, Use) else a for n, a in options.items()}
        each = np.reshape(op.call.primitive.raw(*(given | {"reduction": "none"}).values()), -1)
        one = [{"term": t.views.look(np.reshape(each, x.shape), z, False)}]  # the page chooses one of them
    elif others or "axis" not in options:
        return None
    count, divisor = each.size, _divisor(each, out.flat[0])
    if out.size > 1 or count < 2 or not divisor or each.dtype.kind != "f":
        return None
    sum_ = " + ".join([number(each[0] + 0.0), *(signed(a + 0.0) for a in each[1:TERMS])]) + " + …" * (count > TERMS)
    how, filled = ("mean", f"({sum_}) / {count:,}") if divisor > 1 else ("sum", sum_)
    return [*one, {"lines": [line, f"= {filled} = {number(out.flat[0])}"], "note": f"the {how} of {count:,} numbers"}]


def _item(t: Trials, z: Value, k: int, p: Any, y: Any, loss: Any) -> Formula:
    """Return the loss of the k-th item with its numbers: the shares of the classes, and minus the right one's log."""
    first, right = k * len(p), number(p[y], 4 if p[y] < 0.999 else 9)
    row, place = t.place(z, first)[:-1] or "", t.told(z, first).rpartition(", ")[0]
    lines = [f"softmax({clip(z.name)}{row}) = {', '.join(map(number, p[:CLASSES]))}" + ", …" * (len(p) > CLASSES)]
    lines += [f"{t.called('class', int(y))} is right: −log {right} = {number(loss)}"]
    return {"lines": lines, "note": f"the term of {place or t.named(z, 0)}"}


def class_losses(t: Trials, op: Op) -> Any:
    """Return the shares that softmax gives the classes, the right class, and the loss of each item; else None.

    The loss of an item is the logarithm of the share of its right class, and the result of `op` is their mean or sum.
    """
    scores, labels = inputs_of(op)
    x, y = np.asarray(t.array(t.values[scores])), np.reshape(t.array(t.values[labels]), -1)
    if t.axes[scores][-1] != "class" or y.dtype.kind not in "iu":
        return None
    e = np.exp(x - x.max(-1, keepdims=True)).reshape(-1, x.shape[-1])
    p = e / e.sum(-1, keepdims=True)
    each = -np.log(p[np.arange(len(y)), y])
    return (p, y, each) if _divisor(each, float(t.array(t.values[op.output]))) else None


def _divisor(each: Any, result: Any) -> int:
    """Return the count of numbers if the result is their mean, 1 if it is their sum, else 0."""
    return next((k for k in (each.size, 1) if np.isclose(each.sum() / k, result, 1e-4, 0)), 0)
