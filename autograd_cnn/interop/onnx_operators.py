"""What each operator of ONNX does: the vocabulary of `load_onnx`, in calls of this package.

A call takes the inputs of the operator by position, an omitted one as None, and its attributes by name. Images are
(N, C, H, W), as in the file. NumPy's functions and what they compute are constants, through which no gradient flows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn.engine.numpy_calls import plain
from autograd_cnn.interop.onnx_resize import resize

Call = Callable[..., Any]

SAME = """
    Abs=abs Acos=acos Acosh=acosh Add=add Asin=asin Asinh=asinh Atan=atan Atanh=atanh Cos=cos Cosh=cosh Det=linalg.det
    Elu=elu Exp=exp Gelu=gelu HardSwish=hardswish Log=log LogSoftmax=log_softmax
    MatMul=matmul Mish=mish Mul=multiply Neg=negative PRelu=prelu Reciprocal=reciprocal Relu=relu
    Sigmoid=sigmoid Sin=sin Sinh=sinh Softmax=softmax Softplus=softplus Softsign=softsign Sqrt=sqrt Sub=subtract Tan=tan
    Tanh=tanh Where=where Identity=copy
""".split()

NUMPY = """
    And=logical_and Equal=equal Greater=greater GreaterOrEqual=greater_equal IsNaN=isnan Less=less Not=logical_not
    LessOrEqual=less_equal Or=logical_or Xor=logical_xor BitwiseAnd=bitwise_and BitwiseNot=invert BitwiseOr=bitwise_or
    BitwiseXor=bitwise_xor Ceil=ceil Floor=floor Round=round Sign=sign
""".split()


NUMBERS = "fiub"
"""Kinds of dtypes that a network may have."""


def ints(array: Any) -> Any:
    """A tuple of an input or attribute that holds sizes or axes; None stays."""
    return None if array is None else tuple(int(n) for n in np.ravel(array))


def images(f: Call, x: Any) -> Any:
    """Call `f`, which takes images (N, H, W, C), on (N, C, H, W), or on sequences (N, C, L) as images of one row."""
    batch = ag.expand_dims(x, 2) if x.ndim == 3 else x
    y = ag.moveaxis(f(ag.moveaxis(batch, 1, -1)), -1, 1)
    return ag.squeeze(y, 2) if x.ndim == 3 else y


def window(x: Any, size: Any, strides: Any, pads: Any, dilations: Any, auto_pad: str) -> tuple[Any, Any, Any]:
    """Return stride, padding and dilation for images; a sequence gets a first axis of one row."""
    if x.ndim > 4:
        raise ValueError(f"x is {x.shape}: images have two dimensions here")
    if auto_pad == "SAME_LOWER":
        raise ValueError("auto_pad=SAME_LOWER puts more padding at the start, which this package does not")
    line, n = (1,) * (4 - x.ndim), x.ndim - 2
    steps, gaps = (*line, *(strides or (1,) * n)), (*line, *(dilations or (1,) * n))
    extents = [d * (k - 1) + 1 for k, d in zip(size, gaps[-n:], strict=True)]
    if auto_pad == "SAME_UPPER" and any(
        k < s and m % s != 1 for k, s, m in zip(extents, steps[-n:], x.shape[2:], strict=True)
    ):
        raise ValueError("auto_pad=SAME_UPPER with steps longer than the window may begin at several places")
    if auto_pad in ("SAME_UPPER", "VALID"):
        return steps, "same" if auto_pad == "SAME_UPPER" else 0, gaps
    sides = [*zip(pads[:n], pads[n:], strict=True)] if pads else [(0, 0)] * n
    return steps, tuple([(0, 0)] * len(line) + sides), gaps


def pooling(f: Call) -> Call:
    """Return the operator for `max_pool2d` or `avg_pool2d`."""

    def call(
        x: Any, *, kernel_shape: Any, strides: Any = None, pads: Any = None, auto_pad: str = "NOTSET",
        dilations: Any = None, ceil_mode: int = 0, count_include_pad: int = 0, storage_order: int = 0,
    ) -> Any:  # fmt: skip
        steps, padding, gaps = window(x, kernel_shape, strides, pads, dilations, auto_pad)
        if auto_pad == "SAME_UPPER" and set(gaps) != {1}:
            raise ValueError("auto_pad=SAME_UPPER with dilations has several meanings for a pool")
        options: Any = {"dilation": gaps} if f is ag.max_pool2d else {"count_include_pad": bool(count_include_pad)}
        if f is ag.avg_pool2d and set(gaps) != {1}:
            raise ValueError("AveragePool with dilations has no counterpart")
        size = (1,) * (4 - x.ndim) + tuple(kernel_shape)
        return images(lambda x: f(x, size, steps, padding, ceil_mode=bool(ceil_mode), **options), x)

    return call


def lp_pool(
    x: Any, *, kernel_shape: Any, p: int = 2, strides: Any = None, pads: Any = None, dilations: Any = None,
    auto_pad: str = "NOTSET", ceil_mode: int = 0,
) -> Any:  # fmt: skip
    steps, padding, gaps = window(x, kernel_shape, strides, pads, dilations, auto_pad)
    if padding == "same" or np.any(padding) or set(gaps) != {1}:
        raise ValueError("LpPool with padding or dilations has no counterpart")
    if ceil_mode and any((m - k) % s for m, k, s in zip(x.shape[:1:-1], kernel_shape[::-1], steps[::-1], strict=False)):
        raise ValueError("LpPool with ceil_mode and windows over the end has no counterpart")
    size = (*(1,) * (4 - x.ndim), *kernel_shape)
    return images(lambda x: ag.lp_pool2d(abs(x), p, size, steps, bool(ceil_mode)), x)


def conv(
    x: Any, w: Any, b: Any = None, *, kernel_shape: Any = None, pads: Any = None, strides: Any = None,
    dilations: Any = None, group: int = 1, auto_pad: str = "NOTSET",
) -> Any:  # fmt: skip
    options = window(x, w.shape[2:], strides, pads, dilations, auto_pad)
    return images(lambda x: ag.conv2d(x, kernel(w), b, *options, group), x)


def conv_transpose(
    x: Any, w: Any, b: Any = None, *, kernel_shape: Any = None, pads: Any = None, strides: Any = None,
    dilations: Any = None, group: int = 1, output_padding: Any = None, auto_pad: str = "NOTSET",
    output_shape: Any = None,
) -> Any:  # fmt: skip
    if output_shape or auto_pad != "NOTSET":
        raise ValueError("ConvTranspose with output_shape or auto_pad has no counterpart")
    steps, padding, gaps = window(x, w.shape[2:], strides, pads, dilations, auto_pad)
    extra = (*(0,) * (4 - x.ndim), *(output_padding or (0,) * (x.ndim - 2)))
    return images(lambda x: ag.conv_transpose2d(x, kernel(w), b, steps, padding, extra, gaps, group), x)


def kernel(w: Any) -> Any:
    """Return the weights of a convolution, (out, in, KH, KW) or (out, in, K), as (KH, KW, in, out)."""
    return ag.transpose(ag.expand_dims(w, 2) if w.ndim == 3 else w, (2, 3, 1, 0))


def scan(f: Any, neutral: Any) -> Any:
    def call(x: Any, axis: Any, exclusive: Any = 0, reverse: Any = 0) -> Any:
        axis = int(axis)
        x = ag.flip(x, axis) if reverse else x
        if exclusive:
            first = np.full_like(np.take(x, [0], axis), neutral)
            x = ag.concatenate([first, np.take(x, range(x.shape[axis] - 1), axis)], axis)
        y = f(x, axis)
        return ag.flip(y, axis) if reverse else y

    return call


def reduction(f: Any) -> Any:
    def call(x: Any, axes: Any = None, *, keepdims: Any = 1, noop_with_empty_axes: Any = 0) -> Any:
        axes = ints(axes)
        if not axes and noop_with_empty_axes:
            return f(x[None], 0)
        return f(x, axes or None, keepdims=bool(keepdims))

    return call


def folded(f: Any) -> Any:
    """An operator of any number of inputs."""

    def call(*arrays: Any) -> Any:
        result = arrays[0]
        for array in arrays[1:]:
            result = f(result, array)
        return result

    return call


def blocks(mode: Any, deep: Any) -> Any:
    """DepthToSpace and SpaceToDepth; pixel_shuffle is the mode CRD."""

    def call(x: Any, *, blocksize: Any, mode: Any = mode) -> Any:
        n, c, h, w = x.shape
        b = blocksize
        if deep and mode == "CRD":
            return images(lambda x: ag.pixel_shuffle(x, b), x)
        if deep:
            parts = ag.reshape(x, (n, b, b, c // b**2, h, w))
            return ag.reshape(ag.transpose(parts, (0, 3, 4, 1, 5, 2)), (n, c // b**2, h * b, w * b))
        if mode == "CRD":
            return images(lambda x: ag.pixel_unshuffle(x, b), x)
        parts = ag.reshape(x, (n, c, h // b, b, w // b, b))
        return ag.reshape(ag.transpose(parts, (0, 3, 5, 1, 2, 4)), (n, c * b**2, h // b, w // b))

    return call


def gemm(a: Any, b: Any, c: Any = None, *, alpha: Any = 1.0, beta: Any = 1.0, transA: Any = 0, transB: Any = 0) -> Any:
    product = (a.T if transA else a) @ (b.T if transB else b)
    product = product if alpha == 1 else alpha * product
    return product if c is None else product + (c if beta == 1 else beta * c)


def quotient(x: Any, y: Any) -> Any:
    """Divide; integers are cut off towards 0."""
    if "f" in (x.dtype.kind, y.dtype.kind):
        return ag.divide(x, y)
    x, y = plain((x, y))
    if not np.all(y):
        raise ValueError("it divides integers by 0")
    floor = x // y
    return floor + ((x % y != 0) & ((x < 0) != (y < 0)))


def power(x: Any, y: Any) -> Any:
    """Raise to a power, in the dtype of the base."""
    if x.dtype.kind == "f":
        return ag.power(x, y if y.dtype.kind == "f" else plain(y).astype(x.dtype))
    x, y = plain((x, y))
    if np.any(y < 0) or np.any(y != np.round(y)):
        raise ValueError(f"it raises {x.dtype} to exponents that are negative, or not whole")
    return np.power(x, y.astype(np.uint64 if x.dtype.kind == "u" else np.int64)).astype(x.dtype)


def pooled(f: Any) -> Any:
    """The mean or maximum over all pixels."""
    return lambda x: f(x, tuple(range(2, x.ndim)), keepdims=True)


def mean_variance(x: Any, axes: Any = (0, 2, 3)) -> Any:
    centred = x - ag.mean(x, tuple(axes), keepdims=True)
    return centred / (ag.sqrt(ag.mean(centred * centred, tuple(axes), keepdims=True)) + 1e-9)


def local_response(x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Any:
    """An even window has one channel more behind than before, and in PyTorch the reverse."""
    if size % 2:
        return channels_last(ag.local_response_norm)(x, size, alpha, beta, bias)
    return ag.flip(channels_last(ag.local_response_norm)(ag.flip(x, 1), size, alpha, beta, bias), 1)


def normalized(x: Any, axis: int = -1, p: int = 2) -> Any:
    norm = ag.linalg.norm(x, p, axis, keepdims=True)
    return x / ag.where(norm == 0, 1, norm)


def constant(**value: Any) -> Any:
    (name, content), *_ = value.items()
    kinds = {"value": None, "value_float": "f4", "value_floats": "f4", "value_int": "i8", "value_ints": "i8"}
    if name not in kinds:
        raise ValueError(f"a Constant by {name} has no counterpart")
    return np.asarray(content, kinds[name])


def grid(axis: Any, index: Any) -> Any:
    """The index of the elements that `index` picks along `axis`, as GatherElements means it."""
    index = index.astype(int)
    places = list(np.ogrid[tuple(map(slice, index.shape))])
    places[axis] = index
    return tuple(places)


def gather_nd(x: Any, indices: Any, batch_dims: Any = 0) -> Any:
    batch = np.ogrid[tuple(map(slice, x.shape[:batch_dims]))] if batch_dims else []
    extra = indices.ndim - 1 - batch_dims
    first = [b.reshape(b.shape + (1,) * extra) for b in batch]
    index = (*first, *np.moveaxis(indices, -1, 0))
    return x[index]


def scatter_nd(x: Any, indices: Any, updates: Any, reduction: Any = "none") -> Any:
    return written(x, tuple(np.moveaxis(plain(indices), -1, 0)), updates, reduction)


def scatter_elements(x: Any, indices: Any, updates: Any, axis: Any = 0, reduction: Any = "none") -> Any:
    return written(x, grid(axis, plain(indices)), updates, reduction)


def written(x: Any, index: Any, updates: Any, reduction: str) -> Any:
    """Write, or add, numbers at an index."""
    if reduction not in ("none", "add"):
        raise ValueError(f"reduction={reduction!r} has no counterpart")
    at = (x if isinstance(x, ag.Tensor) else ag.Tensor(x)).at[index]
    return at.set(updates) if reduction == "none" else at.add(updates)


def pad(x: Any, pads: Any, value: Any = None, axes: Any = None, mode: Any = "constant") -> Any:
    pads, axes = ints(pads), range(x.ndim) if axes is None else ints(axes)
    width = np.zeros((x.ndim, 2), int)
    width[list(axes)] = np.reshape(pads, (2, -1)).T
    return ag.pad(
        x, width, **({"constant_values": 0 if value is None else value} if mode == "constant" else {"mode": mode})
    )


def sliced(x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
    starts, ends, axes, steps = map(ints, (starts, ends, axes, steps))
    index = [slice(None)] * x.ndim
    for i, axis in enumerate(axes or range(len(starts))):
        index[axis] = part(starts[i], ends[i], steps[i] if steps else 1, x.shape[axis])
    return x[tuple(index)]


def part(start: int, end: int, step: int, n: int) -> slice:
    """Return the slice of an axis. A start before the axis is its first element, also on the way back."""
    if step > 0 or not n:
        return slice(start, end, abs(step))
    start, end = (m + n if m < 0 else m for m in (start, end))
    return slice(min(max(start, 0), n - 1), end if end >= 0 else None, step)


def classes_last(f: Any) -> Any:
    def call(x: Any, y: Any, weight: Any = None, reduction: Any = "mean", ignore_index: Any = None) -> Any:
        return f(ag.moveaxis(x, 1, -1), y, reduction, weight=weight, ignore_index=ignore_index)

    return call


def split(x: Any, sizes: Any = None, axis: Any = 0, num_outputs: Any = None, outputs: Any = 1) -> Any:
    if sizes is not None:
        return ag.split(x, np.cumsum(sizes)[:-1], axis)
    size = -(-x.shape[axis] // outputs)
    return ag.split(x, range(size, x.shape[axis], size), axis)


def top_k(x: Any, k: Any, *, axis: Any = -1, largest: Any = 1, sorted: Any = 1) -> Any:
    s = ag.sort(x, axis)
    return ag.take(ag.flip(s, axis) if largest else s, range(int(k[0])), axis)


def layer(f: Any) -> Any:
    def call(x: Any, *weights: Any, axis: Any = -1, epsilon: Any = 1e-5, stash_type: Any = 1) -> Any:
        return f(x, x.shape[axis:], *weights, eps=epsilon)

    return call


def channels_last(f: Any) -> Any:
    return lambda x, *args, **options: ag.moveaxis(f(ag.moveaxis(x, 1, -1), *args, **options), -1, 1)


def batch_norm(
    x: Any, w: Any, b: Any, mean: Any, variance: Any, epsilon: float = 1e-5, momentum: float = 0.9,
    training_mode: int = 0,
) -> Any:  # fmt: skip
    running = {} if training_mode else {"mean": mean, "variance": variance}
    return channels_last(lambda x: ag.batch_norm(x, w, b, epsilon, **running))(x)


def cast(x: Any, to: int) -> Any:
    from onnx.helper import tensor_dtype_to_np_dtype

    dtype = tensor_dtype_to_np_dtype(to)
    if dtype.kind not in NUMBERS:
        raise ValueError(f"{dtype} has no counterpart")
    return ag.astype(x, dtype) if dtype.kind == x.dtype.kind == "f" else plain(x).astype(dtype)


def trilu(x: Any, k: Any = 0, upper: Any = 1) -> Any:
    return (ag.triu if upper else ag.tril)(x, int(k))


def reshaped(x: Any, shape: Any, allowzero: Any = 0) -> Any:
    return ag.reshape(x, tuple(x.shape[i] if n == 0 and not allowzero else n for i, n in enumerate(ints(shape))))


def expand(x: Any, shape: Any) -> Any:
    return ag.broadcast_to(x, np.broadcast_shapes(x.shape, ints(shape)))


CALLS: dict[str, Call] = {
    "AveragePool": pooling(ag.avg_pool2d),
    "BatchNormalization": batch_norm,
    "Celu": lambda x, alpha=1.0: ag.celu(x, alpha),
    "Clip": lambda x, low=None, high=None: ag.clip(x, low, high),
    "Compress": lambda x, condition, axis=None: ag.compress(condition, x, axis),
    "Concat": lambda *arrays, axis: ag.concatenate(arrays, axis),
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "CumProd": scan(ag.cumprod, 1),
    "CumSum": scan(ag.cumsum, 0),
    "DepthToSpace": blocks("DCR", True),
    "Constant": constant,
    "ConstantOfShape": lambda shape, value=None: np.full(ints(shape), np.float32(0) if value is None else value[0]),
    "Cast": lambda x, to, saturate=1: cast(x, to),
    "Div": quotient,
    "Dropout": lambda x, ratio=0.5, training_mode=False, seed=0: x,
    "Einsum": lambda *arrays, equation: ag.einsum(equation, *arrays),
    "Erf": lambda x: 2 * ag.normal_cdf(x * math.sqrt(2)) - 1,
    "Expand": expand,
    "Flatten": lambda x, axis=1: ag.reshape(x, (math.prod(x.shape[:axis]), -1)),
    "Gather": lambda x, indices, axis=0: ag.take(x, indices, axis),
    "GatherElements": lambda x, indices, axis=0: x[grid(axis, indices)],
    "GatherND": gather_nd,
    "Gemm": gemm,
    "GlobalAveragePool": pooled(ag.mean),
    "GlobalMaxPool": pooled(ag.max),
    "GroupNormalization": lambda x, w, b, num_groups, epsilon=1e-5: channels_last(ag.group_norm)(
        x, num_groups, w, b, epsilon
    ),
    "HardSigmoid": lambda x, alpha=0.2, beta=0.5: ag.clip(alpha * x + beta, 0, 1),
    "InstanceNormalization": lambda x, w, b, epsilon=1e-5: channels_last(ag.instance_norm)(x, w, b, epsilon),
    "LRN": local_response,
    "LayerNormalization": layer(ag.layer_norm),
    "LeakyRelu": lambda x, alpha=0.01: ag.leaky_relu(x, alpha),
    "LpNormalization": normalized,
    "LpPool": lp_pool,
    "Max": folded(ag.maximum),
    "MaxPool": pooling(ag.max_pool2d),
    "Mean": lambda *arrays: folded(ag.add)(*arrays) / len(arrays),
    "MeanVarianceNormalization": mean_variance,
    "Min": folded(ag.minimum),
    "Mod": lambda x, y, fmod=0: ag.fmod(x, y) if fmod else x % y,
    "NegativeLogLikelihoodLoss": classes_last(ag.nll_loss),
    "Pad": pad,
    "Pow": power,
    "RMSNormalization": layer(ag.rms_norm),
    "ReduceL1": reduction(lambda x, *args, **options: ag.sum(abs(x), *args, **options)),
    "ReduceL2": reduction(lambda x, *args, **options: ag.sqrt(ag.sum(x * x, *args, **options))),
    "ReduceLogSum": reduction(lambda x, *args, **options: ag.log(ag.sum(x, *args, **options))),
    "ReduceLogSumExp": reduction(ag.logsumexp),
    "ReduceMax": reduction(ag.max),
    "ReduceMean": reduction(ag.mean),
    "ReduceMin": reduction(ag.min),
    "ReduceProd": reduction(ag.prod),
    "ReduceSum": reduction(ag.sum),
    "ReduceSumSquare": reduction(lambda x, *args, **options: ag.sum(ag.square(x), *args, **options)),
    "Reshape": reshaped,
    "Resize": resize,
    "Range": lambda start, limit, delta: np.arange(*plain((start, limit, delta)), dtype=start.dtype),
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "Selu": lambda x, alpha=1.6732632, gamma=1.0507009: gamma * ag.elu(x, alpha),
    "Shape": lambda x, start=0, end=None: np.array(x.shape[start:end], np.int64),
    "Shrink": lambda x, lambd=0.5, bias=0.0: ag.where(x < -lambd, x + bias, ag.where(x > lambd, x - bias, 0 * x)),
    "Slice": sliced,
    "SoftmaxCrossEntropyLoss": classes_last(ag.cross_entropy),
    "SpaceToDepth": blocks("DCR", False),
    "Split": split,
    "Squeeze": lambda x, axes=None: ag.squeeze(x, ints(axes)),
    "Sum": folded(ag.add),
    "SwiGLU": lambda x, y, alpha=1.0: x * ag.sigmoid(alpha * x) * y,
    "Swish": lambda x, alpha=1.0: x * ag.sigmoid(alpha * x),
    "ThresholdedRelu": lambda x, alpha=1.0: ag.threshold(x, alpha, 0.0),
    "Tile": lambda x, repeats: ag.tile(x, ints(repeats)),
    "TopK": top_k,
    "Transpose": lambda x, perm=None: ag.transpose(x, perm),
    "Trilu": trilu,
    "Unsqueeze": lambda x, axes: ag.expand_dims(x, ints(axes)),
}


OPERATORS: dict[str, Call] = {
    **{theirs: attrgetter(ours)(ag) for theirs, ours in (pair.split("=") for pair in SAME)},
    **{theirs: getattr(np, ours) for theirs, ours in (pair.split("=") for pair in NUMPY)},
    **CALLS,
}
"""By the name of the operator."""
