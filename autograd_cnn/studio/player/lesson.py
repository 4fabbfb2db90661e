"""Teaches the steps of the player: what each means, the chain rule with its numbers, and the update."""

from __future__ import annotations

import ast
import math
import re
from contextlib import suppress
from functools import cached_property
from typing import Any

import numpy as np

from autograd_cnn.studio.player.mistakes import largest
from autograd_cnn.studio.player.trials import EFFORT, RAISE, Pick, Share, Trials, is_float
from autograd_cnn.studio.player.wording import ADD, apart, bare, brief, number, signed
from autograd_cnn.studio.program.expressions import names_in, parsed, renamed
from autograd_cnn.studio.records import Op, Value
from autograd_cnn.studio.text import clip, count_text, listed

RATES = [0.03, 0.1, 0.3, 1, 3, 10, 30]  # times a base rate: a step at it would remove 10 to 100 % of a linear loss
SHOWN, MANY = 5, 4  # shares, parameters


class Lesson(Trials):
    """Describes the steps of a written program. Unless the graph is shown `whole`, no sum is written out."""

    def spoken(self, value: Value) -> str:
        """Return the name of a value, or the expression that makes it if the user's code gives it no name."""
        op = self.makers.get(value.id)
        return (bare(self.called(op)) if op else "") or clip(value.name)

    def moved(self, value: Value) -> tuple[str, str]:
        """Return the way in which raising the example of `value` moves the loss, up or down, and how far."""
        after, change = self.trials.get(value.id, (0.0, RAISE * float(self.pick(value).g)))
        far = apart(self.base, after)[2] if value.id in self.trials else number(abs(change), brief(abs(change), 3))
        return "down" if change < 0 else "up", far

    def told(self, value: Value) -> str:
        """Tell what raising the example of `value` did, beside what its gradient predicts."""
        if value.id not in self.trials:
            return ""
        (after, change), pick = self.trials[value.id], self.pick(value)
        before, then, _ = apart(self.base, after)
        predicted = RAISE * float(pick.g)
        happens = f"goes from {before} to {then}, {' by '.join(self.moved(value))}" if change else "does not move"
        words = f"Raise {pick.name} by {RAISE}: {self.goal} {happens}. "
        words += f"Predicted: {RAISE} × {signed(pick.g)} = {number(predicted, brief(predicted, 4))}."
        far = abs(change - predicted) > 0.2 * abs(change)
        return words + " They differ: the slope changes along the way, or a rule is wrong." * far

    # What the steps mean

    def begin(self) -> list[str]:
        """Return the result with these numbers, the goal, and how to go on."""
        given = [v for v in self.author.initial if v.role in ("input", "target") and self.array(v) is not None]
        told = [
            f"{clip(v.name)} = {number(self.array(v).item())}" if v.size == 1 else f"{clip(v.name)}{_extent(v)}"
            for v in given[:MANY]
        ]
        if count := sum(v.size for v in self.graph.parameters):
            told.append(count_text(count, "parameter"))
        end = number(self.graph.loss) if self.graph.loss is not None else f"{self.end}, of {self.result.size:,} numbers"
        lines = [f"With {listed(told)} the result is {end}." if told else f"The result is {end}."]
        for value in self.learnt[:1]:
            name, (way, far) = self.pick(value).name, self.moved(value)
            about = "" if value.id in self.trials else "about "
            moves = f"{'falls' if way == 'down' else 'rises'} by {about}{far}"
            lines.append(
                f"How does {self.goal} change when {name} changes a little? Raise {name} by {RAISE} and "
                f"{self.goal} {moves}."
            )
        return [*lines, "Press → to walk forward; at the loss the way back begins."]

    def forward(self, op: Op, line: str) -> list[dict[str, Any]]:
        """Return the line with the numbers in it, if its result is one number: ``h = x × y``, ``= 0.5 × 1.2 = 0.6``.

        A rectified array gives two elements instead: one that passes, and one that is blocked.
        """
        out = self.values[op.output]
        if self.rectified(op):
            x, y = self.values[op.inputs[0][1]], self.array(out)
            places = [i for i in (self.passing(op), self.blocked(op)) if i is not None]
            numbers = [(self.named(out, i), self.array(x).flat[i], y.flat[i]) for i in places]
            lines = [f"{name} = {op.name}({number(a)}) = {number(b)}: slope {int(b > 0)}" for name, a, b in numbers]
            return [{"lines": lines, "note": "above 0 a number passes; below, it is blocked"}]
        if out.size != 1 or "\n" in line or self.array(out) is None:
            return []
        target, _, text = line.partition(" = ")

        def filled(n: str) -> str:
            a: Any = self.scope.get(n)
            return signed(np.reshape(a, -1)[0]) if is_float(a) and np.size(a) == 1 else n

        value = number(np.reshape(self.array(out), -1)[0])
        written = bare(renamed(text, filled))
        steps = [written] if written != bare(text) and "-" not in written[:1] else []
        return [
            {
                "lines": [f"{target.partition(',')[0]} = {bare(text)}", " ".join(f"= {t}" for t in [*steps, value])],
                "note": "",
            }
        ]

    def backward(self, op: Op, values: list[Value]) -> tuple[str, list[dict[str, Any]]]:
        """Return the meaning of a step back, and the chain rule for each of `values`."""
        out, name = clip(self.values[op.output].name), f"{clip(op.name)}()"
        words, alone = [], [v for v in values if len(self.shares[v.id]) == 1]
        single = [self.spoken(v) for v in alone]
        for v in values:
            shares, here = self.shares[v.id], clip(v.name)
            if len(shares) > 1:
                mine, ways = [f"{k + 1:,}" for k in self.mine[op.id, v.id]], f"{len(shares):,}"
                this = "this is share" if len(mine) == 1 else "these are shares"
                words.append(
                    f"{here} is used {ways} times, so it reaches {self.goal} in {ways} ways. {ADD.format(here)} "
                    f"So g_{here} is the sum of {ways} shares: {this} {listed(mine)} of {ways}."
                )
        if single:
            reach, its = ("reaches", f"g_{clip(alone[0].name)}") if len(single) == 1 else ("reach", "each gradient")
            made = self.spoken(self.values[op.output])
            made = f"{made}, here called {out}" if made != out else f"{name}, which makes {out}"
            many = f", summed over the numbers of {out}" if any(self.changed(op, v) > 1 for v in alone) else ""
            words.append(
                f"{listed(single)} {reach} {self.goal} only through {made}. So {its} is g_{out} times the local slope "
                f"of {name}{many}."
            )
        kept = [clip(k.label) for k in op.kept or ()]
        if op.call.primitive.rectifies and len(op.inputs) == 1:
            words.append(
                f"The slope is 1 where {out} is above 0, and 0 where it is 0: there nothing comes back. So {out} was "
                "kept. In the rule, ag.where(a, b, c) is b where a holds, and c elsewhere."
            )
        elif any(name.startswith("argmax") for name in op.byproducts):
            words.append(
                f"The gradient goes to the winner only: {listed(kept)} says which number of each window won, so it was "
                "kept."
            )
        elif kept:
            words.append(
                f"The slope depends on {listed(kept[:MANY])}, so {'it was' if len(kept) == 1 else 'they were'} kept."
            )
        formulas = [self.formula(op, v) for v in values if v.size]
        if self.rectified(op) and (i := self.blocked(op)) is not None:
            result, g = self.values[op.output], self.scope[self.author.gradient(self.values[op.output])]
            head = f"g_{self.named(self.values[op.inputs[0][1]], i)} = g_{self.named(result, i)} × local slope"
            numbers = f"= {number(np.reshape(g, -1)[i])} × 0 = 0"
            formulas.append({"lines": [head, numbers], "note": f"blocked: {self.named(result, i)} is 0"})
        return " ".join(words), formulas

    def formula(self, op: Op, value: Value) -> dict[str, Any]:
        """Return the chain rule for the example: of one share, or the shares until now and their sum."""
        shares, pick = self.shares[value.id], self.pick(value)
        last = self.mine[op.id, value.id][-1]
        more, called = len(shares) - 1 - last, f"g_{pick.name}"
        if len(shares) == 1:
            lines, note = self.product(op, value, pick, shares[0])
        elif not self.whole:
            lines, note = (
                [f"{called} = {number(pick.g)}"] if not more else [f"{called}: {more:,} more to come"],
                "a sum of shares",
            )
        else:
            lines, note, numbers = [], "the share of each way, and their sum", []
            for k in range(max(0, last + 1 - SHOWN), last + 1):
                share, out = shares[k], self.values[shares[k].op.output]
                uses = self.mine[share.op.id, value.id]
                place = f", place {uses.index(k) + 1} of {len(uses)}" if len(uses) > 1 else ""
                numbers.append(np.reshape(share.array, -1)[pick.i])
                (text, *rest), _ = (
                    self.product(share.op, value, pick, share) if value.size == out.size == 1 else (("",), "")
                )
                how = f"{text.partition(' = ')[2]} {rest[0]}" if rest else number(numbers[-1])
                lines.append(f"through {bare(self.called(share.op)) or clip(out.name)}{place}: {how}")
            sum_ = ("… + " if last >= SHOWN else "") + " + ".join([number(numbers[0]), *map(signed, numbers[1:])])
            lines.append(
                f"{called} = {sum_} + {more:,} more to come" if more else f"{called} = {sum_} = {number(pick.g)}"
            )
        return {"lines": lines, "note": note, "try": "" if more else self.told(value)}

    def product(self, op: Op, value: Value, pick: Pick, share: Share) -> tuple[list[str], str]:
        """Write a share as incoming gradient × local slope, or as a sum of such products."""
        out, called = self.values[op.output], f"g_{pick.name}"
        g_out, name = self.author.gradient(out), self.author.gradient(value)
        incoming = np.reshape(self.scope[g_out], -1)
        c = pick.g if share.array is None else np.reshape(share.array, -1)[pick.i]
        with suppress(Exception):  # the rule is no product, or its operation does not run in float64
            if value.size == out.size == 1:
                rhs = _right(share.line, name)
                slope = ast.unparse(_slope(parsed(rhs), g_out))
                s = np.reshape(eval(slope, dict(self.scope)), -1)[0]
                alone = len(op.inputs) == 1 and slope not in ("1", "-1")
                shown = bare(slope if re.fullmatch(r"[\w.]+(\(.*\))?", slope) else f"({slope})")
                return [
                    f"{called} = {g_out} × {shown}",
                    f"= {number(incoming[0])} × {signed(s)} = {number(c)}",
                ], f"incoming gradient × local slope{f'; {bare(slope)} is that of {clip(op.name)}()' if alone else ''}"
            slopes = self.slopes(op, value, pick.i)
            terms = np.nan_to_num(slopes * incoming)
            order = largest(np.abs(terms))
            if out.id in self.picks and terms[first := self.picks[out.id].i]:  # the example goes on
                order = np.array([first, *order[order != first]])
            count = self.changed(op, value)
            products = [f"{signed(incoming[k])} × {signed(float(f'{slopes[k]:.6g}'))}" for k in order[:2]]
            if abs(float(terms.sum()) - float(c)) <= 1e-3 * abs(float(c)) + 1e-12:
                if count <= 1:
                    head = f"{called} = g_{self.named(out, int(order[0]))} × local slope"
                    same = [self.values[v] for v in dict.fromkeys(v for _, v in op.inputs)]
                    at = [
                        f"{self.named(v, pick.i)} = {number(np.reshape(self.array(v), -1)[pick.i])}"
                        for v in same
                        if v.shape == value.shape and self.array(v) is not None
                    ]
                    note = f"incoming gradient × local slope of {clip(op.name)}() at {listed(at)}"
                    if rule := self.filled(value, share, pick.i, float(c)):
                        note += f"; the rule gives {rule}"
                    if out.size == 1 < value.size:
                        size = " × ".join(map(str, value.shape))
                        note += f"; {clip(value.name)} has {size} = {value.size:,} numbers"
                    return [head, f"= {products[0]} = {number(c)}"], note
                dots = " + …" * (count > 2)
                head = f"{called} = sum over the {count:,} numbers of {clip(out.name)} that it changes"
                note = f"each: incoming gradient × local slope; first that of g_{self.named(out, int(order[0]))}"
                return [head, f"= {' + '.join(products)}{dots} = {number(c)}"], note
        return [f"{called} = {number(c)}"], "by the derived line"

    def filled(self, value: Value, share: Share, i: int, c: float) -> str:
        """Return the right side of a line with the numbers of the i-th elements, if they alone give `c`, else ""."""
        rhs = _right(share.line, self.author.gradient(value))
        arrays = {n: self.scope[n] for n in names_in(rhs) if isinstance(self.scope.get(n), (np.ndarray, np.generic))}
        if any(a.size not in (1, value.size) for a in arrays.values()):
            return ""
        numbers = {n: np.reshape(a, -1)[min(i, a.size - 1)] for n, a in arrays.items()}
        with suppress(Exception):  # the rule needs whole arrays
            made = np.reshape(eval(rhs, {**self.scope, **numbers}), -1)
            if made.size == 1 and abs(float(made[0]) - c) <= 1e-6 * abs(c):
                return bare(renamed(rhs, lambda n: signed(numbers[n]) if n in numbers else n))
        return ""

    # The update

    def stepped(self, value: Value, lr: float) -> list[str]:
        """Return the example of `value` before and after a step, with digits enough to see their difference."""
        pick = self.pick(value)
        return apart(pick.x, pick.x - np.asarray(lr, pick.x.dtype) * pick.g)[:2]

    @cached_property
    def update(self) -> dict[str, Any] | None:
        """A step against the gradient at some learning rates: its lines, and the loss before and after."""
        pairs = [(v, self.array(v), self.scope[self.author.gradient(v)]) for v in self.learnt]
        slope = sum(float(np.sum(np.square(np.asarray(g, np.float64)))) for _, _, g in pairs)
        loss = math.nan if self.array(self.result) is None else float(np.sum(self.array(self.result)))
        if not self.ops or not slope or not math.isfinite(slope + loss):
            return None
        unit = 10.0 ** math.floor(math.log10((abs(loss) or 1.0) / slope))
        choices: list[dict[str, Any]] = []
        for rate in RATES if self.whole and sum(self.costs) < EFFORT / 4 else RATES[1:6:2]:
            lr = float(f"{unit * rate:.1g}")
            new = {self.author.name(v): np.asarray(w - np.asarray(lr, w.dtype) * g, w.dtype) for v, w, g in pairs}
            after = math.nan
            with suppress(Exception):  # the program may hold for the recorded numbers only
                after = self.run({**self.scope, **new}, set(new))
            lines = []
            for v in self.learnt[:MANY]:
                pick, (x, y) = self.pick(v), self.stepped(v, lr)
                line = f"{pick.name} ← {pick.name} − lr × g_{pick.name}"
                lines.append([line, f"= {x} − {number(lr)} × {signed(pick.g)} = {y}"])
            x, y, _ = apart(loss, after)
            verdict = "It falls." if after < loss else "It does not fall: this step is too long."
            say = f"{self.goal[0].upper()}{self.goal[1:]} goes from {x} to {y}. {verdict}"
            found = after if math.isfinite(after) else None
            choices.append({"lr": number(lr), "rate": lr, "after": found, "lines": lines, "say": say})
        start = next((k for k in (2, 1, 0) if k < len(choices) and choices[k]["after"] is not None), 0)
        rises = any(c["after"] is None or c["after"] > loss for c in choices)
        why = (
            "lr, the learning rate, is yours to choose: too small is slow, too large jumps past the bottom"
            f"{'' if rises else ' (none of these does)'}. A usual choice is the largest at which the loss still falls "
            "well. Training repeats this step many times, each time with new gradients."
        )
        return {"start": start, "choices": choices, "more": max(0, len(pairs) - MANY), "why": why}


def _extent(value: Value) -> str:
    """Return the shape of images in words: `` (4 images of 32 × 32 points in 3 colours)``."""
    if len(value.shape) != 4 or value.shape[-1] not in (1, 3):
        return ""
    count, height, width, colours = value.shape
    return f" ({count_text(count, 'image')} of {height} × {width} points in {count_text(colours, 'colour')})"


def _right(line: str, name: str) -> str:
    """Return what a line adds to the gradient `name`."""
    return re.sub(rf"^{name} \+?= (?:{name} \+ )?", "", line)


def _slope(node: Any, g: str) -> Any:
    """Return the factor of the name `g` in a product; raise ValueError if `node` is not a product with one `g`."""
    match node:
        case ast.Name(name) if name == g:
            return ast.Constant(1)
        case ast.UnaryOp(ast.USub(), inner):
            return ast.UnaryOp(ast.USub(), _slope(inner, g))
        case ast.BinOp(left, ast.Div(), right) if not _has(right, g):
            return ast.BinOp(_slope(left, g), ast.Div(), right)
        case ast.BinOp(left, ast.Mult(), right) if _has(left, g) != _has(right, g):
            inside, other = (left, right) if _has(left, g) else (right, left)
            slope = _slope(inside, g)
            return other if ast.unparse(slope) == "1" else ast.BinOp(slope, ast.Mult(), other)
    raise ValueError


def _has(node: Any, name: str) -> bool:
    return any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(node))
