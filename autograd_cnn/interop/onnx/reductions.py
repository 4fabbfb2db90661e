"""Operations along axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn.interop.onnx.entry import Entry


def _axes(axis: Any) -> Any:
    """Return an option `axis` as the input of an operator; None, for all axes, stays."""
    return None if axis is None else axis if isinstance(axis, tuple) else (axis,)


def ints(array: Any) -> Any:
    """Return an input or attribute that holds sizes or axes as a tuple; None stays."""
    return None if array is None else tuple(int(n) for n in np.ravel(array))


def _reads(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return what an operator ReduceX does, if `f` is the reduction."""

    return lambda x, axes=None, keepdims=1: f(x, ints(axes) or None, keepdims=bool(keepdims))


def _reduction(operator: str, primitive: Any) -> Entry:
    """Return the entry of a reduction."""

    def write(onnx: Any, x: Any, axis: Any, keepdims: Any) -> Any:
        return onnx.node(operator, x, _axes(axis), keepdims=int(keepdims))

    return Entry(operator, primitive, write, _reads(primitive))


def var(onnx: Any, x: Any, axis: Any, keepdims: Any, x_shape: Any, ddof: Any, correction: Any) -> Any:
    """Write a variance."""
    out = _variance(onnx, _centred(onnx, x, axis), axis, keepdims)
    lost = ddof if correction is None else correction
    if lost:
        extents = x_shape if axis is None else [x_shape[a] for a in _axes(axis)]
        if None in extents:
            raise ValueError("ddof needs the size of the batch")
        count = math.prod(extents)
        out = onnx.Mul(out, count / (count - lost))
    return out


def std(onnx: Any, x: Any, axis: Any, keepdims: Any, x_shape: Any, ddof: Any, correction: Any) -> Any:
    """Write a standard deviation."""
    return onnx.Sqrt(var(onnx, x, axis, keepdims, x_shape, ddof, correction))


def _centred(onnx: Any, x: Any, axis: Any) -> Any:
    return onnx.Sub(x, onnx.ReduceMean(x, _axes(axis), keepdims=1))


def _variance(onnx: Any, centred: Any, axis: Any, keepdims: Any = True) -> Any:
    return onnx.ReduceMean(onnx.Mul(centred, centred), _axes(axis), keepdims=int(keepdims))


def _standardize(onnx: Any, x: Any, axis: Any, eps: Any) -> Any:
    centred = _centred(onnx, x, axis)
    return onnx.Div(centred, onnx.Sqrt(onnx.Add(_variance(onnx, centred, axis), float(eps))))


def _softmax(onnx: Any, x: Any, axis: Any) -> Any:
    return onnx.Softmax(x, axis=axis) if isinstance(axis, int) else onnx.Exp(_log_softmax(onnx, x, axis))


def _log_softmax(onnx: Any, x: Any, axis: Any) -> Any:
    if isinstance(axis, int):
        return onnx.LogSoftmax(x, axis=axis)
    return onnx.Sub(x, onnx.ReduceLogSumExp(x, _axes(axis), keepdims=1))


def _concatenate(onnx: Any, tensors: Any, axis: Any) -> Any:
    if axis is None:
        return onnx.Concat(*(onnx.Reshape(x, (-1,)) for x in tensors), axis=0)
    return onnx.Concat(*tensors, axis=axis)


def _layer_norm(f: Any) -> Callable[..., Any]:
    return lambda x, *weights, axis=-1, epsilon=1e-5, stash_type=1: f(x, x.shape[axis:], *weights, eps=epsilon)


ENTRIES = [
    _reduction("ReduceSum", ag.sum),
    _reduction("ReduceProd", ag.prod),
    _reduction("ReduceMax", ag.max),
    _reduction("ReduceMin", ag.min),
    _reduction("ReduceMean", ag.mean),
    _reduction("ReduceLogSumExp", ag.logsumexp),
    Entry("Softmax", ag.softmax, _softmax),
    Entry("LogSoftmax", ag.log_softmax, _log_softmax),
    Entry("Concat", ag.concatenate, _concatenate, lambda *arrays, axis: ag.concatenate(arrays, axis)),
    Entry(None, ag.standardize, _standardize),
    Entry("LayerNormalization", read=_layer_norm(ag.layer_norm)),
    Entry("RMSNormalization", read=_layer_norm(ag.rms_norm)),
    Entry("ReduceL1", read=_reads(lambda x, *args, **options: ag.sum(abs(x), *args, **options))),
    Entry("ReduceL2", read=_reads(lambda x, *args, **options: ag.sqrt(ag.sum(x * x, *args, **options)))),
]
