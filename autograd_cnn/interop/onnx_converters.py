"""How each primitive is written in ONNX: the vocabulary of `export_onnx`.

A converter gets the file, ``onnx``, and the arguments of the call that its parameters name: operands as names in the
file, options as values, and shapes, with None for an extent that depends on the batch.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from autograd_cnn.engine.registry import registry
from autograd_cnn.ops.convolution import margins, pair
from autograd_cnn.ops.products import letters

Kind = Literal["plain", "elementwise", "axes", "image"]


class Converter:
    """A converter and its `kind`.

    "plain" takes arrays as they are here, "image" its first operand as (N, C, H, W). The others take either:
    "elementwise", and "axes", whose option `axis` then counts the axes of the image.
    """

    def __init__(self, function: Callable[..., str], kind: Kind = "plain", asks: list[str] | None = None) -> None:
        self.function, self.kind = function, kind
        self.asks = list(inspect.signature(function).parameters)[1:] if asks is None else asks


# One line each: the primitive, and the operator of ONNX that does the same

SAME = """
    abs=Abs add=Add alias=Identity arccos=Acos arccosh=Acosh arcsin=Asin arcsinh=Asinh arctan=Atan arctanh=Atanh
    copy=Identity cos=Cos cosh=Cosh divide=Div exp=Exp fabs=Abs hardswish=HardSwish log=Log maximum=Max minimum=Min
    multiply=Mul negative=Neg positive=Identity power=Pow reciprocal=Reciprocal relu=Relu sigmoid=Sigmoid sin=Sin
    sinh=Sinh softsign=Softsign sqrt=Sqrt subtract=Sub tan=Tan tanh=Tanh where=Where
""".split()


def _limited(onnx: Any, x: Any, low: Any, high: Any) -> Any:
    x = x if low is None else onnx.Max(x, low)
    return x if high is None else onnx.Min(x, high)


def _leaky_relu(onnx: Any, x: Any, negative_slope: Any) -> Any:
    if isinstance(negative_slope, (int, float)):
        return onnx.LeakyRelu(x, alpha=float(negative_slope))
    return onnx.Add(onnx.Relu(x), onnx.Mul(onnx.Min(x, 0.0), negative_slope))


def _elu(onnx: Any, x: Any, alpha: Any) -> Any:
    if isinstance(alpha, (int, float)):
        return onnx.Elu(x, alpha=float(alpha))
    return onnx.Add(onnx.Relu(x), onnx.Mul(alpha, onnx.Sub(onnx.Exp(onnx.Min(x, 0.0)), 1.0)))


def _normal_cdf(onnx: Any, x: Any) -> Any:
    return onnx.Mul(onnx.Add(onnx.Erf(onnx.Mul(x, math.sqrt(0.5))), 1.0), 0.5)


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


ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "square": lambda onnx, x: onnx.Mul(x, x),
    "expm1": lambda onnx, x: onnx.Sub(onnx.Exp(x), 1.0),
    "log1p": lambda onnx, x: onnx.Log(onnx.Add(x, 1.0)),
    "exp2": lambda onnx, x: onnx.Pow(2.0, x),
    "log2": lambda onnx, x: onnx.Div(onnx.Log(x), math.log(2)),
    "log10": lambda onnx, x: onnx.Div(onnx.Log(x), math.log(10)),
    "cbrt": lambda onnx, x: onnx.Mul(onnx.Sign(x), onnx.Pow(onnx.Abs(x), 1 / 3)),
    "deg2rad": lambda onnx, x: onnx.Mul(x, math.pi / 180),
    "rad2deg": lambda onnx, x: onnx.Mul(x, 180 / math.pi),
    "sinc": _sinc,
    "hypot": _hypot,
    "arctan2": _arctan2,
    "logaddexp": _logaddexp,
    "logaddexp2": _logaddexp2,
    "fmax": lambda onnx, x, y: onnx.Where(onnx.IsNaN(x), y, onnx.Where(onnx.IsNaN(y), x, onnx.Max(x, y))),
    "fmin": lambda onnx, x, y: onnx.Where(onnx.IsNaN(x), y, onnx.Where(onnx.IsNaN(y), x, onnx.Min(x, y))),
    "remainder": _remainder,
    "fmod": lambda onnx, x, y: onnx.Mod(x, y, fmod=1),
    "ldexp": lambda onnx, x, y: onnx.Mul(x, onnx.Pow(2.0, y)),
    "clip": lambda onnx, x, min, max: _limited(onnx, x, min, max),
    "hardtanh": lambda onnx, x, min_val, max_val: _limited(onnx, x, min_val, max_val),
    "relu_gradient": lambda onnx, x, y: onnx.Where(onnx.LessOrEqual(y, 0.0), 0.0, x),
    "leaky_relu": _leaky_relu,
    "elu": _elu,
    "softplus": lambda onnx, x, beta: (
        onnx.Softplus(x)
        if isinstance(beta, (int, float)) and beta == 1
        else onnx.Div(onnx.Softplus(onnx.Mul(x, beta)), beta)
    ),
    "normal_cdf": _normal_cdf,
    "silu": lambda onnx, x: onnx.Mul(x, onnx.Sigmoid(x)),
    "mish": lambda onnx, x: onnx.Mul(x, onnx.Tanh(onnx.Softplus(x))),
    "tanhshrink": lambda onnx, x: onnx.Sub(x, onnx.Tanh(x)),
    "gelu": lambda onnx, x, approximate: onnx.Gelu(x, approximate=approximate),
}


# Reductions and others along axes


def _axes(axis: Any) -> Any:
    return None if axis is None else axis if isinstance(axis, tuple) else (axis,)


def _reduction(operator: str, neutral: float, join: str) -> Callable[..., Any]:
    def convert(onnx: Any, x: Any, axis: Any, keepdims: Any, initial: Any, where: Any) -> Any:
        x = x if where is True else onnx.Where(where, x, neutral)
        out = onnx.node(operator, x, _axes(axis), keepdims=int(keepdims))
        return out if initial is None else onnx.node(join, out, float(initial))

    return convert


def _mean(onnx: Any, x: Any, axis: Any, keepdims: Any, where: Any) -> Any:
    _only(where, "where")
    return onnx.ReduceMean(x, _axes(axis), keepdims=int(keepdims))


def _only(where: Any, name: str) -> None:
    if where is not True:
        raise ValueError(f"{name} has no counterpart")


def _var(onnx: Any, x: Any, axis: Any, keepdims: Any, x_shape: Any, ddof: Any, where: Any, correction: Any) -> Any:
    _only(where, "where")
    centred = onnx.Sub(x, onnx.ReduceMean(x, _axes(axis), keepdims=1))
    out = onnx.ReduceMean(onnx.Mul(centred, centred), _axes(axis), keepdims=int(keepdims))
    lost = ddof if correction is None else correction
    if lost:
        extents = x_shape if axis is None else [x_shape[a] for a in _axes(axis)]
        if None in extents:
            raise ValueError("ddof needs the size of the batch; dynamic=False fixes it")
        count = math.prod(extents)
        out = onnx.Mul(out, count / (count - lost))
    return out


def _softmax(onnx: Any, x: Any, axis: Any) -> Any:
    if isinstance(axis, int):
        return onnx.Softmax(x, axis=axis)
    e = onnx.Exp(onnx.Sub(x, onnx.ReduceMax(x, _axes(axis), keepdims=1)))
    return onnx.Div(e, onnx.ReduceSum(e, _axes(axis), keepdims=1))


def _log_softmax(onnx: Any, x: Any, axis: Any) -> Any:
    if isinstance(axis, int):
        return onnx.LogSoftmax(x, axis=axis)
    return onnx.Sub(x, onnx.ReduceLogSumExp(x, _axes(axis), keepdims=1))


def _standardize(onnx: Any, x: Any, axis: Any, eps: Any) -> Any:
    centred = onnx.Sub(x, onnx.ReduceMean(x, _axes(axis), keepdims=1))
    variance = onnx.ReduceMean(onnx.Mul(centred, centred), _axes(axis), keepdims=1)
    return onnx.Div(centred, onnx.Sqrt(onnx.Add(variance, float(eps))))


def _concatenate(onnx: Any, tensors: Any, axis: Any) -> Any:
    if axis is None:
        return onnx.Concat(*(onnx.Reshape(x, (-1,)) for x in tensors), axis=0)
    return onnx.Concat(*tensors, axis=axis)


AXES: dict[str, Callable[..., Any]] = {
    "sum": _reduction("ReduceSum", 0.0, "Add"),
    "prod": _reduction("ReduceProd", 1.0, "Mul"),
    "max": _reduction("ReduceMax", -math.inf, "Max"),
    "min": _reduction("ReduceMin", math.inf, "Min"),
    "mean": _mean,
    "logsumexp": lambda onnx, x, axis, keepdims: onnx.ReduceLogSumExp(x, _axes(axis), keepdims=int(keepdims)),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "standardize": _standardize,
    "concatenate": _concatenate,
}


# Images


def _window(size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any = 1) -> dict[str, Any]:
    """Return the options of a window as attributes."""
    if None in (*(size or ()), *(kernel if isinstance(kernel, tuple) else ())):
        raise ValueError("the size of its images or windows depends on the batch")
    kernel, dilation = pair(kernel, "kernel_size"), pair(dilation, "dilation")
    stride = kernel if stride is None else pair(stride, "stride")
    (top, bottom), (left, right) = margins(padding, kernel, stride, dilation, size)
    attributes = {"kernel_shape": kernel, "strides": stride, "pads": (top, left, bottom, right), "dilations": dilation}
    return {name: list(value) for name, value in attributes.items()}


def _conv2d(
    onnx: Any, x: Any, w: Any, b: Any, stride: Any, padding: Any, dilation: Any, groups: Any, x_shape: Any, w_shape: Any
) -> Any:
    options = _window(x_shape[1:3], w_shape[:2], stride, padding, dilation)
    return onnx.Conv(x, onnx.transposed(w, (3, 2, 0, 1)), *_given(b), group=groups, **options)


def _conv_transpose2d(
    onnx: Any, x: Any, w: Any, b: Any, stride: Any, padding: Any, output_padding: Any, dilation: Any, groups: Any,
    w_shape: Any,
) -> Any:  # fmt: skip
    options = _window(None, w_shape[:2], stride, padding, dilation)
    extra = pair(output_padding, "output_padding")
    if any(e >= max(s, d) for e, s, d in zip(extra, options["strides"], options["dilations"], strict=True)):
        raise ValueError(f"output_padding {extra} is not less than the stride, as ONNX wants")
    w = onnx.transposed(w, (3, 2, 0, 1))
    return onnx.ConvTranspose(x, w, *_given(b), group=groups, output_padding=list(extra), **options)


def _given(b: Any) -> list[Any]:
    return [] if b is None else [b]


def _max_pool2d(
    onnx: Any, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any, x_shape: Any
) -> Any:
    options = _window(x_shape[1:3], kernel_size, stride, padding, dilation)
    return onnx.MaxPool(x, ceil_mode=int(ceil_mode), **options)


def _avg_pool2d(
    onnx: Any, x: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: Any, count_include_pad: Any, x_shape: Any
) -> Any:
    options = _window(x_shape[1:3], kernel_size, stride, padding)
    return onnx.AveragePool(x, ceil_mode=int(ceil_mode), count_include_pad=int(count_include_pad), **options)


def _batch_norm(onnx: Any, x: Any, w: Any, b: Any, eps: Any, mean: Any, variance: Any, x_shape: Any) -> Any:
    if mean is None:
        raise ValueError("it takes the statistics of the batch; call model.eval() first")
    n = len(x_shape)
    x = onnx.transposed(x, (0, 2, 1)) if n == 3 else x
    out = onnx.BatchNormalization(x, w, b, mean, variance, epsilon=float(eps))
    return onnx.transposed(out, (0, 2, 1)) if n == 3 else out


IMAGES: dict[str, Callable[..., Any]] = {
    "conv2d": _conv2d,
    "conv_transpose2d": _conv_transpose2d,
    "max_pool2d": _max_pool2d,
    "avg_pool2d": _avg_pool2d,
    "batch_norm": _batch_norm,
}


# Shapes, indices and products


def _reshape(onnx: Any, x: Any, order: Any, x_shape: Any, out_shape: Any) -> Any:
    if order == "C":
        return onnx.reshaped(x, out_shape)
    back = tuple(reversed(range(len(x_shape))))
    x = onnx.reshaped(onnx.Transpose(x, perm=list(back)), out_shape[::-1])
    return onnx.Transpose(x, perm=list(reversed(range(len(out_shape)))))


def _flatten(onnx: Any, x: Any, start_axis: Any, out_shape: Any) -> Any:
    return onnx.Flatten(x, axis=1) if start_axis == 1 else onnx.reshaped(x, out_shape)


def _transpose(onnx: Any, x: Any, axes: Any, x_shape: Any) -> Any:
    n = len(x_shape)
    return onnx.Transpose(x, perm=[a % n for a in axes] if axes else [*reversed(range(n))])


def _flip(onnx: Any, x: Any, axis: Any, x_shape: Any) -> Any:
    axes = tuple(range(len(x_shape))) if axis is None else _axes(axis)
    return _sliced(onnx, x, [(a, -1, -END, -1) for a in axes])


def _roll(onnx: Any, x: Any, shift: Any, axis: Any, x_shape: Any) -> Any:
    if axis is None:
        return onnx.reshaped(_rolled(onnx, onnx.Reshape(x, (-1,)), shift, 0, len(_positions(x_shape).ravel())), x_shape)
    for a, s in zip(*np.broadcast_arrays(np.ravel(axis), np.ravel(shift)), strict=True):
        if x_shape[a] is None:
            raise ValueError("it rolls the batch; dynamic=False fixes its size")
        x = _rolled(onnx, x, int(s), int(a), x_shape[a])
    return x


def _rolled(onnx: Any, x: Any, shift: int, axis: int, extent: int) -> Any:
    cut = -shift % extent
    return onnx.Concat(_sliced(onnx, x, [(axis, cut, END, 1)]), _sliced(onnx, x, [(axis, 0, cut, 1)]), axis=axis)


END = 2**31 - 1


def _sliced(onnx: Any, x: Any, slices: list[tuple[int, int, int, int]]) -> Any:
    """Add a Slice by (axis, start, stop, step)."""
    axes, starts, stops, steps = zip(*slices, strict=True)
    return onnx.Slice(x, starts, stops, axes, steps)


def _getitem(onnx: Any, x: Any, index: Any, x_shape: Any, out_shape: Any) -> Any:
    if isinstance(index, str):
        return onnx.Gather(x, index, axis=0)
    given = index if isinstance(index, tuple) else (index,)
    parts = _without_ellipsis(given, len(x_shape))
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


def _without_ellipsis(parts: Any, ndim: int) -> Any:
    """Return an index with a slice for each axis that it leaves out. An array of bools takes as many as it has."""
    k = next((k for k, i in enumerate(parts) if i is ...), len(parts))
    used = sum(np.ndim(i) if np.asarray(i).dtype == bool else 1 for i in parts if i is not None and i is not ...)
    return (*parts[:k], *[slice(None)] * (ndim - used), *parts[k + 1 :])


def _basic(onnx: Any, x: Any, parts: Any, out_shape: Any) -> Any:
    """Index with integers, slices and None."""
    slices = []
    for axis, i in enumerate(i for i in parts if i is not None):
        if isinstance(i, slice) and i != slice(None):
            step = 1 if i.step is None else i.step
            ends = (0, END) if step > 0 else (-1, -END)
            start, stop = (end if given is None else given for given, end in zip((i.start, i.stop), ends, strict=True))
            slices.append((axis, start, stop, step))
        elif not isinstance(i, slice):
            slices.append((axis, int(i), int(i) + 1 if i != -1 else END, 1))
    x = _sliced(onnx, x, slices) if slices else x
    return x if all(isinstance(i, slice) for i in parts) else onnx.reshaped(x, out_shape)


def _positions(shape: Any) -> Any:
    if None in shape:
        raise ValueError("this index into an array of any batch has no counterpart; dynamic=False fixes the batch")
    return np.arange(math.prod(shape), dtype=np.int64).reshape(shape)


def _take(onnx: Any, x: Any, indices: Any, axis: Any, mode: Any, x_shape: Any) -> Any:
    if mode != "raise":
        raise ValueError(f"mode={mode!r} has no counterpart")
    x = onnx.Reshape(x, (-1,)) if axis is None else x
    indices = indices if isinstance(indices, str) else np.asarray(indices, np.int64)
    return onnx.Gather(x, indices, axis=axis or 0)


def _at(reduction: str) -> Callable[..., Any]:
    def convert(onnx: Any, x: Any, index: Any, values: Any, x_shape: Any) -> Any:
        places = _positions(x_shape)[index]
        values = onnx.Reshape(onnx.Expand(values, np.array(places.shape, np.int64)), (-1,))
        flat = onnx.ScatterElements(onnx.Reshape(x, (-1,)), places.ravel(), values, reduction=reduction)
        return onnx.reshaped(flat, x_shape)

    return convert


def _scatter(onnx: Any, x: Any, index: Any, shape: Any) -> Any:
    return _at("add")(onnx, np.zeros(shape, onnx.call.out.dtype), index, x, tuple(shape))


def _stack(onnx: Any, tensors: Any, axis: Any) -> Any:
    return onnx.Concat(*(onnx.Unsqueeze(x, (axis,)) for x in tensors), axis=axis)


def _pad(onnx: Any, x: Any, pad_width: Any, constant_values: Any, x_shape: Any) -> Any:
    if np.ndim(constant_values):
        raise ValueError("constant_values has one number for all axes in ONNX")
    widths = np.broadcast_to(pad_width, (len(x_shape), 2)).T
    return onnx.Pad(x, widths.ravel().astype(np.int64), float(constant_values))


def _linear(onnx: Any, x: Any, w: Any, b: Any, x_shape: Any) -> Any:
    if len(x_shape) == 2:
        return onnx.Gemm(x, w, *_given(b))
    out = onnx.MatMul(x, w)
    return out if b is None else onnx.Add(out, b)


def _contract(onnx: Any, operands: Any, subscripts: Any) -> Any:
    arrays = [a for name, a in onnx.call.arrays() if name == "operands"]
    terms, output = letters(subscripts, [a.shape for a in arrays])
    return onnx.Einsum(*operands, equation=f"{','.join(terms)}->{output}")


def _mse(onnx: Any, p: Any, y: Any, reduction: Any) -> Any:
    error = onnx.Sub(p, y)
    squares = onnx.Mul(error, error)
    return {"none": lambda s: s, "mean": onnx.ReduceMean, "sum": onnx.ReduceSum}[reduction](
        squares, **({} if reduction == "none" else {"keepdims": 0})
    )


def _astype(onnx: Any, x: Any) -> Any:
    from onnx.helper import np_dtype_to_tensor_dtype

    return onnx.Cast(x, to=int(np_dtype_to_tensor_dtype(onnx.call.out.dtype)))


PLAIN: dict[str, Callable[..., Any]] = {
    "reshape": _reshape,
    "flatten": _flatten,
    "squeeze": lambda onnx, x, out_shape: onnx.reshaped(x, out_shape),
    "expand_dims": lambda onnx, x, out_shape: onnx.reshaped(x, out_shape),
    "transpose": _transpose,
    "broadcast_to": lambda onnx, x, out_shape: onnx.Expand(x, onnx.shape(out_shape)),
    "flip": _flip,
    "roll": _roll,
    "getitem": _getitem,
    "take": _take,
    "scatter": _scatter,
    "set_at": _at("none"),
    "add_at": _at("add"),
    "stack": _stack,
    "pad_constant": _pad,
    "cumsum": lambda onnx, x, axis: onnx.CumSum(
        onnx.Reshape(x, (-1,)) if axis is None else x, np.array(axis or 0, np.int64)
    ),
    "var": _var,
    "matmul": lambda onnx, x, y: onnx.MatMul(x, y),
    "linear": _linear,
    "contract": _contract,
    "linalg.det": lambda onnx, a: onnx.Det(a),
    "mse": _mse,
    "astype": _astype,
}


def _same(primitive: str, operator: str) -> Converter:
    """Return a converter to one operator, which takes the operands of the primitive in their order."""
    operation: Any = registry[primitive]
    asks = [p for p in operation.parameters if p not in operation.defaults]
    return Converter(lambda onnx, *operands: onnx.node(operator, *operands), "elementwise", asks)


CONVERTERS: dict[str, Converter] = {
    **{name: _same(name, operator) for name, operator in (pair.split("=") for pair in SAME)},
    **{name: Converter(function, "elementwise") for name, function in ELEMENTWISE.items()},
    **{name: Converter(function, "axes") for name, function in AXES.items()},
    **{name: Converter(function, "image") for name, function in IMAGES.items()},
    **{name: Converter(function) for name, function in PLAIN.items()},
    "std": Converter(lambda onnx, *args: onnx.Sqrt(_var(onnx, *args)), asks=Converter(_var).asks),
}
"""By the name of the primitive. `onnx_converter` adds to it."""
