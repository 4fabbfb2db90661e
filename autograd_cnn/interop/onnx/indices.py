"""Indices: operations that pick elements, or write them. What is written takes arrays as they are here."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn.engine.numpy_calls import plain
from autograd_cnn.interop.calls import parts_of
from autograd_cnn.interop.onnx.entry import Entry, without_derivative
from autograd_cnn.interop.onnx.reductions import ints
from autograd_cnn.ops.axes import axes_of

_END = 2**31 - 1  # of an axis, for Slice


def _sliced(onnx: Any, x: Any, slices: list[tuple[int, int, int, int]]) -> Any:
    """Add a Slice by (axis, start, stop, step)."""
    axes, starts, stops, steps = zip(*slices, strict=True)
    return onnx.Slice(x, starts, stops, axes, steps)


def _positions(shape: Any) -> Any:
    """Return the positions 0, 1, ... of the elements of an array."""
    if None in shape:
        raise ValueError("this index into an array of any batch has no counterpart")
    return np.arange(math.prod(shape), dtype=np.int64).reshape(shape)


# How primitives are written


def _getitem(onnx: Any, x: Any, index: Any, x_shape: Any, out_shape: Any) -> Any:
    parts = parts_of(index, len(x_shape))
    if all(i is None or isinstance(i, (int, np.integer, slice)) for i in parts):
        return _basic(onnx, x, parts, out_shape)
    arrays = [i for i in parts if isinstance(i, np.ndarray) and i.dtype.kind in "iu"]
    if len(arrays) == 1 and all(isinstance(i, slice) and i == slice(None) for i in parts if i is not arrays[0]):
        return onnx.Gather(x, arrays[0].astype(np.int64), axis=[i is arrays[0] for i in parts].index(True))
    if x_shape[0] is None and isinstance(parts[0], slice) and parts[0] == slice(None):
        places = _positions(x_shape[1:])[parts[1:]]
        if out_shape == (None, *places.shape):  # else the arrays stand apart, and NumPy puts their axes first
            return onnx.Gather(onnx.reshaped(x, (None, math.prod(x_shape[1:]))), places, axis=1)
    return onnx.Gather(onnx.Reshape(x, (-1,)), _positions(x_shape)[index], axis=0)


def _basic(onnx: Any, x: Any, parts: Any, out_shape: Any) -> Any:
    """Index with integers, slices and None."""
    slices = []
    for axis, i in enumerate(i for i in parts if i is not None):
        part = i if isinstance(i, slice) else slice(int(i), int(i) + 1 or None)
        if part != slice(None):
            step = 1 if part.step is None else part.step
            start, stop = (0, _END) if step > 0 else (-1, -_END)
            start, stop = (start if part.start is None else part.start), (stop if part.stop is None else part.stop)
            slices.append((axis, start, stop, step))
    x = _sliced(onnx, x, slices) if slices else x
    return x if all(isinstance(i, slice) for i in parts) else onnx.reshaped(x, out_shape)


def _take(onnx: Any, x: Any, indices: Any, axis: Any) -> Any:
    x = onnx.Reshape(x, (-1,)) if axis is None else x
    indices = indices if isinstance(indices, str) else np.asarray(indices, np.int64)
    return onnx.Gather(x, indices, axis=axis or 0)


def _flip(onnx: Any, x: Any, axis: Any, x_shape: Any) -> Any:
    return _sliced(onnx, x, [(a, -1, -_END, -1) for a in axes_of(axis, len(x_shape))])


def _roll(onnx: Any, x: Any, shift: Any, axis: Any, x_shape: Any) -> Any:
    if axis is None:
        return onnx.reshaped(_roll(onnx, onnx.Reshape(x, (-1,)), shift, 0, [_positions(x_shape).size]), x_shape)
    for a, s in zip(*np.broadcast_arrays(np.ravel(axis), np.ravel(shift)), strict=True):
        if x_shape[a] is None:
            raise ValueError("it rolls the batch")
        x = onnx.Gather(x, np.roll(np.arange(x_shape[a]), s), axis=int(a))
    return x


# What operators do


def _slice(x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
    starts, ends, axes, steps = map(ints, (starts, ends, axes, steps))
    index = [slice(None)] * x.ndim
    for i, axis in enumerate(axes or range(len(starts))):
        index[axis] = _part(starts[i], ends[i], steps[i] if steps else 1, x.shape[axis])
    return x[tuple(index)]


def _part(start: int, end: int, step: int, n: int) -> slice:
    """Return the slice of an axis. A start before the axis is its first element, also on the way back."""
    if step > 0 or not n:
        return slice(start, end, abs(step))
    start, end = (m + n if m < 0 else m for m in (start, end))
    return slice(min(max(start, 0), n - 1), end if end >= 0 else None, step)


def _gather_elements(x: Any, indices: Any, axis: int = 0) -> Any:
    steps = [math.prod(x.shape[k + 1 :]) for k in range(x.ndim)]
    places: list[Any] = list(np.ogrid[tuple(map(slice, indices.shape))])
    places[axis] = np.where(indices < 0, indices + x.shape[axis], indices)
    return ag.take(ag.reshape(x, (-1,)), reduce(ag.add, map(ag.multiply, places, steps)), 0)


def _place(operator: str, f: Any) -> Entry:
    """Return the entry of ArgMax or ArgMin, if `f` is NumPy's function."""

    @without_derivative
    def place(x: Any, axis: int, keepdims: bool) -> Any:
        return f(x, axis, keepdims=keepdims)

    def write(onnx: Any, x: Any, axis: int, keepdims: bool) -> Any:
        return onnx.node(operator, x, axis=axis, keepdims=int(keepdims))

    return Entry(operator, place.primitive, write, lambda x, axis=0, keepdims=1: place(x, axis, bool(keepdims)))


def _scatter_nd(x: Any, indices: Any, updates: Any, reduction: str = "none") -> Any:
    at = (x if isinstance(x, ag.Tensor) else ag.Tensor(x)).at[tuple(np.moveaxis(plain(indices), -1, 0))]
    return at.set(updates) if reduction == "none" else at.add(updates)


ENTRIES = [
    Entry("Slice", ag.getitem, _getitem, _slice),
    Entry("Gather", ag.take, _take, lambda x, indices, axis=0: ag.take(x, indices, axis)),
    Entry("GatherElements", read=_gather_elements),
    Entry("GatherND", read=lambda x, indices: x[tuple(np.moveaxis(indices, -1, 0))]),
    _place("ArgMax", np.argmax),
    _place("ArgMin", np.argmin),
    Entry(None, ag.flip, _flip),
    Entry(None, ag.roll, _roll),
    Entry("ScatterND", read=_scatter_nd, only={"reduction": ("none", "add")}),
]
