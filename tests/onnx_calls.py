"""ONNX's operators as calls here: the table for tests/ops/test_onnx_cases.py.

A call takes the inputs of the operator by position, an omitted one as None, and its attributes by name. Images change
from NCHW to NHWC and back.
"""

import math

import numpy as np

import autograd_cnn as ag
from torch_forms import grid, images, lambda_named

CONSTANT = {"Pad": (2,), "Resize": (1, 2, 3), "Upsample": (1,)} | dict.fromkeys(  # inputs without a gradient
    ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"], (2,)
)

IMAGES = "AveragePool Conv ConvTranspose LpPool MaxPool Resize"
SKIPPED = [  # (reason, operators, whether a case has the input or the attribute)
    ("three dimensions", IMAGES, lambda arrays, o: arrays[0].ndim > 4),
    ("more padding at the start", IMAGES, lambda arrays, o: o.get("auto_pad") == "SAME_LOWER"),
    ("integers, which NumPy makes longer or divides into floats", "CumProd CumSum Div Pow",
     lambda arrays, o: arrays[0].dtype.kind in "iu"),
    ("windows with gaps", "AveragePool LpPool", lambda arrays, o: "dilations" in o),
    ("the size of the result", "ConvTranspose", lambda arrays, o: "output_shape" in o),
    ("more padding at one end", "ConvTranspose", lambda arrays, o: "auto_pad" in o),
    ("padding of a power mean", "LpPool", lambda arrays, o: "pads" in o or "auto_pad" in o),
    ("odd powers of absolute values", "LpPool", lambda arrays, o: o.get("p", 2) % 2),
    ("the maximum of nothing", "ReduceMax ReduceMin", lambda arrays, o: arrays[0].size == 0),
    ("products and maxima of repeated positions", "ScatterElements ScatterND",
     lambda arrays, o: o.get("reduction", "none") not in ("none", "add")),
    ("another grid of pixels", "Resize", lambda arrays, o: not fits(arrays, **o)),
]  # fmt: skip


def fits(
    arrays, mode="nearest", coordinate_transformation_mode="half_pixel", nearest_mode="round_prefer_floor", **options
):
    """Whether `interpolate` has the grid of a Resize: PyTorch's."""
    if options or mode == "cubic":
        return False
    if mode == "linear":
        return coordinate_transformation_mode == "half_pixel" or (
            coordinate_transformation_mode == "align_corners" and np.all(arrays[2] == np.round(arrays[2]))
        )
    upscaled = arrays[2] is not None and np.all(arrays[2] >= 1)
    return upscaled and coordinate_transformation_mode == "half_pixel" and nearest_mode == "round_prefer_floor"


SAME = """
    Abs=abs Acos=acos Acosh=acosh Add=add Asin=asin Asinh=asinh Atan=atan Atanh=atanh Cos=cos Cosh=cosh Det=linalg.det
    Div=divide Elu=elu Exp=exp Gelu=gelu HardSwish=hardswish Log=log LogSoftmax=log_softmax
    MatMul=matmul Mish=mish Mul=multiply Neg=negative PRelu=prelu Pow=power Reciprocal=reciprocal Relu=relu
    Sigmoid=sigmoid Sin=sin Sinh=sinh Softmax=softmax Softplus=softplus Softsign=softsign Sqrt=sqrt Sub=subtract Tan=tan
    Tanh=tanh Where=where Identity=copy
""".split()

NUMPY = """
    And=logical_and Equal=equal Greater=greater GreaterOrEqual=greater_equal IsNaN=isnan Less=less Not=logical_not
    LessOrEqual=less_equal Or=logical_or Xor=logical_xor BitwiseAnd=bitwise_and BitwiseNot=invert BitwiseOr=bitwise_or
    BitwiseXor=bitwise_xor Ceil=ceil Floor=floor Round=round Sign=sign
""".split()


def ints(array):
    """A tuple of an input or attribute that holds sizes or axes; None stays."""
    return None if array is None else tuple(int(n) for n in np.ravel(array))


def pooling(f):
    """Pooling of lines or images: max_pool2d or avg_pool2d, with ONNX's names."""

    def call(
        x,
        *,
        kernel_shape,
        strides=None,
        pads=None,
        auto_pad="NOTSET",
        dilations=None,
        ceil_mode=0,
        count_include_pad=None,
        storage_order=0,
        p=None,
    ):
        options = {"ceil_mode": bool(ceil_mode)}
        if count_include_pad is not None or f is ag.avg_pool2d:
            options["count_include_pad"] = bool(count_include_pad)
        if dilations:
            options["dilation"] = tuple(dilations)
        line = x.ndim == 3
        size = (1, *kernel_shape) if line else tuple(kernel_shape)
        steps = (1,) * (2 - line) if strides is None else tuple(strides)
        steps = (1, *steps) if line else steps
        padding = "same" if auto_pad == "SAME_UPPER" else tuple((pads or (0, 0))[:2])
        x = x[:, :, None] if line else x
        y = images(lambda_named(f, lambda x: f(x, size, steps, padding, **options)))(x)
        return y[:, :, 0] if line else y

    return call


def lp_pool(x, *, kernel_shape, p=2, strides=None, **_):
    def pool(x):
        return ag.lp_pool2d(x, p, kernel, steps)

    pool.__name__ = "lp_pool2d"
    line = x.ndim == 3
    kernel = (1, *kernel_shape) if line else tuple(kernel_shape)
    steps = (1, 1) if strides is None else (1, *strides) if line else tuple(strides)
    y = images(pool)(x[:, :, None] if line else x)
    return y[:, :, 0] if line else y


def conv(
    x, w, b=None, *, kernel_shape=None, pads=(0, 0, 0, 0), strides=(1, 1), dilations=(1, 1), group=1, auto_pad="NOTSET"
):
    kernel = ag.transpose(w, (2, 3, 1, 0))
    (top, left, bottom, right) = pads
    x = ag.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    return images(
        lambda_named(ag.conv2d, lambda x: ag.conv2d(x, kernel, b, tuple(strides), 0, tuple(dilations), group))
    )(x)


def conv_transpose(
    x,
    w,
    b=None,
    *,
    kernel_shape=None,
    pads=(0, 0, 0, 0),
    strides=(1, 1),
    dilations=(1, 1),
    group=1,
    output_padding=(0, 0),
):
    line = x.ndim == 3
    x, w = (x[:, :, None], w[:, :, None]) if line else (x, w)
    kernel = ag.transpose(w, (2, 3, 1, 0))
    f = lambda_named(
        ag.conv_transpose2d,
        lambda x: ag.conv_transpose2d(
            x, kernel, b, tuple(strides), tuple(pads[:2]), tuple(output_padding), tuple(dilations), group
        ),
    )
    y = images(f)(x)
    return y[:, :, 0] if line else y


def scan(f, neutral):
    def call(x, axis, exclusive=0, reverse=0):
        axis = int(axis)
        x = ag.flip(x, axis) if reverse else x
        if exclusive:
            first = np.full_like(np.take(x, [0], axis), neutral)
            x = ag.concatenate([first, np.take(x, range(x.shape[axis] - 1), axis)], axis)
        y = f(x, axis)
        return ag.flip(y, axis) if reverse else y

    return call


def reduction(f):
    def call(x, axes=None, *, keepdims=1, noop_with_empty_axes=0):
        axes = ints(axes)
        if not axes and noop_with_empty_axes:
            return f(x[None], 0)
        return f(x, axes or None, keepdims=bool(keepdims))

    return call


def folded(f):
    """An operator of any number of inputs."""

    def call(*arrays):
        result = arrays[0]
        for array in arrays[1:]:
            result = f(result, array)
        return result

    return call


def blocks(mode, deep):
    """DepthToSpace and SpaceToDepth; pixel_shuffle is the mode CRD."""

    def call(x, *, blocksize, mode=mode):
        n, c, h, w = x.shape
        b = blocksize
        if deep and mode == "CRD":
            return images(ag.pixel_shuffle)(x, b)
        if deep:
            parts = ag.reshape(x, (n, b, b, c // b**2, h, w))
            return ag.reshape(ag.transpose(parts, (0, 3, 4, 1, 5, 2)), (n, c // b**2, h * b, w * b))
        if mode == "CRD":
            return images(ag.pixel_unshuffle)(x, b)
        parts = ag.reshape(x, (n, c, h // b, b, w // b, b))
        return ag.reshape(ag.transpose(parts, (0, 3, 5, 1, 2, 4)), (n, c * b**2, h // b, w // b))

    return call


def gemm(a, b, c=None, *, alpha=1.0, beta=1.0, transA=0, transB=0):
    product = (a.T if transA else a) @ (b.T if transB else b)
    return alpha * product + (0 if c is None else beta * c)


def gather_nd(x, indices, batch_dims=0):
    batch = np.ogrid[tuple(map(slice, x.shape[:batch_dims]))] if batch_dims else []
    extra = indices.ndim - 1 - batch_dims
    return x[(*(b.reshape(b.shape + (1,) * extra) for b in batch), *np.moveaxis(indices, -1, 0))]


def scatter_nd(x, indices, updates, reduction="none"):
    at = x.at[tuple(np.moveaxis(indices, -1, 0))]
    return {"none": at.set, "add": at.add}[reduction](updates)


def scatter_elements(x, indices, updates, axis=0, reduction="none"):
    at = x.at[grid(axis, indices)]
    return {"none": at.set, "add": at.add}[reduction](updates)


def pad(x, pads, value=None, axes=None, mode="constant"):
    pads, axes = ints(pads), range(x.ndim) if axes is None else ints(axes)
    width = np.zeros((x.ndim, 2), int)
    width[list(axes)] = np.reshape(pads, (2, -1)).T
    return ag.pad(
        x, width, **({"constant_values": 0 if value is None else value} if mode == "constant" else {"mode": mode})
    )


def sliced(x, starts, ends, axes=None, steps=None):
    starts, ends, axes, steps = map(ints, (starts, ends, axes, steps))
    index = [slice(None)] * x.ndim
    for i, axis in enumerate(axes or range(len(starts))):
        index[axis] = slice(starts[i], ends[i], steps[i] if steps else 1)
    return x[tuple(index)]


def classes_last(f):
    def call(x, y, weight=None, reduction="mean", ignore_index=None):
        return f(ag.moveaxis(x, 1, -1), y, reduction, weight=weight, ignore_index=ignore_index)

    return call


def split(x, sizes=None, axis=0, num_outputs=None, outputs=1):
    if sizes is not None:
        return ag.split(x, np.cumsum(sizes)[:-1], axis)
    size = -(-x.shape[axis] // outputs)
    return ag.split(x, range(size, x.shape[axis], size), axis)


def resize(
    x,
    roi=None,
    scales=None,
    sizes=None,
    *,
    mode="nearest",
    coordinate_transformation_mode="half_pixel",
    nearest_mode=None,
    axes=None,
):
    size = None if sizes is None else ints(sizes)[-2:]
    scale = None if scales is None else tuple(float(s) for s in scales[-2:])
    options = {"mode": "bilinear"} if mode == "linear" else {}
    if coordinate_transformation_mode == "align_corners":
        options["align_corners"] = True
    return images(lambda_named(ag.conv2d, lambda x: ag.interpolate(x, size, scale, **options)))(x)


def top_k(x, k, *, axis=-1, largest=1, sorted=1):
    s = ag.sort(x, axis)
    return ag.take(ag.flip(s, axis) if largest else s, range(int(k[0])), axis)


def layer(f):
    def call(x, *weights, axis=-1, epsilon=1e-5, stash_type=1):
        return f(x, x.shape[axis:], *weights, eps=epsilon)

    return call


def channels_last(f):
    return lambda x, *args, **options: ag.moveaxis(f(ag.moveaxis(x, 1, -1), *args, **options), -1, 1)


def batch_norm(x, w, b, mean, variance, epsilon=1e-5, momentum=0.9, training_mode=0):
    return channels_last(
        lambda x: ag.batch_norm(x, w, b, epsilon, **({} if training_mode else {"mean": mean, "variance": variance}))
    )(x)


def trilu(x, k=0, upper=1):
    return (ag.triu if upper else ag.tril)(x, int(k))


def reshaped(x, shape, allowzero=0):
    return ag.reshape(x, tuple(x.shape[i] if n == 0 and not allowzero else n for i, n in enumerate(ints(shape))))


def expand(x, shape):
    return ag.broadcast_to(x, np.broadcast_shapes(x.shape, ints(shape)))


CALLS = {
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
    "Einsum": lambda *arrays, equation: ag.einsum(equation, *arrays),
    "Erf": lambda x: 2 * ag.normal_cdf(x * math.sqrt(2)) - 1,
    "Expand": expand,
    "Flatten": lambda x, axis=1: ag.reshape(x, (math.prod(x.shape[:axis]), -1)),
    "Gather": lambda x, indices, axis=0: ag.take(x, indices, axis),
    "GatherElements": lambda x, indices, axis=0: x[grid(axis, indices)],
    "GatherND": gather_nd,
    "Gemm": gemm,
    "GlobalAveragePool": lambda x: ag.mean(x, (2, 3), keepdims=True),
    "GlobalMaxPool": lambda x: ag.max(x, (2, 3), keepdims=True),
    "GroupNormalization": lambda x, w, b, num_groups, epsilon=1e-5: channels_last(ag.group_norm)(
        x, num_groups, w, b, epsilon
    ),
    "HardSigmoid": lambda x, alpha=0.2, beta=0.5: ag.clip(alpha * x + beta, 0, 1),
    "InstanceNormalization": lambda x, w, b, epsilon=1e-5: channels_last(ag.instance_norm)(x, w, b, epsilon),
    "LRN": lambda x, size, alpha=1e-4, beta=0.75, bias=1.0: channels_last(ag.local_response_norm)(
        x, size, alpha, beta, bias
    ),
    "LayerNormalization": layer(ag.layer_norm),
    "LeakyRelu": lambda x, alpha=0.01: ag.leaky_relu(x, alpha),
    "LpNormalization": lambda x, axis=-1, p=2: ag.normalize(x, p, axis),
    "LpPool": lp_pool,
    "Max": folded(ag.maximum),
    "MaxPool": pooling(ag.max_pool2d),
    "Mean": lambda *arrays: ag.mean(ag.stack(arrays), 0),
    "MeanVarianceNormalization": lambda x: ag.standardize(x, (0, 2, 3), 1e-9),
    "Min": folded(ag.minimum),
    "Mod": lambda x, y, fmod=0: ag.fmod(x, y) if fmod else x % y,
    "NegativeLogLikelihoodLoss": classes_last(ag.nll_loss),
    "Pad": pad,
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
    "Scatter": scatter_elements,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "Selu": lambda x, alpha=1.6732632, gamma=1.0507009: gamma * ag.elu(x, alpha),
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
    "Upsample": lambda x, scales, mode: resize(x, None, scales, mode=mode),
}
