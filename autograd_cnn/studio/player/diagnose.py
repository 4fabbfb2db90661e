"""Finds what looks wrong in a network: dead, saturated and unused parts, vanishing gradients, the first nan."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from autograd_cnn.ops.activations import sigmoid
from autograd_cnn.ops.arithmetic import tanh
from autograd_cnn.studio.player.trials import Trials
from autograd_cnn.studio.text import clip, count_text, listed, shape_text

FAR, ENDS = 100, 0.02  # ratio between layers, distance from the end of a range
MANY = 32  # items, of which a unit that is on for one in ten is off for all with a chance of 3 %; of 4, of 66 %


def diagnose(t: Trials) -> list[tuple[str, int]]:
    """Return what looks wrong, each with the step that shows it."""
    found: list[tuple[str, int]] = []
    layers: list[tuple[float, str, int]] = []  # norms of gradients of operations with parameters, the last one first
    for k, op in enumerate(t.ops, 1):
        a, name = np.asarray(t.array(t.values[op.output])), clip(t.values[op.output].name)
        if a.dtype.kind != "f" or not a.size:
            continue
        if bad := a.size - np.count_nonzero(np.isfinite(a)):
            return [*found, (f"{name} is the first with nan or infinity, in {count_text(int(bad), 'number')}", k)]
        shapes = [t.values[v].shape for _, v in op.inputs]
        if op.call.primitive.symbol not in ("", "@", "[]") and all(math.prod(s) not in (1, a.size) for s in shapes):
            spread = " and ".join(map(shape_text, shapes))
            found.append((f"{name}: {spread} spread to {shape_text(a.shape)}, which is often a mistake", k))
        if op.call.primitive.rectifies and a.ndim > 1 and len(a) >= MANY and len(dead := t.dead(op)):
            which = f"{len(dead):,} of {a.shape[-1]:,} channels of {name}"
            which += f" are 0 in the whole batch of {len(a):,} ({listed(list(map(str, dead)))})"
            found.append((f"dead {op.name}: {which}", k))
        low = {tanh: -1, sigmoid: 0}.get(op.call.primitive)
        if low is not None and (part := float(np.mean((a < low + ENDS) | (a > 1 - ENDS)))) > 0.5:
            which = f"{100 * part:.0f} % of {name}"
            found.append((f"saturated {op.name}: {which} is at its ends, where the slope is almost 0", k))
        if op.id in t.back and any(t.values[v].role == "parameter" for _, v in op.inputs):
            g = np.asarray(t.gradient(t.values[op.output]), np.float64)
            layers.append((float(np.linalg.norm(g)), name, t.back[op.id]))
    for (far, name, step), (near, _, _) in pairwise(layers):
        if 0 < far < math.inf and 0 < near < math.inf and max(near / far, far / near) > FAR:
            word, ratio = ("shrinks", near / far) if near > far else ("grows", far / near)
            found.append((f"the gradient {word} {ratio:,.0f} times on the way back to {name}", step))
    for v in t.graph.parameters:
        if v.id not in t.shares or not np.any(t.gradient(v)):
            found.append((f"the gradient of {clip(v.name)} is 0: it does not learn", len(t.ops) + 2 + len(t.back)))
    return found
