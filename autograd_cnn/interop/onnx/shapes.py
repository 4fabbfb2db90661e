"""Shapes, indices, constants and products. What is written takes arrays as they are here."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn.engine.numpy_calls import plain
from autograd_cnn.interop.calls import arrays_of, parts_of
from autograd_cnn.interop.onnx.entry import Entry
from autograd_cnn.interop.onnx.numbers import ints, one
from autograd_cnn.ops.arithmetic import converted
from autograd_cnn.ops.axes import axes_of
from autograd_cnn.ops.products import letters

NUMBERS = "fiub"
"""Kinds of dtypes that a network may have."""
_ZERO, _MANY = np.zeros(1, np.float32), 2**31

# Shapes


def _reshape(x: Any, shape: Any, allowzero: int = 0) -> Any:
    return ag.reshape(x, tuple(x.shape[i] if n == 0 and not allowzero else n for i, n in enumerate(ints(shape))))


def _reshaped(onnx: Any, x: Any, axis: Any) -> Any:
    return onnx.reshaped(x)


def _write_flatten(onnx: Any, x: Any, start_axis: Any) -> Any:
    return onnx.Flatten(x, axis=1) if start_axis == 1 else onnx.reshaped(x)


def _write_transpose(onnx: Any, x: Any, axes: Any, x_shape: Any) -> Any:
    n = len(x_shape)
    return onnx.Transpose(x, perm=[a % n for a in axes] if axes else [*reversed(range(n))])


def _expand(x: Any, shape: Any) -> Any:
    return ag.broadcast_to(x, np.broadcast_shapes(x.shape, ints(shape)))


def _stack(onnx: Any, tensors: Any, axis: Any) -> Any:
    return onnx.Concat(*(onnx.Unsqueeze(x, (axis,)) for x in tensors), axis=axis)


def _split(x: Any, sizes: Any = None, axis: int = 0, num_outputs: Any = None, outputs: Any = ("",)) -> Any:
    if sizes is not None:
        return ag.split(x, np.cumsum(sizes)[:-1], axis)
    size = -(-x.shape[axis] // len(outputs))
    return ag.split(x, range(size, x.shape[axis], size), axis)


def _sequence(x: Any, sizes: Any, axis: int = 0) -> Any:
    """The only result is a list of parts."""
    if np.ndim(sizes) == 0:
        sizes = [int(sizes)] * -(-x.shape[axis] // int(sizes))
    return (_split(x, sizes, axis),)


def _write_pad(onnx: Any, x: Any, pad_width: Any, constant_values: Any, x_shape: Any) -> Any:
    if np.ndim(constant_values):
        raise ValueError("constant_values has one number for all axes in ONNX")
    widths = np.broadcast_to(pad_width, (len(x_shape), 2)).T
    return onnx.Pad(x, widths.ravel().astype(np.int64), float(constant_values))


def _pad(x: Any, pads: Any, value: Any = None, axes: Any = None, mode: str = "constant") -> Any:
    width = np.zeros((x.ndim, 2), int)
    width[list(range(x.ndim) if axes is None else ints(axes))] = np.reshape(ints(pads), (2, -1)).T
    if mode != "constant":
        return ag.pad(x, width, mode=mode)
    return ag.pad(x, width, constant_values=0 if value is None else value)


# Constants and dtypes


def _constant(**value: Any) -> Any:
    (name, content), *_ = value.items()
    kinds = {"value_float": "f4", "value_floats": "f4", "value_int": "i8", "value_ints": "i8"}
    return np.asarray(content, kinds.get(name))


def _cast(x: Any, to: int, saturate: int = 1) -> Any:
    from onnx.helper import tensor_dtype_to_np_dtype

    return ag.astype(x, tensor_dtype_to_np_dtype(to))


# Products and losses


def _write_linear(onnx: Any, x: Any, w: Any, b: Any, x_shape: Any) -> Any:
    if len(x_shape) == 2:
        return onnx.Gemm(x, w, b)
    out = onnx.MatMul(x, w)
    return out if b is None else onnx.Add(out, b)


def _gemm(a: Any, b: Any, c: Any = None, *, alpha: Any = 1.0, beta: Any = 1.0, transA: int = 0, transB: int = 0) -> Any:
    product = (a.T if transA else a) @ (b.T if transB else b)
    product = product if alpha == 1 else alpha * product
    return product if c is None else product + (c if beta == 1 else beta * c)


def _write_contract(onnx: Any, operands: Any, subscripts: Any) -> Any:
    arrays = [a for name, a in arrays_of(onnx.call) if name == "operands"]
    terms, output = letters(subscripts, [a.shape for a in arrays])
    return onnx.Einsum(*operands, equation=f"{','.join(terms)}->{output}")


# Indices: operations that pick elements, or write them

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


def _getitem(onnx: Any, x: Any, index: Any, x_shape: Any, out_shape: Any) -> Any:
    parts = parts_of(index, len(x_shape))
    if all(i is None or isinstance(i, (int, np.integer, slice)) for i in parts):
        return _basic(onnx, x, parts)
    arrays = [i for i in parts if isinstance(i, np.ndarray) and i.dtype.kind in "iu"]
    if len(arrays) == 1 and all(isinstance(i, slice) and i == slice(None) for i in parts if i is not arrays[0]):
        return onnx.Gather(x, arrays[0].astype(np.int64), axis=[i is arrays[0] for i in parts].index(True))
    if x_shape[0] is None and isinstance(parts[0], slice) and parts[0] == slice(None):
        places = _positions(x_shape[1:])[parts[1:]]
        if out_shape == (None, *places.shape):  # else the arrays stand apart, and NumPy puts their axes first
            return onnx.Gather(onnx.Reshape(x, (-1, math.prod(x_shape[1:]))), places, axis=1)
    return onnx.Gather(onnx.Reshape(x, (-1,)), _positions(x_shape)[index], axis=0)


def _basic(onnx: Any, x: Any, parts: Any) -> Any:
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
    return x if all(isinstance(i, slice) for i in parts) else onnx.reshaped(x)


def _take(onnx: Any, x: Any, indices: Any, axis: Any) -> Any:
    return onnx.Gather(x, indices if isinstance(indices, str) else np.asarray(indices, np.int64), axis=one(axis))


def _flip(onnx: Any, x: Any, axis: Any, x_shape: Any) -> Any:
    return _sliced(onnx, x, [(a, -1, -_END, -1) for a in axes_of(axis, len(x_shape))])


def _roll(onnx: Any, x: Any, shift: Any, axis: Any, x_shape: Any) -> Any:
    for a, s in zip(*np.broadcast_arrays(np.ravel(one(axis) if axis is None else axis), np.ravel(shift)), strict=True):
        if x_shape[a] is None:
            raise ValueError("it rolls the batch")
        x = onnx.Gather(x, np.roll(np.arange(x_shape[a]), s), axis=int(a))
    return x


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


def _scatter_nd(x: Any, indices: Any, updates: Any, reduction: str = "none") -> Any:
    at = (x if isinstance(x, ag.Tensor) else ag.Tensor(x)).at[tuple(np.moveaxis(plain(indices), -1, 0))]
    return at.set(updates) if reduction == "none" else at.add(updates)


ENTRIES = [
    Entry("Reshape", ag.reshape, _reshaped, _reshape),
    Entry("Flatten", ag.flatten, _write_flatten, lambda x, axis=1: ag.reshape(x, (math.prod(x.shape[:axis]), -1))),
    Entry("Squeeze", ag.squeeze, _reshaped, lambda x, axes=None: ag.squeeze(x, ints(axes))),
    Entry("Unsqueeze", ag.expand_dims, _reshaped, lambda x, axes: ag.expand_dims(x, ints(axes))),
    Entry("Transpose", ag.transpose, _write_transpose, lambda x, perm=None: ag.transpose(x, perm)),
    Entry("Expand", ag.broadcast_to, lambda onnx, x: onnx.Expand(x, onnx.shape()), _expand),
    Entry("Pad", ag.pad_constant, _write_pad, _pad, options=(2,)),
    Entry(None, ag.stack, _stack),
    Entry("Split", read=_split, results=_MANY),
    Entry("SplitToSequence", read=_sequence),
    Entry("SequenceAt", read=lambda parts, place: parts[int(place)]),
    Entry("Tile", read=lambda x, repeats: ag.tile(x, ints(repeats))),
    Entry("Trilu", read=lambda x, k=0, upper=1: (ag.triu if upper else ag.tril)(x, int(k))),
    Entry("Constant", read=_constant),
    Entry("ConstantOfShape", read=lambda shape, value=_ZERO: np.full(ints(shape), value[0])),
    Entry("Range", read=lambda start, limit, delta: np.arange(*plain((start, limit, delta)), dtype=start.dtype)),
    Entry("Shape", read=lambda x, start=0, end=None: np.array(x.shape[start:end], np.int64)),
    Entry("Size", read=lambda x: np.array(math.prod(x.shape), np.int64)),
    Entry("Cast", converted, lambda onnx, x: onnx.cast(x), _cast, only={"to": (*range(1, 8), *range(9, 14))}),
    Entry("CastLike", read=lambda x, like, saturate=1: ag.astype(x, like.dtype)),
    Entry("Dropout", read=lambda x, ratio=0.5, training_mode=False, seed=0: x),
    Entry(
        "CumSum",
        ag.cumsum,
        lambda onnx, x, axis: onnx.CumSum(x, np.array(one(axis))),
        lambda x, axis: ag.cumsum(x, int(axis)),
    ),
    Entry("MatMul", ag.matmul),
    Entry("Gemm", ag.linear, _write_linear, _gemm),
    Entry("Einsum", ag.contract, _write_contract, lambda *arrays, equation: ag.einsum(equation, *arrays)),
    Entry("Slice", ag.getitem, _getitem, _slice),
    Entry("Gather", ag.take, _take, lambda x, indices, axis=0: ag.take(x, indices, axis)),
    Entry("GatherElements", read=_gather_elements),
    Entry("GatherND", read=lambda x, indices: x[tuple(np.moveaxis(indices, -1, 0))]),
    Entry("ArgMax", read=lambda x, axis=0, keepdims=1: np.argmax(plain(x), axis, keepdims=bool(keepdims))),
    Entry("ArgMin", read=lambda x, axis=0, keepdims=1: np.argmin(plain(x), axis, keepdims=bool(keepdims))),
    Entry(None, ag.flip, _flip),
    Entry(None, ag.roll, _roll),
    Entry("ScatterND", read=_scatter_nd, only={"reduction": ("none", "add")}),
]
