"""Layers: operations on images, which are (N, H, W, C) here and (N, C, H, W) in a file, and recurrent ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autograd_cnn as ag
from autograd_cnn.interop.onnx.entry import Entry
from autograd_cnn.ops.layers import gru_step, lstm_step, scan
from autograd_cnn.ops.windows import margins, pair

# The options of a window: `size`, `stride`, `padding` and `dilation` here, attributes there


def _attributes(
    image: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any = 1, **flags: Any
) -> dict[str, Any]:
    """Return the attributes of a window over an image; None is an extent that may differ."""
    if isinstance(kernel_size, tuple) and None in kernel_size:
        raise ValueError("the size of its windows depends on that of the inputs")
    size, dilation = pair(kernel_size, "kernel_size"), pair(dilation, "dilation")
    stride = size if stride is None else pair(stride, "stride")
    pads = np.transpose(margins(padding, size, stride, dilation, image)).ravel().tolist()  # all beginnings, all ends
    attributes = {"kernel_shape": size, "strides": stride, "pads": pads, "dilations": dilation}
    return {name: list(value) for name, value in attributes.items()} | {name: int(f) for name, f in flags.items()}


def _window(
    x: Any, kernel_shape: Any, *, strides: Any = None, pads: Any = None, dilations: Any = None,
    auto_pad: str = "NOTSET",
) -> tuple[Any, Any, Any, Any]:  # fmt: skip
    """Return size, stride, padding and dilation of a window over `x`; a sequence gets a first axis of one row."""
    if x.ndim > 4:
        raise ValueError(f"x is {x.shape}: images have two dimensions here")
    line, n = (1,) * (4 - x.ndim), x.ndim - 2
    steps, gaps = strides or (1,) * n, dilations or (1,) * n
    extents = [d * (k - 1) + 1 for k, d in zip(kernel_shape, gaps, strict=True)]
    pads = pads or (0,) * 2 * n
    padding: Any = (*((0, 0) for _ in line), *zip(pads[:n], pads[n:], strict=True))
    if auto_pad == "SAME_UPPER":
        if any(k < s for k, s in zip(extents, steps, strict=True)):
            raise ValueError("auto_pad=SAME_UPPER with steps longer than the window may begin at several places")
        padding = "same"
    return (*line, *kernel_shape), (*line, *steps), padding, (*line, *gaps)


def channels_last(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return `f`, which takes and returns (N, ..., C), as a function of (N, C, ...)."""
    return lambda x, *args, **options: ag.moveaxis(f(ag.moveaxis(x, 1, -1), *args, **options), -1, 1)


def _images(f: Callable[..., Any], x: Any, *args: Any, **options: Any) -> Any:
    """Call `f`, which takes images (N, H, W, C), on (N, C, H, W), or on sequences (N, C, L) as images of one row."""
    y = channels_last(f)(ag.expand_dims(x, 2) if x.ndim == 3 else x, *args, **options)
    return ag.squeeze(y, 2) if x.ndim == 3 else y


# Convolutions


def _write_conv(onnx: Any, x: Any, w: Any, b: Any, groups: Any, x_shape: Any, w_shape: Any, **window: Any) -> Any:
    options = _attributes(x_shape[1:3], w_shape[:2], **window)
    return onnx.Conv(x, onnx.transposed(w, (3, 2, 0, 1)), b, group=groups, **options)


def _write_conv_transpose(
    onnx: Any, x: Any, w: Any, b: Any, groups: Any, output_padding: Any, w_shape: Any, **window: Any
) -> Any:
    options = _attributes(None, w_shape[:2], **window)
    extra = pair(output_padding, "output_padding")
    if any(e >= max(s, d) for e, s, d in zip(extra, options["strides"], options["dilations"], strict=True)):
        raise ValueError(f"output_padding {extra} is not less than the stride, as ONNX wants")
    w = onnx.transposed(w, (3, 2, 0, 1))
    return onnx.ConvTranspose(x, w, b, group=groups, output_padding=list(extra), **options)


def _kernel(w: Any) -> Any:
    """Return the weights of a convolution, (out, in, KH, KW) or (out, in, K), as (KH, KW, in, out)."""
    return ag.transpose(ag.expand_dims(w, 2) if w.ndim == 3 else w, (2, 3, 1, 0))


def _conv(x: Any, w: Any, b: Any = None, *, kernel_shape: Any = None, group: int = 1, **given: Any) -> Any:
    _, *options = _window(x, w.shape[2:], **given)
    return _images(ag.conv2d, x, _kernel(w), b, *options, group)


def _conv_transpose(
    x: Any, w: Any, b: Any = None, *, kernel_shape: Any = None, group: int = 1, output_padding: Any = None,
    strides: Any = None, pads: Any = None, dilations: Any = None,
) -> Any:  # fmt: skip
    _, stride, padding, dilation = _window(x, w.shape[2:], strides=strides, pads=pads, dilations=dilations)
    extra = (*(0,) * (4 - x.ndim), *(output_padding or (0,) * (x.ndim - 2)))
    return _images(ag.conv_transpose2d, x, _kernel(w), b, stride, padding, extra, dilation, group)


# Pools


def _writes_pool(operator: str) -> Callable[..., Any]:
    return lambda onnx, x, x_shape, **window: onnx.node(operator, x, **_attributes(x_shape[1:3], **window))


def _max_pool(x: Any, *, kernel_shape: Any, ceil_mode: int = 0, **given: Any) -> Any:
    return _images(ag.max_pool2d, x, *_window(x, kernel_shape, **given), bool(ceil_mode))


def _avg_pool(x: Any, *, kernel_shape: Any, ceil_mode: int = 0, count_include_pad: int = 0, **given: Any) -> Any:
    *options, _ = _window(x, kernel_shape, **given)
    return _images(ag.avg_pool2d, x, *options, bool(ceil_mode), bool(count_include_pad))


# Normalisation


def _write_batch_norm(onnx: Any, x: Any, w: Any, b: Any, eps: Any, mean: Any, variance: Any) -> Any:
    if mean is None:
        raise ValueError("it takes the statistics of the batch; call model.eval() first")
    return onnx.BatchNormalization(x, w, b, mean, variance, epsilon=float(eps))


def _batch_norm(
    x: Any, w: Any, b: Any, *running: Any, epsilon: float = 1e-5, momentum: float = 0.9, training_mode: int = 0
) -> Any:
    return channels_last(ag.batch_norm)(x, w, b, epsilon, *(() if training_mode else running))


def _group_norm(x: Any, w: Any, b: Any, *, num_groups: int, epsilon: float = 1e-5) -> Any:
    return channels_last(ag.group_norm)(x, num_groups, w, b, epsilon)


def _instance_norm(x: Any, w: Any, b: Any, epsilon: float = 1e-5) -> Any:
    return channels_last(ag.instance_norm)(x, w, b, epsilon)


# Pixels and channels


_WAYS = {  # of a mode and the places of pixels: the mode of `interpolate`, and its `align_corners`
    "nearest asymmetric floor": ("nearest", False), "linear half_pixel": ("bilinear", False),
    "linear pytorch_half_pixel": ("bilinear", False), "linear align_corners": ("bilinear", True),
}  # fmt: skip


def _resize(
    x: Any, roi: Any = None, scales: Any = None, sizes: Any = None, *, mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel", nearest_mode: str = "round_prefer_floor",
) -> Any:  # fmt: skip
    """Resize images, or sequences, as PyTorch does. What programs do in several ways is refused."""
    grid = coordinate_transformation_mode
    name = f"{mode} {grid} {nearest_mode}" if mode == "nearest" else f"{mode} {grid}"
    way, given = _WAYS.get(name), sizes is not None and np.size(sizes)
    size = np.ravel(sizes) if given else np.float32(x.shape) * np.ravel(scales)
    clear = way and (size == np.floor(size)).all() and not (grid == "pytorch_half_pixel" and 1 in size)
    if not way or not clear or x.ndim not in (3, 4) or tuple(size[:2]) != x.shape[:2]:
        raise ValueError(f"Resize of {x.shape} to {tuple(size.tolist())}, {name}, has no counterpart")
    extents = (*(1,) * (4 - x.ndim), *size[2:].astype(int).tolist())
    return _images(ag.interpolate, x, size=extents, mode=way[0], align_corners=way[1])


_RESIZED = {
    "mode": ("nearest", "linear"),
    "coordinate_transformation_mode": ("asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners"),
}
_PADS = {"auto_pad": ("NOTSET", "VALID", "SAME_UPPER")}


# Recurrent operators, which are read; layers are written as the operations of their steps

_STEPS: dict[bytes, Any] = {  # of an RNN, by its activation
    b"Tanh": lambda x, h, hidden: (ag.tanh(x + h),),
    b"Relu": lambda x, h, hidden: (ag.relu(x + h),),
}
_GATED: dict[Any, Any] = {"activations": (), 7: ()}


def _reads(gated: Any, gates: list[int]) -> Callable[..., Any]:
    """Return what an operator does, by its step if it is gated. `gates` has the place there of each gate here."""

    def read(
        x: Any, w: Any, r: Any, b: Any = None, lengths: Any = None, h: Any = None, c: Any = None, *,
        direction: str = "forward", activations: Any = (), hidden_size: Any = None, linear_before_reset: int = 0,
    ) -> Any:  # fmt: skip
        ways = ["forward", "reverse"] if direction == "bidirectional" else [direction]
        step, *others = {gated} if gated else {_STEPS[name] for name in activations or [b"Tanh"]}
        if others:
            raise ValueError(f"activations={activations} have no counterpart")
        alive = None if lengths is None else (np.arange(x.shape[0])[:, None] < lengths)[..., None]
        rows, runs = np.arange(r.shape[1]).reshape(len(gates), -1)[gates].ravel(), []  # in the order of gates here
        for d, way in enumerate(ways):
            biases = (None, None) if b is None else [half[rows] for half in ag.split(b[d], 2)]
            states = [np.zeros(r.shape[2], r.dtype) if s is None else s[d] for s in (h, c)[: 1 + (len(gates) == 4)]]
            weights = w[d][rows], r[d][rows], *biases
            runs.append(scan(step, x, states, weights, way == "reverse", alive))
        outs, ends = zip(*runs, strict=True)
        return ag.stack(outs, 1), *(ag.stack(parts) for parts in zip(*ends, strict=True))

    return read


ENTRIES = [
    Entry("Conv", ag.conv2d, _write_conv, _conv, only=_PADS),
    Entry("ConvTranspose", ag.conv_transpose2d, _write_conv_transpose, _conv_transpose),
    Entry("MaxPool", ag.max_pool2d, _writes_pool("MaxPool"), _max_pool, only={"storage_order": (0,)} | _PADS),
    Entry("AveragePool", ag.avg_pool2d, _writes_pool("AveragePool"), _avg_pool, only={"dilations": (1,)} | _PADS),
    Entry("BatchNormalization", ag.batch_norm, _write_batch_norm, _batch_norm, buffers=(3, 4)),
    Entry("GroupNormalization", read=_group_norm),
    Entry("InstanceNormalization", read=_instance_norm),
    Entry("GlobalAveragePool", read=lambda x: ag.mean(x, tuple(range(2, x.ndim)), keepdims=True)),
    Entry("GlobalMaxPool", read=lambda x: ag.max(x, tuple(range(2, x.ndim)), keepdims=True)),
    Entry(
        "DepthToSpace",
        read=lambda x, blocksize, mode: channels_last(ag.pixel_shuffle)(x, blocksize),
        only={"mode": ("CRD",)},
    ),
    Entry("Resize", read=_resize, options=(1, 2, 3), only=_RESIZED),
    Entry("LSTM", read=_reads(lstm_step, [0, 2, 3, 1]), options=(4,), only=_GATED, results=3),
    Entry(
        "GRU",
        read=_reads(gru_step, [1, 0, 2]),
        options=(4,),
        only=_GATED | {"linear_before_reset": (1,)},
        results=2,
    ),
    Entry("RNN", read=_reads(None, [0]), options=(4,), only={"activations": (*_STEPS,)}, results=2),
]
