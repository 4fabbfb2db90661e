"""Writes the questions of the quiz, each asked before its step is shown; a wrong answer comes with its reason.

A question is a function below. `@asked` says before which steps it is asked, and at which level; it yields a `Draft`,
or nothing where it does not fit. Of too many questions, those of functions further up stay.
"""

from __future__ import annotations

import math
import re
from collections import namedtuple
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from autograd_cnn.ops.arithmetic import cos, exp, log, sin, sqrt, tanh
from autograd_cnn.ops.windows import windows
from autograd_cnn.studio.player.lesson import class_losses, in_numbers
from autograd_cnn.studio.player.trials import RAISE, Trials, attempt, is_float, learning
from autograd_cnn.studio.player.wording import brief, number, record
from autograd_cnn.studio.records import Op
from autograd_cnn.studio.text import clip

QUESTIONS, WRONG, DRAWN = 10, 3, 6  # of a level; wrong answers; rows and columns of numbers that are drawn
NUMBERS, CODE = range(2)  # the levels: numbers and pictures; lines of code
CALCULATOR = exp, log, sqrt, sin, cos, tanh  # operations without a symbol that a pocket calculator knows
GLARING = "the sign is wrong", "counted twice"  # mistakes that are seen without understanding the rule

# An answer is text or a number. `wrong` are answers by what is wrong with them, or by what a number is; `given` are the
# numbers of the text. `picture` are grids of numbers, and signs between them
Draft = namedtuple("Draft", "text right wrong given picture", defaults=((), None))
ASKED: list[tuple[str, int, int, Callable[..., Iterator[Draft]]]] = []


def asked(kind: str, level: int = NUMBERS, most: int = 2) -> Callable[..., Any]:
    """Let a function ask before steps of a kind: forward, backward or end; before at `most` so many."""

    def listed(ask: Callable[..., Iterator[Draft]]) -> Any:
        ASKED.append((kind, level, most, ask))
        return ask

    return listed


def questions(t: Trials, steps: list[Any], facts: list[Any], update: Any) -> list[list[dict[str, Any]]]:
    """Return at most ten questions of each level in the order of their steps: one of each function, then a second.

    Each answer of a question has its reason, and the first answer is right.
    """
    found: list[dict[str, Any]] = [{}, {}]
    for kind, level, most, ask in ASKED:
        times = 0
        for k, step in enumerate(steps):
            if step["kind"] == kind and times < most:
                about = (t.ops[step["op"]], facts[step["op"]]) if step["op"] >= 0 else (None, update)
                drafts = [(d, _answers(d)) for d in ask(t, *about)]
                fresh = {
                    d.text: (times, record(step=k, text=d.text, given=d.given, answers=answers, picture=d.picture))
                    for d, answers in drafts if len(answers) > 1 and d.text not in found[level]
                }  # fmt: skip
                found[level] |= fresh
                times += bool(fresh)
    chosen = ([q for _, q in sorted(level.values(), key=lambda pair: pair[0])[:QUESTIONS]] for level in found)
    return [sorted(level, key=lambda q: q["step"]) for level in chosen if level]


def _answers(draft: Draft) -> list[tuple[str, str]]:
    """Return the answers with their reasons, the right one first; all are finite, and differ as they are shown."""
    found: dict[str, str] = {}
    numbers = [x for x in (*draft.given, draft.right) if not isinstance(x, str)]
    for why, x in [("", draft.right), *draft.wrong.items()] if np.isfinite(numbers).all() else []:
        if isinstance(x, str) or np.isfinite(x):
            found.setdefault(
                x if isinstance(x, str) else number(x + 0), why if isinstance(x, str) else f"That is {why}."
            )
    return [(text, reason if k else "") for k, (text, reason) in enumerate(found.items())][: 1 + WRONG]


@asked("backward", most=1)
def slope(t: Trials, op: Op, _: Any) -> Iterator[Draft]:
    """Ask what the gradient of a result says about the loss, at the step that uses it."""
    out = t.values[op.output]
    if out.id in t.tried and out is not t.result:
        i, name, _, g = t.pick(out)
        change = t.tried[out.id].get(i, [math.nan])[0]
        if not math.isclose(change, RAISE * g, rel_tol=0.2):
            return  # it bends, or a rule is wrong
        far = brief(RAISE * abs(g), 3)
        ways = ("down", "up") if g < 0 else ("up", "down")
        right, other = (f"Raise {name} by {RAISE}, and {t.goal} goes {way} by about {far}" for way in ways)
        wrong = {
            "That is the other sign.": other,
            "Nothing changes: it is how fast the loss would.": f"{name} changes by {number(g)} in this step",
            "It tells the way, but not how far to go.": f"{name} is off by {number(g)}, and should be mended by it",
        }
        yield Draft(f"g_{name} is {number(g)}. What does that say?", right, wrong, [float(g)])


@asked("forward")
def products(t: Trials, op: Op, _: Any) -> Iterator[Draft]:
    """Ask for one number of a convolution or a matrix product, from the products whose sum it is."""
    if reach := _weighs(t, op):
        x, w, out = (clip(t.values[v].name) for v in (reach.fine, reach.w, op.output))
        (a, f), total = _met(t, reach, i := _example(t, op)), float(t.array(t.values[op.output]).flat[i])
        bias = float(t.array(t.values[reach.b])[i % t.values[reach.b].size]) if reach.b else 0.0
        c, count = int(np.argmax(np.abs((a * f).sum((0, 1))))), a.size
        a, f = (part[:DRAWN, :DRAWN, c] for part in (a, f))
        all_, drawn, more = total - bias, float((a * f).sum()), f"The bias is {number(bias)}. " * bool(bias)
        given = [bias] * bool(bias)
        if a.size < count:
            given = [drawn, all_ - drawn, *given]
            more = f"These add up to {number(drawn)}, all others to {number(all_ - drawn)}. {more}"
        wrong = {"the sum without the bias": all_, "the sum of what is drawn": drawn, "the mean": all_ / count}
        text = f"A number of {out} is a sum of {count:,} products; {a.size} are drawn. {more}What is the number?"
        yield Draft(text, total, wrong, given, [_grid(a, x), "×", _grid(f, w), "=", _grid(a * f, "products")])


@asked("backward", most=1)
def weights(t: Trials, op: Op, _: Any) -> Iterator[Draft]:
    """Ask how many products the gradient of a weight of the first layer is the sum of, and for one of them."""
    reach, out = _weighs(t, op), t.values[op.output]
    if not reach or reach.w not in learning(op) or t.values[reach.fine].role not in ("input", "constant"):
        return
    w, (x, y) = t.values[reach.w], (clip(t.values[v].name) for v in (reach.fine, op.output))
    (at, name, own, _), (items, *places, channels) = t.pick(w), out.shape
    count, each = out.size // channels, f"each of {items:,} items"
    wrong: dict[str, Any] = {
        f"Those are all numbers of {y}; {name} serves one of {channels:,} channels.": f"{out.size:,}",
        f"So many products make one number of {y}.": f"{w.size // channels:,}",
        "That is one item alone; the loss is of all.": f"{count // items:,}",
    }
    where = f"at {' × '.join(map(str, places))} places of {each}" if places else f"with {each}"
    yield Draft(f"{name} makes a product {where}. How many add up to its gradient?", f"{count:,}", wrong)
    if (slopes := t.slopes(op, w)) is not None:
        g = np.reshape(t.gradient(out), -1)
        k = int(np.argmax(np.abs(slopes * g)))
        seen, b = _met(t, reach, k)[0], float(g[k])
        place = np.unravel_index(at // channels, seen.shape)
        a = float(seen[place])
        wrong = {"their sum": a + b, "the gradient alone": b, f"what goes back to {x}": float(own) * b, f"{x} alone": a}
        picture = [_grid(seen[..., place[-1]], x, place[:-1]), "and", _grid([[b]], f"g_{t.named(out, k)}")]
        text = f"At one place {name} met the marked number. What does this place add to g_{name}?"
        yield Draft(text, a * b, wrong, [], picture)


@asked("backward")
def total(t: Trials, op: Op, _: Any) -> Iterator[Draft]:
    """Ask for a gradient that this step completes, from its shares, and for the reason why they add up."""
    values = [t.values[v] for v in learning(op) if len(t.shares[v]) > 1 and t.shares[v][-1].op is op]
    for v in (v for v in values if t.whole and v.size):
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
def moved(t: Trials, _: Any, update: Any) -> Iterator[Draft]:
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
def item(t: Trials, op: Op, _: Any) -> Iterator[Draft]:
    """Ask for the loss of one item, from what softmax makes of its scores."""
    if found := attempt(class_losses, t, op):
        (p, *_), (k, *_), (loss, *_) = found
        wrong = {"−ln of another share": -np.log(p[k - 1]), "the share itself": p[k], "ln of the share": -loss}
        text = (
            "Each class has a share; the right one is marked. The loss of an item is −ln of its share. What is it here?"
        )
        yield Draft(text, loss, wrong, [], [_grid(p[None], "shares of the classes", (0, k))])


@asked("backward")
def chain(t: Trials, op: Op, _: Any) -> Iterator[Draft]:
    """Ask for a gradient that is one product: incoming gradient times local slope."""
    for v in (t.values[v] for v in learning(op) if len(t.shares[v]) == 1):
        if len(t.changed(op, v)) == 1 and (slopes := t.slopes(op, v)) is not None:
            i, (_, x, _, gradient) = int(np.argmax(np.abs(slopes))), t.pick(v)
            y, g = t.named(t.values[op.output], i), float(t.gradient(t.values[op.output]).flat[i])
            s = float(f"{slopes[i]:.6g}")
            wrong = {"their sum": g + s, "the local slope alone": s, "the incoming gradient alone": g}
            text = f"Raise {x} a little: {y} changes {number(s)} times as much. g_{y} is {number(g)}. What is g_{x}?"
            if abs(s) not in (0, 1) and abs(g) != 1 and math.isclose(g * s, gradient, rel_tol=1e-3):
                yield Draft(text, gradient, wrong, [s, g])


@asked("backward", most=1)
def shut(t: Trials, op: Op, _: Any) -> Iterator[Draft]:
    """Ask what comes back to a number that a relu or a pool did not let through."""
    x, out, i, reach = t.values[op.inputs[0][1]], t.values[op.output], t.gate(op)[1], t.reach.get(op.id)
    if i is not None:
        a = np.reshape(t.array(x).flat[i], (1, 1))
    elif reach and reach.won:
        a = _met(t, reach, i := _example(t, op))[0][..., 0]
        if not a.min() < a.max() == t.array(out).flat[i]:
            return  # nothing is beside the winner, or it is smaller than the 0 beyond an edge
    if i is not None and (g := t.gradient(out).flat[i]):
        wrong = {"what a number gets that passes": g, "an equal share": g / max(2, a.size), "the other sign": -g}
        here = "the marked number" if a.size > 1 else "this number"
        text = f"{clip(op.name)} did not let {here} through. g_{t.named(out, i)} is {number(g)}. What comes back to it?"
        yield Draft(text, 0, wrong, [float(g)], [_grid(a, clip(x.name), np.unravel_index(a.argmin(), a.shape))])


@asked("forward", most=5)
def result(t: Trials, op: Op, _: Any) -> Iterator[Draft]:
    """Ask for the result of an operation on single numbers."""
    arrays = [t.array(t.values[v]) for v in (op.output, *(v for _, v in op.inputs))]
    out, shut = t.values[op.output], t.gate(op)[1]
    known = shut is not None or op.call.primitive.symbol or op.call.primitive in CALCULATOR
    if not known or not out.size or len(arrays) > 3 or any(not is_float(a) or np.shape(a) != out.shape for a in arrays):
        return
    i = _example(t, op) if shut is None else shut
    plain, filled = in_numbers(t, op, i)
    if re.search(r"[],=.@]|\*\*", plain) or filled == plain or filled[0] == "-":
        return  # code, or nothing to find out
    right, *given = [float(np.reshape(a, -1)[i]) for a in arrays]
    x, y = given[0], given[-1]
    a, b = number(x), number(y)
    wrong = {f"{a} alone": x, f"{a} + {b}": x + y, f"{a} × {b}": x * y, f"{a} − {b}": x - y}
    note = f"{clip(op.name)} lets numbers above 0 through, and makes the others 0. " * (shut is not None)
    where = "here" if out.size == 1 else "at one place"
    text = f"{note}{t.author.name(out)} = {plain}, {where} {filled}. What is that?"
    yield Draft(text, right, wrong, given)


@asked("backward", CODE, most=QUESTIONS)
def rule(t: Trials, op: Op, fact: Any) -> Iterator[Draft]:
    """Ask for the line of a rule, among broken ones that were run."""
    written, *mistakes = fact.get("versions") or [{"good": False}]
    mistakes = [m for m in mistakes if m["line"] == mistakes[0]["line"]] if written["good"] else []
    others, wrong = len(fact["rules"]) - 1, {}
    rest = f", with the other line{'s' * (others > 1)} as written" * bool(others)
    for m in mistakes:
        element, *pair, _ = m["rows"][0]
        differences, gives = (number(float(x)) for x in pair)
        wrong[f"It gives {gives} for {element}{rest}; differences give {differences}: {m['what']}."] = m["text"]
    if any(m["what"] not in GLARING for m in mistakes):
        text = f"Which line is {'one of the rules' if others else 'the rule'} of {clip(op.name)}?"
        yield Draft(text, fact["rules"][mistakes[0]["line"]], wrong)


# What the questions share


def _example(t: Trials, op: Op) -> int:
    """Return the flat index of the number of a result that is asked for."""
    pick, a = t.picks.get(op.output), t.array(t.values[op.output])
    return pick.i if pick else int(np.argmax(np.abs(np.nan_to_num(a))))


def _weighs(t: Trials, op: Op) -> Any:
    """Return the reach of a convolution or a matrix product that has numbers, else None."""
    reach = t.reach.get(op.id)
    return reach if reach and reach.w and reach.coarse == op.output and t.values[op.output].size else None


def _met(t: Trials, reach: Any, i: int) -> tuple[np.ndarray, Any]:
    """Return what the i-th number of a result sees, 0 beyond edges, and its weights: rows, columns, channels."""
    x, w, out = (v and np.asarray(t.array(t.values[v]), float) for v in (reach.fine, reach.w, reach.coarse))
    n, *at, k = np.unravel_index(i, out.shape)
    if reach.rows:
        return x[n][None, :, None], w[:, k][None, :, None]
    own, others = reach.group or (1, 1)  # channels; a pool has no group
    x = x[n : n + 1, :, :, own * (k // others) :][..., :own]
    sides = [(p, d * size) for p, d, size in zip(reach.pad, reach.dilation, reach.kernel, strict=True)]
    seen = windows(x, reach.kernel, reach.stride, sides, reach.dilation)[0][tuple(at)]
    return np.moveaxis(seen, 0, -1), None if w is None else w[..., k]


def _grid(numbers: Any, caption: str, marked: Any = (-1, -1)) -> dict[str, Any]:
    """Return the part of the numbers that is drawn, around the one that is marked."""
    top, left = (max(0, k - DRAWN + 1) for k in marked)
    rows = np.asarray(numbers)[top : top + DRAWN, left : left + DRAWN]
    marks = [[(top + i, left + j) == tuple(marked) for j in range(len(row))] for i, row in enumerate(rows)]
    return {"rows": [[number(x + 0) for x in row] for row in rows], "caption": caption, "marks": marks}
