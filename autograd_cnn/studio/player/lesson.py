"""Teaches the steps of the player: what each means, the chain rule with its numbers, plots, and the update."""

from __future__ import annotations

import ast
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_cnn.studio.player.mistakes import largest
from autograd_cnn.studio.player.trials import EFFORT, PLACES, RAISE, Share, Trials, attempt, inputs_of
from autograd_cnn.studio.player.wording import ADD, SQUARE, apart, as_mathematics, brief, number, record, signed
from autograd_cnn.studio.program.syntax import evaluate, names_in
from autograd_cnn.studio.records import Op, Use, Value
from autograd_cnn.studio.text import clip, count_text, listed

SHOWN, MANY = 5, 4  # shares, parameters
TERMS, CLASSES = 4, 10  # that are written out
ONE = ast.Constant(1)
Formula = dict[str, Any]  # lines, and a note; if the number is tried, a check and a plot
RATE = (
    "lr, the learning rate, is yours to choose: too small is slow, too large jumps past the bottom. A usual choice is "
    "the largest at which the loss still falls well. Training repeats this step many times, with new gradients."
)


def check(t: Trials, op: Op, value: Value) -> str:
    """Say what raising the example of `value` did, beside what the gradient that `op` completes predicts."""
    pick = t.pick(value)
    if value.id not in t.outcomes or not math.isfinite(pick.g):
        return ""
    after, change = t.outcomes[value.id]
    before, then, far = apart(t.base, after)
    predicted = RAISE * float(pick.g)
    happens = f"goes from {before} to {then}, {'down' if change < 0 else 'up'} by {far}" if change else "does not move"
    words = f"Raise {pick.name} by {RAISE}: {t.goal} {happens}. "
    words += f"Predicted: {RAISE} × {signed(pick.g)} = {brief(predicted, 4)}."
    differ = abs(change - predicted) > 0.2 * abs(change)
    why = "the slope changes along the way, or a rule is wrong"
    here = t.places[op.id]
    found = {k: n for (k, v), n in t.wrong.items() if k > here or (k == here and v == value.id)}
    if rules := [*dict.fromkeys(f"of {n}" + " (here)" * (k == here) for k, n in found.items())]:
        why = f"finite differences do not agree with the rule {listed(rules)}; “Is this rule right?” tests this one"
    return words + f" They differ: {why}." * differ


# What the steps mean


def begin(t: Trials) -> list[str]:
    """Return the result with these numbers, the goal, and how to go on."""
    given = [v for v in t.author.initial if v.role in ("input", "target") and t.array(v) is not None]
    shown = [clip(v.name) + (f" = {number(t.array(v).item())}" if v.size == 1 else t.extent(v)) for v in given[:MANY]]
    if count := sum(v.size for v in t.graph.parameters):
        shown.append(count_text(count, "parameter"))
    end = number(t.graph.loss) if t.graph.loss is not None else f"{t.end}, of {t.result.size:,} numbers"
    end = f"it ends with an error in {clip(t.graph.failure.op.name)}" if t.graph.failure else f"the result is {end}"
    lines = [f"With {listed(shown)} {end}." if shown else f"Here {end}."]
    for value in [] if t.graph.failure else t.learnt[:1]:
        pick, place = t.pick(value), t.told(value, t.pick(value).i)
        after, change = t.outcomes.get(value.id, (math.nan, RAISE * float(pick.g)))
        far = f"about {brief(abs(change), 3)}" if math.isnan(after) else apart(t.base, after)[2]
        ask = f"How does {t.goal} change when {pick.name}{f' ({place})' * bool(place)} changes a little?"
        happens = f"{t.goal} {'falls' if change < 0 else 'rises'} by {far}"
        lines += [f"{ask} Raise {pick.name} by {RAISE} and {happens}."] * math.isfinite(change)
    return [*lines, f"Press → or next to walk forward{'; at the loss the way back begins' * (not t.graph.failure)}."]


def forward(t: Trials, op: Op) -> list[Formula]:
    """Return the line with the numbers in it, for one number of the result: ``h = x × y``, ``= 0.5 × 1.2 = 0.6``.

    A rectified array gives two elements: one that passes, and one that is blocked. A loss gives a term of it, too.
    """
    out = t.values[op.output]
    if places := [i for i in t.gate(op) if i is not None]:
        x, y = t.array(t.values[op.inputs[0][1]]), t.array(out)
        numbers = [(t.named(out, i), x.flat[i], y.flat[i]) for i in places]
        lines = [f"{name} = {op.name}({number(a)}) = {number(b)}: slope {int(b > 0)}" for name, a, b in numbers]
        return [{"lines": lines, "note": "above 0 a number passes; below, it is blocked"}]
    if not out.size or op.call.inside or t.array(out) is None:
        return []
    i = t.picks[out.id].i if out.id in t.picks else 0

    first, whole, note = attempt(terms, t, op, i) or ([], "", "")
    reach, value = t.reach.get(op.id), number(np.reshape(t.array(out), -1)[i])
    if not whole and out.size > 1 and not (reach and reach.each):
        return []
    plain, filled = in_numbers(t, op, i)
    filled = whole or filled
    steps = [filled] if filled != plain and not filled.startswith("-") else []
    line = plain if plain.startswith(f"{t.author.name(out)}(") else f"{t.author.name(out)} = {plain}"
    filled_in = " ".join(f"= {text}" for text in [*steps, value])
    if out.size > 1:
        return [{"lines": [f"{t.named(out, i)} {filled_in}"], "note": "; ".join(filter(None, [t.told(out, i), note]))}]
    return [*first, {"lines": [line, filled_in], "note": note}]


def in_numbers(t: Trials, op: Op, i: int) -> tuple[str, str]:
    """Return the expression of an operation, and the same with the numbers that give the i-th of its result."""
    call = t.author.call(op)
    return as_mathematics(call), as_mathematics(call, _numbers_at(t, call, i, t.values[op.output].shape).get)


def _numbers_at(t: Trials, tree: Any, i: int, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the numbers of the arrays in an expression that give the i-th of a result of this shape, if they do."""

    def number_of(name: str) -> Any:
        a = np.asarray(t.scope[name])
        return np.broadcast_to(a.reshape(()) if a.size == 1 else a, shape).flat[i] if a.dtype.kind in "fc" else None

    found = {name: attempt(number_of, name) for name in names_in(tree)}
    return {name: x for name, x in found.items() if x is not None}


def backward(t: Trials, op: Op, values: list[Value]) -> tuple[str, list[Formula]]:
    """Return the meaning of a step back, and the chain rule for each of `values`."""
    out, name, reach = clip(t.values[op.output].name), f"{clip(op.name)}()", t.reach.get(op.id)
    words, alone = [], [v for v in values if len(t.shares[v.id]) == 1]
    for v in (v for v in values if len(t.shares[v.id]) > 1):
        mine, ways, here = [f"{k + 1:,}" for k in t.uses[op.id, v.id]], f"{len(t.shares[v.id]):,}", clip(v.name)
        this = "this is share" if len(mine) == 1 else "these are shares"
        words.append(
            f"{here} is used {ways} times, so it reaches {t.goal} in {ways} ways. {ADD.format(here)} "
            f"{SQUARE * (len(mine) == 1 or op.call.primitive.symbol == '*')}"
            f"So g_{here} is the sum of {ways} shares: {this} {listed(mine)} of {ways}."
        )
    if alone:
        reaches, its = ("reach", "each gradient") if alone[1:] else ("reaches", f"g_{clip(alone[0].name)}")
        many = [clip(v.name) for v in alone if len(t.changed(op, v)) > 1]
        summed = f", for {listed(many)} summed over the numbers of {out}" * bool(many)
        made = t.introduced(t.values[op.output])
        makes = f"{name}, which makes {made}" if f"{made}()" != name else name
        words.append(
            f"{listed([t.introduced(v) for v in alone])} {reaches} {t.goal} only through {makes}. "
            f"So {its} is g_{out} times the local slope of {name}{summed}."
        )
    kept, why = [clip(k.label) for k in op.kept or ()], ""
    if op.call.primitive.rectifies and len(op.inputs) == 1:
        why = f"The slope is 1 where {out} is above 0, and 0 where it is 0: the rule needs no other number"
    elif reach and reach.won:
        why = "The gradient goes to the winner of each window only"
    elif kept:
        why = f"The rule uses {listed(kept[:MANY])}"
    words += [f"{why}, so {listed(kept[:MANY])} {'was' if len(kept) == 1 else 'were'} kept."] * bool(kept)
    formulas = [formula(t, op, v) for v in values if v.size and (t.whole or len(t.shares[v.id]) == 1)]
    if (i := t.gate(op)[1]) is not None:
        here, shut = (t.named(t.values[v], i) for v in (op.inputs[0][1], op.output))
        numbers = f"= {number(t.gradient(t.values[op.output]).flat[i])} × 0 = 0"
        formulas.append({"lines": [f"g_{here} = g_{shut} × local slope", numbers], "note": f"blocked: {shut} is 0"})
    return " ".join(words), formulas


def formula(t: Trials, op: Op, value: Value) -> Formula:
    """Return the chain rule for the example: of one share, or the shares until now and their sum."""
    shares, pick = t.shares[value.id], t.pick(value)
    last = t.uses[op.id, value.id][-1]
    more, g = len(shares) - 1 - last, f"g_{pick.name}"
    if len(shares) == 1:
        given = t, value, shares[0], pick.g
        found = _product(*given) or _sum_of_products(*given)
        (first, *rest), note = found or ([number(pick.g)], "as the line below gives it")
        lines = [f"{g} = {first}", *rest]
    else:
        lines, note, numbers = [], "the share of each way, and their sum", []
        for k in range(max(0, last + 1 - SHOWN), last + 1):
            share = shares[k]
            uses = t.uses[share.op.id, value.id]
            place = f", place {uses.index(k) + 1} of {len(uses)}" if len(uses) > 1 else ""
            numbers.append(np.reshape(share.array, -1)[pick.i])
            found = _product(t, value, share, numbers[-1])
            how = " ".join(found[0]) if found else number(numbers[-1])
            lines.append(f"through {t.words(t.values[share.op.output])}{place}: {how}")
        sum_ = ("… + " if last >= SHOWN else "") + " + ".join([number(numbers[0]), *map(signed, numbers[1:])])
        lines.append(f"{g} = {sum_} + {more:,} more to come" if more else f"{g} = {sum_} = {number(pick.g)}")
    note = "; ".join(filter(None, [t.told(value, pick.i), note]))
    tried = {} if more else {"check": check(t, op, value), "plot": around(t, value)}
    return record(lines=lines, note=note, **tried)


def _product(t: Trials, value: Value, share: Share, c: Any) -> tuple[list[str], str] | None:
    """Write a share, `c` at the example, as incoming gradient × local slope; return None if its rule is no product."""
    op, out, i = share.op, t.values[share.op.output], t.pick(value).i
    g = t.author.gradient(out)
    slope = factor(share.expression, g) if share.expression else None
    if slope is None or out.size not in (1, value.size) or (value.size > 1 and not t.whole):
        return None
    numbers = _numbers_at(t, share.expression, i, value.shape)
    local = attempt(lambda: np.reshape(evaluate(slope, {**t.scope, **numbers}), -1))
    if local is None or local.size != 1 or g not in numbers or abs(local[0] * numbers[g] - c) > 1e-5 * abs(c):
        return None
    text, filled = as_mathematics(slope), as_mathematics(slope, numbers.get)
    whole = isinstance(slope, (ast.Name, ast.Constant, ast.Attribute, ast.Call))
    named = len(op.inputs) == 1 and text not in ("1", "-1")
    whose = f"; {text} is that of {clip(op.name)}()" * named
    whose += f"; here it is {filled}" * (value.size > 1 and filled not in (text, signed(local[0])))
    head = f"g_{t.named(out, i if out.size > 1 else 0)} × {text if whole else f'({text})'}"
    products = f"= {number(numbers[g])} × {signed(local[0])} = {number(c)}"
    return [head, products], f"incoming gradient × local slope{whose}"


def _sum_of_products(t: Trials, value: Value, share: Share, c: Any) -> tuple[list[str], str] | None:
    """Write a share, which is `c` at the example, as the two largest products of its sum.

    Return None unless the slopes are known and explain it.
    """
    op, out, pick = share.op, t.values[share.op.output], t.pick(value)
    slopes, incoming = t.slopes(op, value), np.reshape(t.gradient(out), -1)
    if slopes is None:
        return None
    terms = np.nan_to_num(slopes * incoming)
    if not abs(float(terms.sum()) - float(c)) <= 1e-3 * abs(float(c)) + 1e-12:  # or not a number
        return None
    order = largest(np.abs(terms))
    if out.id in t.picks and terms[first := t.picks[out.id].i]:  # the example goes on
        order = np.array([first, *order[order != first]])
    products = [f"{signed(incoming[k])} × {signed(float(f'{slopes[k]:.6g}'))}" for k in order[:2]]
    example = f"g_{t.named(out, int(order[0]))}"
    if (count := len(t.changed(op, value))) > 1:
        dots = " + …" * (count > 2)
        summed, numbers = counted(t, op, value), f"sum over the {count:,} numbers of {clip(out.name)} that it changes"
        head = "sum of all products" if summed else numbers
        each = f"each: incoming gradient × local slope; first that of {example}"
        note = "; ".join(filter(None, [summed or changed(t, op, value), each]))
        return [head, f"= {' + '.join(products)}{dots} = {number(c)}"], note
    alike = [v for v in (t.values[v] for v in inputs_of(op)) if v.shape == value.shape and t.array(v) is not None]
    at = [f"{t.named(v, pick.i)} = {number(np.reshape(t.array(v), -1)[pick.i])}" for v in alike]
    note = f"incoming gradient × local slope of {clip(op.name)}() at {listed(at)}"
    return [f"{example} × local slope", f"= {products[0]} = {number(c)}"], note


# The update


def update(t: Trials) -> dict[str, Any] | None:
    """Return steps against the gradient: at some learning rates the lines, and a plot of the loss after the step."""
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
    _, name, x, g = t.pick(t.learnt[0])
    alone = sum(v.size for v in t.learnt) == 1
    way = -1 if alone and g > 0 else 1  # from left to right on the axis of the only number
    count = PLACES if t.whole and sum(t.costs) < EFFORT / PLACES else 4
    rates = [float(f"{k * unit:.4g}") for k in range(count)][::way]
    base, losses = rates.index(0), [after(lr) if lr else loss for lr in rates]
    lines, says = [], []
    for lr, end in zip(rates, losses, strict=True):
        picks = [t.pick(v) for v in t.learnt[:MANY]]
        steps = [(n, signed(g), *apart(x, x - np.asarray(lr, x.dtype) * g)) for _, n, x, g in picks]
        lines.append([(f"{n} ← {n} − lr × g_{n}", f"= {x} − {number(lr)} × {g} = {y}") for n, g, x, y, _ in steps])
        before, then, _ = apart(loss, end)
        verdict = "It falls." if end < loss else "It does not fall: this step is too long." if lr else "No step."
        predicted = f"Predicted: a change by −{number(lr)} × {number(slope)} = {number(-lr * slope)}." if lr else ""
        predicted += " Finite differences disagree with a rule, so this is wrong." * bool(lr and t.wrong)
        says.append(f"{t.goal} goes from {before} to {then}. {verdict} {predicted}")
    axis = [number(float(x) - lr * float(g) if alone else lr) for lr in (rates[0], rates[-1])]
    axis.insert(1, f"{name} after the step" if alone else "learning rate lr")
    squared = f"−|g|² = {number(-slope)}: minus the sum of all gradients squared"
    drawing = frame(t.goal, losses, base, -slope * unit * way, f"g_{name} = {number(g)}" if alone else squared)
    plot = record(**drawing, axis=axis, base=base, places=[f"lr = {number(lr)}" for lr in rates], says=says)
    return {"start": base + way, "rates": rates, "lines": lines, "more": max(0, len(pairs) - MANY), "plot": plot}


def own_step(t: Trials) -> str:
    """Return what the traced function itself has made of the examples of parameters, or "" if it changed none."""
    picks = [(t.pick(v), t.graph.changed[v.id]) for v in t.learnt if v.id in t.graph.changed][:MANY]
    ends = [(pick.name, *apart(pick.x, a.flat[pick.i])) for pick, a in picks]
    told = listed([f"{name} from {before} to {then}" for name, before, then, _ in ends])
    return f"Your program has made its own step, by its own rule and learning rate: it changed {told}." if ends else ""


# Sums: of which terms a result consists, and over which numbers a gradient is summed


def terms(t: Trials, op: Op, i: int) -> tuple[list[Formula], str, str] | None:
    """Return the first term with its numbers, the mean or sum that is the i-th number of the result, and what it is.

    The terms of a loss are its results without a reduction or, of scores and labels, the logarithms of softmax.
    """
    options = dict(zip(op.call.primitive.parameters, op.call.arguments, strict=False))
    z, *others = (t.values[v] for v in inputs_of(op))
    x, out, place, lines = np.asarray(t.array(z)), np.asarray(t.array(t.values[op.output])), t.told(z, 0), []
    if found := attempt(class_losses, t, op):
        (p, *_), (y, *_), each = found
        place, right = place.rpartition(", ")[0], apart(p[y], 1)[0] if p[y] > 0.999 else number(p[y])
        row = clip(z.name) + (f"[{', '.join('0' * (x.ndim - 1))}]" if x.ndim > 1 else "")
        lines = [f"softmax({row}) = {', '.join(map(number, p[:CLASSES]))}" + ", …" * (len(p) > CLASSES)]
        lines += [f"{t.called('class', int(y))} is right: −log {right} = {number(each[0])}"]
    elif "reduction" in options:
        given = {n: t.array(a.value) if isinstance(a, Use) else a for n, a in options.items()}
        each = np.reshape(op.call.primitive.raw(*(given | {"reduction": "none"}).values()), -1)
        first = [number(np.reshape(given[n], -1)[0]) for n, a in options.items() if isinstance(a, Use)]
        lines = [f"{op.name}({', '.join(first)}) = {number(each[0])}"]
    elif not others and "axis" in options:
        axis = range(x.ndim) if options["axis"] is None else np.reshape(options["axis"], -1).tolist()
        each = np.moveaxis(x, axis, range(-len(axis), 0)).reshape(out.size, -1)[i]
    else:
        return None
    count, divisor = each.size, _divisor(each, out.flat[i])
    if count < 2 or not divisor or each.dtype.kind != "f":
        return None
    sum_ = " + ".join([number(each[0] + 0.0), *(signed(a + 0.0) for a in each[1:TERMS])]) + " + …" * (count > TERMS)
    one = [{"lines": lines, "note": f"the term of {place or t.named(z, 0)}"}] if lines else []
    how, filled = ("mean", f"({sum_}) / {count:,}") if divisor > 1 else ("sum", sum_)
    return one, filled, f"the {how} of {count:,} numbers"


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


def changed(t: Trials, op: Op, value: Value) -> str:
    """Say which numbers of the result of `op` the example of `value` changes, and why not others between them."""
    out, moved = t.values[op.output], t.changed(op, value)
    axes = zip(np.unravel_index(moved, out.shape), t.axes.get(out.id) or [""] * len(out.shape), strict=True)
    sizes = [(len(np.unique(places)), name) for places, name in axes]
    count = math.prod(n for n, _ in sizes)
    words = [count_text(n, name) if name else f"{n:,}" for n, name in sizes if n > 1]
    text = " × ".join(words)
    if count == len(moved):
        return text if len(words) > 1 else ""
    return f"{len(moved):,} of {count:,} places ({text}), since at the other {count - len(moved):,} the slope is 0"


def counted(t: Trials, op: Op, value: Value) -> str:
    """Count the products whose sum is the gradient of a weight, and those of them that are 0; "" of other values."""
    reach = t.reach.get(op.id)
    if not reach or reach.w != value.id:
        return ""
    (items, *places, _), x = t.values[reach.coarse].shape, clip(t.values[op.inputs[0][1]].name)
    count, words = items * math.prod(places), count_text(items, (t.axes.get(reach.coarse) or ["item"])[0])
    spread = f"{words} × {count_text(math.prod(places), 'place')}" if places else words
    text = f"{spread} = {count_text(count, 'product')}"
    zero = count - len(t.changed(op, value))
    return text + f"; in {zero:,} of them {x} is 0{' or padding' * bool(places)}" * (zero > 0)


# Plots: the loss against one number, or along a step against the gradient, with the tangent that gradients give


def around(t: Trials, value: Value) -> dict[str, Any] | None:
    """Plot the loss against the example of `value`, if it was moved: at each place, what happens there."""
    if value.id not in t.curves:
        return None
    (_, name, _, g), (places, losses, found) = t.pick(value), zip(*t.curves[value.id], strict=True)
    base, where, says = len(places) // 2, [], []
    x, end = places[base], places[-1]
    for place, loss in zip(places, losses, strict=True):
        by, change = place - x, f"{number(loss)}, changed by {number(loss - t.base)}"
        change = change if math.isfinite(loss) else "not finite"
        says.append(f"{t.goal} is {change}. Predicted: {number(by)} × {signed(g)} = {number(by * float(g))}.")
        where.append(f"{name} = {number(place)} instead of {number(x)}")
    where[base] = f"{name} = {number(x)}"
    says[base] = f"{t.goal} is {number(t.base)}."
    axis = [number(places[0]), f"{name} = {number(x)} ± {number(end - x)}", number(end)]
    numbers = {v: [texts.get(v, "?") for texts in found] for v in found[-1]}
    drawing = frame(t.goal, losses, base, float(g) * (end - x) / base, f"g_{name} = {number(g)}")
    return record(**drawing, axis=axis, base=base, places=where, says=says, numbers=numbers or None)


def frame(goal: str, losses: Sequence[float], base: int, rise: float, slope: str) -> dict[str, Any]:
    """Return a caption, the heights of losses, in thousandths of a frame with room for most, and the tangent's rise.

    The rise is that from place to place; a height is None where the loss is not finite.
    """
    finite = [y for y in losses if math.isfinite(y)]
    reach = 5 * float(np.percentile(np.abs(np.subtract(finite, losses[base])), 90)) or math.inf
    low, high = (float(y) for y in np.clip([min(finite), max(finite)], losses[base] - reach, losses[base] + reach))
    caption = f"Line: {goal}, from {' to '.join(apart(low, high)[:2])}. Dashed: the tangent, slope {slope}."
    if missing := len(losses) - len(finite):
        caption += f" At {missing} of {len(losses)} places {goal} is not finite."
    tall = max(high - low, 1e-9 * abs(losses[base])) or 1.0
    low = (low + high - tall) / 2
    heights = [1000 * h / tall for h in (*np.subtract(losses, low), rise)]
    *curve, slant = [round(max(-1e5, min(h, 1e5))) if math.isfinite(h) else None for h in heights]
    return {"caption": caption, "curve": curve, "rise": slant}


def factor(tree: Any, g: str) -> Any:
    """Return the factor of the name `g` in a product, or None if the expression is not a product with one `g`."""
    match tree:
        case ast.Name(name) if name == g:
            return ONE
        case ast.UnaryOp(ast.USub(), inner):
            return (found := factor(inner, g)) and ast.UnaryOp(ast.USub(), found)
        case ast.BinOp(left, ast.Div(), right) if g not in names_in(right):
            return (found := factor(left, g)) and ast.BinOp(found, ast.Div(), right)
        case ast.BinOp(left, ast.Mult(), right) if (g in names_in(left)) != (g in names_in(right)):
            inside, other = (left, right) if g in names_in(left) else (right, left)
            found = factor(inside, g)
            return other if found is ONE else found and ast.BinOp(found, ast.Mult(), other)
    return None
