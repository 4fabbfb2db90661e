"""Operations on each number. Those that are written take images in either order of axes."""

from __future__ import annotations

import math
from functools import reduce
from itertools import starmap
from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn.calculus.transforms import alias
from autograd_cnn.engine.numpy_calls import plain
from autograd_cnn.engine.primitive import observed
from autograd_cnn.interop.onnx.entry import Entry

# How primitives are written


def _clip(onnx: Any, x: Any, min: Any, max: Any) -> Any:
    x = x if min is None else onnx.Max(x, min)
    return x if max is None else onnx.Min(x, max)


def _leaky_relu(onnx: Any, x: Any, negative_slope: Any) -> Any:
    if isinstance(negative_slope, (int, float)):
        return onnx.LeakyRelu(x, alpha=float(negative_slope))
    return onnx.Add(onnx.Relu(x), onnx.Mul(onnx.Min(x, 0.0), negative_slope))


def _elu(onnx: Any, x: Any, alpha: Any) -> Any:
    if isinstance(alpha, (int, float)):
        return onnx.Elu(x, alpha=float(alpha))
    return onnx.Add(onnx.Relu(x), onnx.Mul(alpha, onnx.Sub(onnx.Exp(onnx.Min(x, 0.0)), 1.0)))


def _softplus(onnx: Any, x: Any, beta: Any) -> Any:
    if isinstance(beta, (int, float)) and beta == 1:
        return onnx.Softplus(x)
    return onnx.Div(onnx.Softplus(onnx.Mul(x, beta)), beta)


def _sinc(onnx: Any, x: Any) -> Any:
    angle = onnx.Mul(x, math.pi)
    return onnx.Where(onnx.Equal(x, 0.0), 1.0, onnx.Div(onnx.Sin(angle), angle))


def _difference(onnx: Any, x: Any, y: Any) -> Any:
    """The difference, which is 0 of equal infinities."""
    return onnx.Where(onnx.Equal(x, y), 0.0, onnx.Sub(x, y))


def _logaddexp(onnx: Any, x: Any, y: Any) -> Any:
    return onnx.Add(onnx.Max(x, y), onnx.Log(onnx.Add(onnx.Exp(onnx.Neg(onnx.Abs(_difference(onnx, x, y)))), 1.0)))


def _logaddexp2(onnx: Any, x: Any, y: Any) -> Any:
    x, y = (onnx.Mul(a, math.log(2)) for a in (x, y))
    return onnx.Div(_logaddexp(onnx, x, y), math.log(2))


def _ratio(onnx: Any, x: Any, y: Any) -> Any:
    """The quotient of two numbers that are not negative: 0 of zeros, and 1 of infinities."""
    return onnx.Where(onnx.Equal(x, y), onnx.Where(onnx.Equal(x, 0.0), 0.0, 1.0), onnx.Div(x, y))


def _negative(onnx: Any, x: Any) -> Any:
    """Whether a number has a minus, as -0.0 has."""
    return onnx.Less(onnx.Where(onnx.Equal(x, 0.0), onnx.Reciprocal(x), x), 0.0)


def _arctan2(onnx: Any, x: Any, y: Any) -> Any:
    """The angle of the point (y, x), from that of the point in the first quadrant."""
    angle = onnx.Atan(_ratio(onnx, onnx.Abs(x), onnx.Abs(y)))
    angle = onnx.Where(_negative(onnx, y), onnx.Sub(math.pi, angle), angle)
    return onnx.Where(_negative(onnx, x), onnx.Neg(angle), angle)


def _hypot(onnx: Any, x: Any, y: Any) -> Any:
    x, y = onnx.Abs(x), onnx.Abs(y)
    ratio = _ratio(onnx, onnx.Min(x, y), onnx.Max(x, y))
    length = onnx.Mul(onnx.Max(x, y), onnx.Sqrt(onnx.Add(onnx.Mul(ratio, ratio), 1.0)))
    return onnx.Where(onnx.Or(onnx.IsInf(x), onnx.IsInf(y)), math.inf, length)


def _remainder(onnx: Any, x: Any, y: Any) -> Any:
    """The remainder, whose sign is that of `y`."""
    rest = onnx.Mod(x, y, fmod=1)
    turned = onnx.Xor(onnx.Less(rest, 0.0), onnx.Less(y, 0.0))
    return onnx.Where(onnx.And(onnx.Not(onnx.Equal(rest, 0.0)), turned), onnx.Add(rest, y), rest)


def _constant(operator: str) -> Any:
    """Return how a function without a derivative is written: its numbers have the dtype of the comparison."""

    def write(onnx: Any, operands: Any) -> Any:
        dtype = np.result_type(*map(plain, onnx.call.values))
        operands = [a if isinstance(a, str) else np.asarray(a, dtype) for a in operands]
        if dtype.kind == "b" and operator in ORDERS:
            operands = [onnx.cast(a, np.int32) for a in operands]
        return onnx.node(operator.removeprefix("Bitwise") if dtype.kind == "b" else operator, *operands)

    return write


# What operators do


def _quotient(x: Any, y: Any) -> Any:
    """Divide; integers are cut off towards 0."""
    if "f" in (x.dtype.kind, y.dtype.kind):
        return ag.divide(x, y)
    x, y = plain((x, y))
    if not np.all(y):
        raise ValueError("it divides integers by 0")
    floor = x // y
    return floor + ((x % y != 0) & ((x < 0) != (y < 0)))


def _power(x: Any, y: Any) -> Any:
    """Raise to a power, in the dtype of the base."""
    if x.dtype.kind == "f":
        return ag.power(x, y if y.dtype.kind == "f" else plain(y).astype(x.dtype))
    x, y = plain((x, y))
    if np.any(y < 0) or np.any(y != np.round(y)):
        raise ValueError(f"it raises {x.dtype} to exponents that are negative, or not whole")
    return np.power(x, y.astype(np.uint64 if x.dtype.kind == "u" else np.int64)).astype(x.dtype)


def _is_infinite(x: Any, detect_negative: int = 1, detect_positive: int = 1) -> Any:
    return np.isinf(x) & np.where(x < 0, bool(detect_negative), bool(detect_positive))


def _shrink(x: Any, lambd: float = 0.5, bias: float = 0.0) -> Any:
    return ag.where(x < -lambd, x + bias, ag.where(x > lambd, x - bias, 0 * x))


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
    "GreaterOrEqual": np.greater_equal, "IsNaN": np.isnan, "Less": np.less, "LessOrEqual": np.less_equal,
    "Not": np.logical_not, "Or": np.logical_or, "Round": np.round, "Sign": np.sign, "Xor": np.logical_xor,
}  # fmt: skip

ORDERS = {"Greater", "GreaterOrEqual", "Less", "LessOrEqual"}  # of numbers: ONNX does not compare bools

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
        "Mod", ag.fmod, lambda onnx, x, y: onnx.Mod(x, y, fmod=1), lambda x, y, fmod=0: ag.fmod(x, y) if fmod else x % y
    ),
    Entry("Pow", ag.power, read=_power),
    Entry("Softplus", ag.softplus, _softplus),
    Entry("Erf", ag.special.erf),
    # Operators that are several operations here
    Entry("Celu", read=ag.celu),
    Entry("HardSigmoid", read=lambda x, alpha=0.2, beta=0.5: ag.clip(alpha * x + beta, 0, 1)),
    Entry("IsInf", read=_is_infinite),
    Entry("Mean", read=lambda *arrays: reduce(ag.add, arrays) / len(arrays)),
    Entry("PRelu", read=ag.prelu),
    Entry("Selu", read=lambda x, alpha=1.6732632, gamma=1.0507009: gamma * ag.elu(x, alpha)),
    Entry("Shrink", read=_shrink),
    Entry("Sum", read=lambda *arrays: reduce(ag.add, arrays)),
    Entry("SwiGLU", read=lambda x, y, alpha=1.0: x * ag.sigmoid(alpha * x) * y),
    Entry("Swish", read=lambda x, alpha=1.0: x * ag.sigmoid(alpha * x)),
    Entry("ThresholdedRelu", read=lambda x, alpha=1.0: ag.threshold(x, alpha, 0.0)),
    # Primitives that are several operators there
    Entry(None, alias, lambda onnx, x: onnx.Identity(x)),
    Entry(None, ag.arctan2, _arctan2),
    Entry(None, ag.cbrt, lambda onnx, x: onnx.Mul(onnx.Sign(x), onnx.Pow(onnx.Abs(x), 1 / 3))),
    Entry(None, ag.deg2rad, lambda onnx, x: onnx.Mul(x, math.pi / 180)),
    Entry(None, ag.exp2, lambda onnx, x: onnx.Pow(2.0, x)),
    Entry(None, ag.expm1, lambda onnx, x: onnx.Sub(onnx.Exp(x), 1.0)),
    Entry(None, ag.fabs, lambda onnx, x: onnx.Abs(x)),
    Entry(None, ag.fmax, lambda onnx, x, y: onnx.Where(onnx.IsNaN(x), y, onnx.Where(onnx.IsNaN(y), x, onnx.Max(x, y)))),
    Entry(None, ag.fmin, lambda onnx, x, y: onnx.Where(onnx.IsNaN(x), y, onnx.Where(onnx.IsNaN(y), x, onnx.Min(x, y)))),
    Entry(None, ag.hardtanh, lambda onnx, x, min_val, max_val: _clip(onnx, x, min_val, max_val)),
    Entry(None, ag.hypot, _hypot),
    Entry(None, ag.ldexp, lambda onnx, x, y: onnx.Mul(x, onnx.Pow(2.0, y))),
    Entry(None, ag.log10, lambda onnx, x: onnx.Div(onnx.Log(x), math.log(10))),
    Entry(None, ag.log1p, lambda onnx, x: onnx.Log(onnx.Add(x, 1.0))),
    Entry(None, ag.log2, lambda onnx, x: onnx.Div(onnx.Log(x), math.log(2))),
    Entry(None, ag.logaddexp, _logaddexp),
    Entry(None, ag.logaddexp2, _logaddexp2),
    Entry(None, ag.normal_cdf, lambda onnx, x: onnx.Mul(onnx.Add(onnx.Erf(onnx.Mul(x, math.sqrt(0.5))), 1.0), 0.5)),
    Entry(None, observed(np.not_equal), lambda onnx, operands: onnx.Not(_constant("Equal")(onnx, operands))),
    Entry(None, ag.positive, lambda onnx, x: onnx.Identity(x)),
    Entry(None, ag.rad2deg, lambda onnx, x: onnx.Mul(x, 180 / math.pi)),
    Entry(None, ag.relu_gradient, lambda onnx, x, y: onnx.Where(onnx.LessOrEqual(y, 0.0), 0.0, x)),
    Entry(None, ag.remainder, _remainder),
    Entry(None, ag.silu, lambda onnx, x: onnx.Mul(x, onnx.Sigmoid(x))),
    Entry(None, ag.sinc, _sinc),
    Entry(None, ag.square, lambda onnx, x: onnx.Mul(x, x)),
    Entry(None, ag.tanhshrink, lambda onnx, x: onnx.Sub(x, onnx.Tanh(x))),
]
