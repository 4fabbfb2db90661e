"""Plots the loss against one number, or along a step against the gradient, with the tangent that gradients give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from autograd_cnn.studio.player.schema import Plot
from autograd_cnn.studio.player.trials import Trials
from autograd_cnn.studio.player.wording import apart, number, signed
from autograd_cnn.studio.records import Value


def around(t: Trials, value: Value) -> Plot | None:
    """Plot the loss against the example of `value`, if it was moved."""
    if value.id not in t.curves:
        return None
    (_, name, _, g), (places, losses, found) = t.pick(value), zip(*t.curves[value.id], strict=True)
    base, where, says = len(places) // 2, [], []
    x, end = places[base], places[-1]
    for place, loss in zip(places, losses, strict=True):
        by, change = place - x, f"{number(loss)}, changed by {short(loss - t.base)}"
        change = change if math.isfinite(loss) else "not finite"
        says.append(f"{t.goal} is {change}. Predicted: {short(by)} × {signed(g)} = {short(by * float(g))}.")
        where.append(f"{name} = {number(place)} instead of {number(x)}")
    where[base] = f"{name} = {number(x)}"
    says[base] = f"{t.goal} is {short(t.base)}. Drag the point, or reach it by Tab and press ← or →."
    axis = [number(places[0]), f"{name} = {short(x)} ± {short(end - x)}", number(end)]
    numbers = {v: [texts.get(v, "?") for texts in found] for v in found[-1]}
    drawing = frame(t.goal, losses, base, float(g) * (end - x) / base, f"g_{name} = {number(g)}")
    return Plot(*drawing, axis, base, where, says, numbers or None)


def frame(goal: str, losses: Sequence[float], base: int, rise: float, slope: str) -> tuple[str, list[Any], Any]:
    """Return a caption, the heights of losses in a frame with room for most of them, and the rise of the tangent."""
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
    return caption, curve, slant


def short(x: Any) -> str:
    """Format a number with four digits, without the others."""
    return number(float(f"{float(x):.4g}"))
