"""How operations treat axes: each primitive with a way forward, for activations, and a way back, for weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

import autograd_cnn as ag
from autograd_cnn.engine.observe import Call
from autograd_cnn.interop.axes import Axis, Form, Shape, joined, mixed, same, whole
from autograd_cnn.interop.calls import arrays_of, axes_of, parts_of
from autograd_cnn.interop.layouts import Layout


class Move(NamedTuple):
    """How an operation moves, picks or reduces the elements of an array.

    Attributes
    ----------
    forward : callable
        ``(call, form of the operand) -> form of the result``, or None if this call does something else.
    back : callable, optional
        ``(call, shape of the operand, layout of the result) -> layout of the operand``, or None if it is unknown.
    """

    forward: Callable[[Call, Form], Form | None]
    back: Callable[[Call, Shape, Layout], Layout | None] | None = None


def before(call: Call, shape: Shape, layout: Layout) -> Layout | None:
    """Return the layout of an operand, from that of the result of a call; None if it is unknown."""
    move = MOVES.get(call.primitive)
    if move is not None and move.back is not None:
        return move.back(call, shape, layout)
    return _before_broadcast(shape, layout) if call.primitive.batch == "elementwise" else None


def _before_broadcast(shape: Shape, layout: Layout) -> Layout | None:
    lost = len(layout.rows) - len(shape)
    rows = tuple(None if n == 1 else layout.rows[k + lost] for k, n in enumerate(shape))
    return Layout(None if lost else layout.axes, rows)


# Reshapes


def _reshape(call: Call, x: Form) -> Form | None:
    in_rows = call.arguments.get("order", "C") == "C"
    return x.reshaped(call.out.shape, tokens=call.function is None) if in_rows else None


def _before_reshape(call: Call, shape: Shape, layout: Layout) -> Layout | None:
    """Follow a layout back through a reshape that adds or removes axes of extent 1."""
    out = call.out.shape
    old, new = ([k for k, m in enumerate(s) if m != 1] for s in (shape, out))
    if [shape[k] for k in old] != [out[k] for k in new]:
        return None
    rows: list[Axis | None] = [None] * len(shape)
    for k, m in zip(old, new, strict=True):
        rows[k] = layout.rows[m]
    if layout.axes is None or len(shape) == len(out):
        return Layout(layout.axes, tuple(rows))
    axes = tuple(old[new.index(a)] for a in layout.axes if a in new)
    return Layout(axes, tuple(rows)) if len(axes) == len(shape) else None


# Transpositions


def _permutation(call: Call) -> Shape:
    n = call.out.ndim
    return tuple(a % n for a in call.arguments["axes"] or range(n)[::-1])


def _before_transpose(call: Call, shape: Shape, layout: Layout) -> Layout:
    """PyTorch may have the weight as it is here, and omit the transposition."""
    n, axes = len(shape), _permutation(call)
    as_here = layout.axes == same(n) and n < 3
    return Layout(layout.axes if as_here else None, tuple(layout.rows[axes.index(k)] for k in range(n)))


# Operations along axes


def _reduce(call: Call, x: Form) -> Form:
    n, gone = len(x.axes), axes_of(call)
    return x.only([k for k in range(n) if n == call.out.ndim or k not in gone], ones=gone)


def _before_reduce(call: Call, shape: Shape, layout: Layout) -> Layout:
    gone, rows = axes_of(call), list(layout.rows)
    if call.out.ndim < len(shape):
        rows = [None if k in gone else rows.pop(0) for k in range(len(shape))]
    return Layout(None, tuple([None if k in gone else row for k, row in enumerate(rows)]))


def _before_picking(layout: Layout, axes: Sequence[int]) -> Layout | None:
    """Return the layout with any order of the elements along axes, which an operation cuts or extends."""
    rows = tuple(None if k in axes else row for k, row in enumerate(layout.rows))
    return None if any(mixed(layout.rows[k] or ()) for k in axes) else Layout(layout.axes, rows)


# Operations in which the order of elements counts


def _changed(call: Call, x: Form, axes: Sequence[int]) -> Form:
    """Return the form of the result of an operation along axes; their elements are unknown if PyTorch mixes them."""
    found = [(None if mixed(a) else whole(call.out.shape[k])) if k in axes else a for k, a in enumerate(x.axes)]
    return replace(x, axes=tuple(found))


def _in_order(call: Call, x: Form) -> Form | None:
    return None if call.arguments["axis"] is None else _changed(call, x, axes_of(call))


def _take(call: Call, x: Form) -> Form | None:
    return _in_order(call, x) if np.ndim(call.arguments["indices"]) == 1 else None


def _pad(call: Call, x: Form) -> Form:
    old = next(arrays_of(call))[1].shape
    return _changed(call, x, [k for k, n in enumerate(old) if n != call.out.shape[k]])


# Indices


def _index(call: Call, x: Form) -> Form | None:
    """Return the form after an index of integers, slices and new axes."""
    kept: list[int | None] = []
    changed, axis = [], 0
    for i in parts_of(call.arguments["index"], len(x.axes)):
        if i is None:
            kept.append(None)
            continue
        if isinstance(i, slice):
            changed += [len(kept)] if i != slice(None) else []
            kept.append(axis)
        elif not isinstance(i, (int, np.integer)) or mixed(x.axes[axis]):
            return None
        axis += 1
    return _changed(call, x.only(kept), changed)


def _before_index(call: Call, shape: Shape, layout: Layout) -> Layout | None:
    """Follow a layout back through slices."""
    parts = parts_of(call.arguments["index"], len(shape))
    if not all(isinstance(part, slice) for part in parts):
        return None
    return _before_picking(layout, [k for k, n in enumerate(shape) if range(n)[parts[k]] != range(n)])


_MOVES = {
    (ag.reshape, ag.flatten, ag.squeeze, ag.expand_dims): Move(_reshape, _before_reshape),
    (ag.transpose,): Move(lambda call, x: x.transposed(_permutation(call)), _before_transpose),
    (ag.sum, ag.prod, ag.mean, ag.var, ag.std, ag.max, ag.min, ag.logsumexp): Move(_reduce, _before_reduce),
    # Their results do not depend on the order of the elements
    (ag.softmax, ag.log_softmax, ag.standardize): Move(lambda call, x: x, lambda call, shape, layout: layout),
    (ag.concatenate,): Move(
        lambda call, x: None, lambda call, shape, layout: _before_picking(layout, axes_of(call)[:1])
    ),
    (ag.broadcast_to,): Move(lambda call, x: joined([x], call.out.shape)),
    (ag.cumsum, ag.cumprod, ag.flip, ag.roll): Move(_in_order),
    (ag.take,): Move(_take),
    (ag.pad_constant,): Move(_pad),
    (ag.getitem,): Move(_index, _before_index),
}
MOVES: dict[Any, Move] = {primitive: move for primitives, move in _MOVES.items() for primitive in primitives}
