"""Shapes, constants, products and losses. What is written takes arrays as they are here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn.engine.numpy_calls import plain
from autograd_cnn.interop.calls import arrays_of
from autograd_cnn.interop.onnx.entry import Entry
from autograd_cnn.interop.onnx.reductions import ints, std, var
from autograd_cnn.ops.arithmetic import converted
from autograd_cnn.ops.products import letters

NUMBERS = "fiub"
"""Kinds of dtypes that a network may have."""
_ZERO, _MANY = np.zeros(1, np.float32), 2**31

# Shapes


def _reshape(x: Any, shape: Any, allowzero: int = 0) -> Any:
    return ag.reshape(x, tuple(x.shape[i] if n == 0 and not allowzero else n for i, n in enumerate(ints(shape))))


def _reshaped(onnx: Any, x: Any, out_shape: Any) -> Any:
    return onnx.reshaped(x, out_shape)


def _squeezed(onnx: Any, x: Any, axis: Any, out_shape: Any) -> Any:
    return onnx.reshaped(x, out_shape)


def _write_flatten(onnx: Any, x: Any, start_axis: Any, out_shape: Any) -> Any:
    return onnx.Flatten(x, axis=1) if start_axis == 1 else onnx.reshaped(x, out_shape)


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


def _write_cumsum(onnx: Any, x: Any, axis: Any) -> Any:
    return onnx.CumSum(onnx.Reshape(x, (-1,)) if axis is None else x, np.array(axis or 0, np.int64))


# Products and losses


def _write_linear(onnx: Any, x: Any, w: Any, b: Any, x_shape: Any) -> Any:
    if len(x_shape) == 2:
        return onnx.Gemm(*(a for a in (x, w, b) if a is not None))
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


ENTRIES = [
    Entry("Reshape", ag.reshape, _reshaped, _reshape),
    Entry("Flatten", ag.flatten, _write_flatten, lambda x, axis=1: ag.reshape(x, (math.prod(x.shape[:axis]), -1))),
    Entry("Squeeze", ag.squeeze, _squeezed, lambda x, axes=None: ag.squeeze(x, ints(axes))),
    Entry("Unsqueeze", ag.expand_dims, _reshaped, lambda x, axes: ag.expand_dims(x, ints(axes))),
    Entry("Transpose", ag.transpose, _write_transpose, lambda x, perm=None: ag.transpose(x, perm)),
    Entry("Expand", ag.broadcast_to, lambda onnx, x, out_shape: onnx.Expand(x, onnx.shape(out_shape)), _expand),
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
    Entry("CumSum", ag.cumsum, _write_cumsum, lambda x, axis: ag.cumsum(x, int(axis))),
    Entry(None, ag.var, var),
    Entry(None, ag.std, std),
    Entry("MatMul", ag.matmul),
    Entry("Gemm", ag.linear, _write_linear, _gemm),
    Entry("Einsum", ag.contract, _write_contract, lambda *arrays, equation: ag.einsum(equation, *arrays)),
]
