"""Operations on each number, and along axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from itertools import starmap
from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn.calculus.transforms import alias
from autograd_cnn.engine.numpy_calls import plain
from autograd_cnn.engine.observe import observed
from autograd_cnn.interop.onnx.entry import Entry

# Operations on each number


def _clip(onnx: Any, x: Any, min: Any, max: Any) -> Any:
    x = x if min is None else onnx.Max(x, min)
    return x if max is None else onnx.Min(x, max)


def _leaky_relu(onnx: Any, x: Any, negative_slope: Any) -> Any:
    if isinstance(negative_slope, str):
        return onnx.PRelu(x, negative_slope)
    return onnx.LeakyRelu(x, alpha=float(negative_slope))


def _elu(onnx: Any, x: Any, alpha: Any) -> Any:
    if isinstance(alpha, str):
        raise ValueError("alpha is an array, and one number in ONNX")
    return onnx.Elu(x, alpha=float(alpha))


def _softplus(onnx: Any, x: Any, beta: Any) -> Any:
    return onnx.Softplus(x) if beta == 1 else onnx.Div(onnx.Softplus(onnx.Mul(x, beta)), beta)


def _constant(operator: str) -> Any:
    """Return how a function without a derivative is written: its numbers have the dtype of the comparison."""

    def write(onnx: Any, operands: Any) -> Any:
        dtype = np.result_type(*map(plain, onnx.call.values))
        operands = [a if isinstance(a, str) else np.asarray(a, dtype) for a in operands]
        return onnx.node(operator.removeprefix("Bitwise") if dtype.kind == "b" else operator, *operands)

    return write


# What operators do


def _quotient(x: Any, y: Any) -> Any:
    """Divide. The quotient of integers is cut off towards 0."""
    if "f" in (x.dtype.kind, y.dtype.kind):
        return ag.divide(x, y)
    x, y = plain((x, y))
    return x // y + ((x % y != 0) & ((x < 0) != (y < 0)))


def _power(x: Any, y: Any) -> Any:
    """Raise to a power, in the dtype of the base."""
    if x.dtype.kind == "f":
        return ag.power(x, y if y.dtype.kind == "f" else ag.astype(y, x.dtype))
    return np.power(*plain((x, y))).astype(x.dtype)


SAME: dict[str, Any] = {  # the same operands, and the same numbers
    "Abs": ag.abs, "Acos": ag.arccos, "Acosh": ag.arccosh, "Add": ag.add, "Asin": ag.arcsin, "Asinh": ag.arcsinh,
    "Atan": ag.arctan, "Atanh": ag.arctanh, "Cos": ag.cos, "Cosh": ag.cosh, "Exp": ag.exp, "HardSwish": ag.hardswish,
    "Identity": ag.copy, "Log": ag.log, "Mul": ag.multiply, "Neg": ag.negative, "Reciprocal": ag.reciprocal,
    "Relu": ag.relu, "Sigmoid": ag.sigmoid, "Sin": ag.sin, "Sinh": ag.sinh, "Softsign": ag.softsign, "Sqrt": ag.sqrt,
    "Sub": ag.subtract, "Tan": ag.tan, "Tanh": ag.tanh, "Where": ag.where,
}  # fmt: skip

CONSTANT: dict[str, Any] = {  # without a gradient
    "And": np.logical_and, "BitwiseAnd": np.bitwise_and, "BitwiseNot": np.invert, "BitwiseOr": np.bitwise_or,
    "BitwiseXor": np.bitwise_xor, "Ceil": np.ceil, "Equal": np.equal, "Floor": np.floor, "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal, "IsInf": np.isinf, "IsNaN": np.isnan, "Less": np.less,
    "LessOrEqual": np.less_equal, "Not": np.logical_not, "Or": np.logical_or, "Round": np.rint, "Sign": np.sign,
    "Xor": np.logical_xor,
}  # fmt: skip


# Operations along axes


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


def _centred(onnx: Any, x: Any, axis: Any) -> Any:
    return onnx.Sub(x, onnx.ReduceMean(x, _axes(axis), keepdims=1))


def _variance(onnx: Any, centred: Any, axis: Any, keepdims: Any = True) -> Any:
    return onnx.ReduceMean(onnx.Mul(centred, centred), _axes(axis), keepdims=int(keepdims))


def _var(onnx: Any, x: Any, axis: Any, keepdims: Any) -> Any:
    return _variance(onnx, _centred(onnx, x, axis), axis, keepdims)


def _standardize(onnx: Any, x: Any, axis: Any, eps: Any) -> Any:
    centred = _centred(onnx, x, axis)
    return onnx.Div(centred, onnx.Sqrt(onnx.Add(_variance(onnx, centred, axis), float(eps))))


def one(axis: Any) -> int:
    """Return the axis of an operator that works along one axis only."""
    if axis is None or isinstance(axis, tuple):
        raise ValueError(f"axis is {axis}, and one number in ONNX")
    return int(axis)


def _concatenate(onnx: Any, tensors: Any, axis: Any) -> Any:
    return onnx.Concat(*tensors, axis=one(axis))


def _layer_norm(f: Any) -> Callable[..., Any]:
    return lambda x, *weights, axis=-1, epsilon=1e-5, stash_type=1: f(x, x.shape[axis:], *weights, eps=epsilon)


ENTRIES = [
    *starmap(Entry, SAME.items()),
    *(Entry(operator, observed(function), _constant(operator), function) for operator, function in CONSTANT.items()),
    Entry("Clip", ag.clip, _clip),
    Entry("Div", ag.divide, read=_quotient),
    Entry("Elu", ag.elu, _elu),
    Entry("Gelu", ag.gelu, lambda onnx, x, approximate: onnx.Gelu(x, approximate=approximate)),
    Entry("LeakyRelu", ag.leaky_relu, _leaky_relu, lambda x, alpha=0.01: ag.leaky_relu(x, alpha)),
    Entry("Max", ag.maximum, read=lambda *arrays: reduce(ag.maximum, arrays)),
    Entry("Min", ag.minimum, read=lambda *arrays: reduce(ag.minimum, arrays)),
    Entry("Mish", ag.mish, lambda onnx, x: onnx.Mul(x, onnx.Tanh(onnx.Softplus(x)))),
    Entry(
        "Mod", ag.fmod, lambda onnx, x, y: onnx.Mod(x, y, fmod=1), lambda x, y, fmod=0: (ag.mod, ag.fmod)[fmod](x, y)
    ),
    Entry("Pow", ag.power, read=_power),
    Entry("Softplus", ag.softplus, _softplus),
    Entry("Erf", ag.special.erf),
    Entry(None, ag.special.expit, lambda onnx, x: onnx.Sigmoid(x)),
    # Operators that are several operations here
    Entry("Celu", read=lambda x, alpha=1.0: alpha * ag.elu(x / alpha)),
    Entry("HardSigmoid", read=lambda x, alpha=0.2, beta=0.5: ag.clip(alpha * x + beta, 0, 1)),
    Entry("PRelu", read=ag.prelu),
    Entry("Sum", read=lambda *arrays: reduce(ag.add, arrays)),
    Entry("Selu", read=lambda x, alpha=1.6732632, gamma=1.0507009: gamma * ag.elu(x, alpha)),
    # Primitives that are several operators there
    Entry(None, alias, lambda onnx, x: onnx.Identity(x)),
    Entry(None, ag.expm1, lambda onnx, x: onnx.Sub(onnx.Exp(x), 1.0)),
    Entry(None, ag.hardtanh, lambda onnx, x, min_val, max_val: _clip(onnx, x, min_val, max_val)),
    Entry(None, ag.log10, lambda onnx, x: onnx.Div(onnx.Log(x), math.log(10))),
    Entry(None, ag.log1p, lambda onnx, x: onnx.Log(onnx.Add(x, 1.0))),
    Entry(None, ag.log2, lambda onnx, x: onnx.Div(onnx.Log(x), math.log(2))),
    Entry(None, ag.normal_cdf, lambda onnx, x: onnx.Mul(onnx.Add(onnx.Erf(onnx.Mul(x, math.sqrt(0.5))), 1.0), 0.5)),
    Entry(None, observed(np.not_equal), lambda onnx, operands: onnx.Not(_constant("Equal")(onnx, operands))),
    Entry(None, ag.positive, lambda onnx, x: onnx.Identity(x)),
    Entry(None, ag.silu, lambda onnx, x: onnx.Mul(x, onnx.Sigmoid(x))),
    Entry(None, ag.square, lambda onnx, x: onnx.Mul(x, x)),
    # Operations along axes
    _reduction("ReduceSum", ag.sum),
    _reduction("ReduceProd", ag.prod),
    _reduction("ReduceMax", ag.max),
    _reduction("ReduceMin", ag.min),
    _reduction("ReduceMean", ag.mean),
    _reduction("ReduceLogSumExp", ag.logsumexp),
    Entry("Softmax", ag.softmax, lambda onnx, x, axis: onnx.Softmax(x, axis=one(axis))),
    Entry("LogSoftmax", ag.log_softmax, lambda onnx, x, axis: onnx.LogSoftmax(x, axis=one(axis))),
    Entry("Concat", ag.concatenate, _concatenate, lambda *arrays, axis: ag.concatenate(arrays, axis)),
    Entry(None, ag.standardize, _standardize),
    Entry(None, ag.var, _var),
    Entry(None, ag.std, lambda onnx, x, axis, keepdims: onnx.Sqrt(_var(onnx, x, axis, keepdims))),
    Entry("LayerNormalization", read=_layer_norm(ag.layer_norm)),
    Entry("RMSNormalization", read=_layer_norm(ag.rms_norm)),
    Entry("ReduceL1", read=_reads(lambda x, *args, **options: ag.sum(abs(x), *args, **options))),
    Entry("ReduceL2", read=_reads(lambda x, *args, **options: ag.sqrt(ag.sum(x * x, *args, **options)))),
]
